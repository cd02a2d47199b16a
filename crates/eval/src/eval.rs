//! Evaluation proper: expressions to values in weak head normal form.

use std::cell::Cell;

use crate::attrs::Attrs;
use crate::builtins;
use crate::code::{CallCode, Code, Expr, FailCode, Lambda, Op, Pattern, Pos, Source};
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::{Evaluator, Stop};
use crate::symbols::{Symbol, known};
use crate::value::{Closure, Kind, Slots, State, Thunk, Value};

/// Calls between two looks at the clock and the memory.
const CALLS_BETWEEN_CHECKS: u32 = 1 << 12;

/// Arguments that are gathered without taking memory for them.
const FEW: usize = 6;

/// From so many thunks on, code of their own takes less memory than a capture in each.
const MANY_CALLS: usize = 16;

mod operators;
mod selection;

impl Evaluator {
    /// The value of a word.
    #[inline]
    pub(crate) fn force(&self, value: Value) -> Res {
        match value.as_thunk() {
            None => Ok(value),
            Some(thunk) => self.force_thunk(thunk),
        }
    }

    pub(crate) fn force_thunk(&self, thunk: Thunk) -> Res {
        match thunk.state() {
            State::Done(value) => Ok(value),
            State::Suspended(code) => self.run(thunk, code),
            State::Running => {
                Err(self.fail(ErrorKind::InfiniteRecursion, 0, "infinite recursion encountered"))
            }
        }
    }

    fn run(&self, thunk: Thunk, code: &'static Code) -> Res {
        let Some(frame) = self.stack.push(code.n_slots) else { return Err(self.too_deep()) };
        thunk.start();
        let result = self.eval(&code.body, frame, thunk.captures());
        self.stack.pop(frame);
        match result {
            Ok(value) => {
                thunk.finish(value);
                #[expect(unsafe_code, reason = "captures are recycled by hand")]
                // SAFETY: the thunk was made from this code, and its evaluation, which alone
                // looked at the captures, is over.
                unsafe {
                    thunk.recycle(&self.heap, code.captures.len());
                }
                Ok(value)
            }
            Err(failed) => {
                thunk.suspend(code);
                Err(failed)
            }
        }
    }

    /// Goes one level deeper, in calls or in data, until the guard is dropped.
    #[inline]
    pub(crate) fn level(&self, position: Pos) -> Res<Level<'_>> {
        let depth = self.depth.get();
        if depth >= self.settings.max_call_depth || self.stack.push(0).is_none() {
            let failed = self.too_deep();
            return Err(self.at(failed, position));
        }
        self.depth.set(depth + 1);
        Ok(Level(&self.depth))
    }

    #[cold]
    pub(crate) fn too_deep(&self) -> Failed {
        self.fail(ErrorKind::Depth, 0, "stack overflow; max-call-depth exceeded")
    }

    /// Looks, once every few thousand calls, whether evaluation may go on.
    #[cold]
    #[inline(never)]
    pub(crate) fn checkpoint(&self, position: Pos) -> Res<()> {
        let message = if self.heap.is_full() {
            "out of memory: the limit of `--max-memory` is reached"
        } else if let Some(why) = self.settings.interrupt.get() {
            match why {
                Stop::Timeout => "evaluation took longer than `--timeout` allows",
                Stop::User => "interrupted by the user",
            }
        } else {
            let done = self.checkpoints.get() + 1;
            self.checkpoints.set(done);
            if done * u64::from(CALLS_BETWEEN_CHECKS) < self.settings.max_calls {
                self.steps.set(CALLS_BETWEEN_CHECKS);
                return Ok(());
            }
            "evaluation needs more calls than it may have"
        };
        // Whoever goes on with another value is stopped again at its first call.
        self.steps.set(0);
        Err(self.fail(ErrorKind::Limit, position, message))
    }

    /// The value of an expression. What needs no work is met here, without a call.
    #[inline(always)]
    pub(crate) fn eval(&self, expr: &Expr, frame: Slots, captures: Slots) -> Res {
        let value = match *expr {
            Expr::Const(value) => return Ok(value),
            Expr::Slot(at, _) => frame.get(at),
            Expr::Capture(at, _) => captures.get(at),
            _ => return self.eval_expr(expr, frame, captures),
        };
        if value.is_whnf() { Ok(value) } else { self.eval_expr(expr, frame, captures) }
    }

    /// Only tells the kinds apart: each is evaluated in a function of its own, which saves no more
    /// registers and takes no more stack than it needs.
    fn eval_expr(&self, expr: &Expr, frame: Slots, captures: Slots) -> Res {
        match *expr {
            Expr::Const(value) => Ok(value),
            Expr::Shared(value) => self.force(value),
            Expr::Failed => Err(Failed),
            Expr::Slot(at, position) => self.eval_place(frame, at, position),
            Expr::Capture(at, position) => self.eval_place(captures, at, position),
            Expr::Call(call) => self.eval_call(call, frame, captures),
            Expr::Select1(select) => self.eval_select1(select, frame, captures),
            Expr::Binary(binary) => self.eval_binary(binary, frame, captures),
            Expr::Update(code) => self.eval_update(code, frame, captures),
            Expr::If(_) | Expr::Let(_) | Expr::With(_) | Expr::Assert(_) => {
                self.eval_block(expr, frame, captures)
            }
            Expr::Lambda(lambda) => Ok(self.closure(lambda, frame, captures).value()),
            Expr::Attrs(code) => self.eval_set(code, frame, captures),
            Expr::List(&elements) => self.eval_list(elements, frame, captures),
            Expr::Join(code) => self.eval_join(code, frame, captures),
            Expr::Add(code) => self.eval_add(code, frame, captures),
            Expr::WithName(name) => self.eval_with_name(name, frame, captures),
            Expr::Has(code) => self.eval_has(code, frame, captures),
            Expr::Select(code) => self.eval_select(code, frame, captures),
            Expr::Not(code) => self.eval_not(code, frame, captures),
            Expr::Negate(code) => self.eval_negate(code, frame, captures),
            Expr::JoinPath(code) => self.eval_path(code, frame, captures),
            Expr::Position(position) => Ok(self.position_value(position)),
            Expr::Thunk(code) => self.eval_code(code, frame, captures),
            Expr::Fail(code) => Err(self.fail_as_told(code)),
        }
    }

    /// What ends in an expression that is evaluated in the same frame.
    #[inline(never)]
    fn eval_block(&self, mut expr: &Expr, frame: Slots, captures: Slots) -> Res {
        loop {
            match *expr {
                Expr::If(code) => {
                    let condition = self.eval(&code.condition, frame, captures);
                    expr = match condition {
                        Ok(Value::TRUE) => &code.consequence,
                        Ok(Value::FALSE) => &code.alternative,
                        other => {
                            let text = "while evaluating a branch condition";
                            return Err(self.no_bool(other, code.position, text));
                        }
                    };
                }
                Expr::Let(code) => {
                    self.bind(code.bindings, frame, captures);
                    expr = &code.body;
                }
                Expr::With(code) => {
                    frame.set(code.slot, self.delay(&code.namespace, frame, captures));
                    expr = &code.body;
                }
                Expr::Assert(code) => {
                    self.check_assertion(code, frame, captures)?;
                    expr = &code.body;
                }
                _ => return self.eval(expr, frame, captures),
            }
        }
    }

    #[inline(never)]
    fn eval_list(&self, elements: &'static [Expr], frame: Slots, captures: Slots) -> Res {
        let values = elements.iter().map(|element| self.delay(element, frame, captures));
        Ok(self.heap.list_from(elements.len(), values))
    }

    #[inline(never)]
    fn eval_not(&self, code: &'static (Expr, Pos), frame: Slots, captures: Slots) -> Res {
        match self.eval(&code.0, frame, captures) {
            Ok(Value::TRUE) => Ok(Value::FALSE),
            Ok(Value::FALSE) => Ok(Value::TRUE),
            other => Err(self.no_bool(other, code.1, "in the argument of the not operator")),
        }
    }

    #[inline(never)]
    fn eval_negate(&self, code: &'static (Expr, Pos), frame: Slots, captures: Slots) -> Res {
        let value = self.eval(&code.0, frame, captures);
        let zero = self.heap.int(0);
        let result = value.and_then(|value| builtins::arithmetic(self, Op::Sub, zero, value));
        result.map_err(|failed| self.trace(failed, code.1, "while calling the 'sub' builtin"))
    }

    #[cold]
    fn fail_as_told(&self, code: &FailCode) -> Failed {
        let message = String::from_utf8_lossy(code.message).into_owned();
        self.fail(ErrorKind::Other, code.position, message)
    }

    /// The value of a variable, which takes the place of its thunk.
    #[inline(never)]
    fn eval_place(&self, slots: Slots, at: u32, position: Pos) -> Res {
        let value =
            self.force(slots.get(at)).map_err(|failed| self.at_recursion(failed, position))?;
        slots.set(at, value);
        Ok(value)
    }

    /// Infinite recursion is reported at the variable that closed the circle.
    #[cold]
    fn at_recursion(&self, failed: Failed, position: Pos) -> Failed {
        match self.failure_kind() {
            ErrorKind::InfiniteRecursion => self.at(failed, position),
            _ => failed,
        }
    }

    /// Evaluates at once what would become a thunk, with its captures on the stack.
    fn eval_code(&self, code: &'static Code, frame: Slots, captures: Slots) -> Res {
        let n = code.captures.len() as u32;
        let Some(own) = self.stack.push(n + code.n_slots) else { return Err(self.too_deep()) };
        for (at, &source) in code.captures.iter().enumerate() {
            own.set(at as u32, fetch(source, frame, captures));
        }
        let result = self.eval(&code.body, own.from(n), own);
        self.stack.pop(own);
        result
    }

    /// The word for an expression that is passed on: a value that is there, or a thunk.
    #[inline]
    fn delay(&self, expr: &Expr, frame: Slots, captures: Slots) -> Value {
        match *expr {
            Expr::Thunk(code) => {
                let thunk = self.heap.thunk(code);
                fill(thunk.captures(), code.captures, frame, captures);
                thunk.value()
            }
            Expr::Slot(at, _) => settled(frame.get(at)),
            Expr::Capture(at, _) => settled(captures.get(at)),
            Expr::Const(value) | Expr::Shared(value) => value,
            Expr::Lambda(lambda) => self.closure(lambda, frame, captures).value(),
            _ => unreachable!("the linker wraps everything else in a thunk"),
        }
    }

    #[inline]
    fn closure(&self, lambda: &'static Lambda, frame: Slots, captures: Slots) -> Closure {
        let closure = self.heap.closure(lambda);
        fill(closure.captures(), lambda.captures, frame, captures);
        closure
    }

    /// Makes names that may refer to each other: first all cells, then what they capture.
    fn bind(&self, bindings: &'static [(u32, Expr)], frame: Slots, captures: Slots) {
        for (slot, expr) in bindings {
            frame.set(*slot, self.allocate(expr, frame, captures));
        }
        for (slot, expr) in bindings {
            self.fill_allocated(expr, frame.get(*slot), frame, captures);
        }
    }

    #[inline]
    fn allocate(&self, expr: &Expr, frame: Slots, captures: Slots) -> Value {
        match *expr {
            Expr::Thunk(code) => self.heap.thunk(code).value(),
            Expr::Lambda(lambda) => self.heap.closure(lambda).value(),
            _ => self.delay(expr, frame, captures),
        }
    }

    #[inline]
    fn fill_allocated(&self, expr: &Expr, value: Value, frame: Slots, captures: Slots) {
        match *expr {
            Expr::Thunk(code) => {
                if let Some(thunk) = value.as_thunk() {
                    fill(thunk.captures(), code.captures, frame, captures);
                }
            }
            Expr::Lambda(lambda) => {
                if let Some(closure) = value.as_closure() {
                    fill(closure.captures(), lambda.captures, frame, captures);
                }
            }
            _ => {}
        }
    }

    // Calls.

    #[inline(never)]
    fn eval_call(&self, call: &'static CallCode, frame: Slots, captures: Slots) -> Res {
        let function = self.eval(&call.function, frame, captures)?;
        let n = call.arguments.len();
        if let Some(closure) = function.as_closure() {
            let lambda = closure.lambda();
            if lambda.arity as usize == n {
                let Some(own) = self.stack.push(lambda.n_slots) else {
                    return Err(self.too_deep());
                };
                for (at, argument) in call.arguments.iter().enumerate() {
                    own.set(at as u32, self.delay(argument, frame, captures));
                }
                return self.enter(closure, lambda, own, call.position);
            }
        }
        if let Some(builtin) = function.as_builtin()
            && builtin.arity == n
        {
            return self.call_builtin_now(builtin, call, frame, captures);
        }
        self.call_anything(function, call, frame, captures)
    }

    /// Calls with more or fewer arguments than the function takes, and calls of sets.
    #[inline(never)]
    fn call_anything(
        &self,
        function: Value,
        call: &'static CallCode,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        let n = call.arguments.len();
        let mut few = [Value::NULL; FEW];
        if n <= FEW {
            for (place, argument) in few.iter_mut().zip(call.arguments) {
                *place = self.delay(argument, frame, captures);
            }
            return self.apply(function, &few[..n], call.position);
        }
        let all: Vec<Value> =
            call.arguments.iter().map(|argument| self.delay(argument, frame, captures)).collect();
        self.apply(function, &all, call.position)
    }

    /// Calls a builtin; arguments that it needs anyway are evaluated without a thunk. What fails
    /// there fails again where the builtin asks for it, so that it can say what it was for.
    #[inline(never)]
    fn call_builtin_now(
        &self,
        builtin: &'static builtins::Entry,
        call: &'static CallCode,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        let mut arguments = [Value::NULL; FEW];
        let mut has_failed = false;
        for (at, argument) in call.arguments.iter().enumerate() {
            arguments[at] = match *argument {
                Expr::Thunk(code) if at < builtin.n_strict && !has_failed => {
                    self.eval_code(code, frame, captures).unwrap_or_else(|Failed| {
                        has_failed = true;
                        self.failed.get()
                    })
                }
                _ => self.delay(argument, frame, captures),
            };
        }
        self.call_builtin(builtin, &arguments[..call.arguments.len()], call.position)
    }

    #[inline]
    fn call_builtin(
        &self,
        builtin: &'static builtins::Entry,
        arguments: &[Value],
        position: Pos,
    ) -> Res {
        // As in Nix, it is the call that has a place, not what happens inside.
        (builtin.run)(self, arguments, 0)
            .map_err(|failed| self.in_builtin(failed, builtin, position))
    }

    #[cold]
    fn in_builtin(&self, failed: Failed, builtin: &builtins::Entry, position: Pos) -> Failed {
        if builtin.is_traced {
            let text = format!("while calling the '{}' builtin", builtin.name);
            return self.trace(failed, position, text);
        }
        failed
    }

    /// Runs a function whose arguments are in the first slots of its frame.
    #[inline]
    fn enter(&self, closure: Closure, lambda: &'static Lambda, own: Slots, position: Pos) -> Res {
        let depth = self.depth.get();
        if depth >= self.settings.max_call_depth {
            self.stack.pop(own);
            let failed = self.too_deep();
            return Err(self.at(failed, position));
        }
        let steps = self.steps.get();
        self.steps.set(steps.wrapping_sub(1));
        if steps == 0
            && let Err(failed) = self.checkpoint(position)
        {
            self.stack.pop(own);
            return Err(failed);
        }
        self.depth.set(depth + 1);
        let captures = closure.captures();
        let bound = match lambda.pattern {
            None => Ok(()),
            Some(pattern) => self.bind_pattern(lambda, pattern, own, captures).map_err(|failed| {
                if position == 0 { failed } else { self.trace(failed, position, "from call site") }
            }),
        };
        let result = match bound {
            Ok(()) => self
                .eval(&lambda.body, own, captures)
                .map_err(|failed| self.in_function(failed, lambda, position)),
            Err(failed) => Err(failed),
        };
        self.depth.set(depth);
        self.stack.pop(own);
        result
    }

    #[cold]
    fn in_function(&self, failed: Failed, lambda: &Lambda, position: Pos) -> Failed {
        let text = match lambda.name {
            Some(name) => format!("while calling '{}'", self.name(name)),
            None => "while calling anonymous lambda".to_owned(),
        };
        let failed = self.detail(failed, lambda.position, text);
        if position == 0 { failed } else { self.detail(failed, position, "from call site") }
    }

    fn bind_pattern(
        &self,
        lambda: &'static Lambda,
        pattern: &'static Pattern,
        own: Slots,
        captures: Slots,
    ) -> Res<()> {
        let at = lambda.arity - 1;
        let value = self.force(own.get(at))?;
        own.set(at, value);
        let Some(attrs) = value.as_attrs() else {
            let failed = self.expected("a set", value, 0);
            let text = "while evaluating the value passed for the lambda argument";
            return Err(self.trace(failed, lambda.position, text));
        };
        let mut n_given = 0;
        let mut lacks = false;
        for formal in pattern.formals {
            let value = match attrs.get(formal.symbol) {
                Some(value) => {
                    n_given += 1;
                    settled(value)
                }
                None => match formal.default {
                    Some(default) => {
                        lacks = true;
                        self.allocate(default, own, captures)
                    }
                    None => return Err(self.lacks_argument(lambda, formal.symbol)),
                },
            };
            own.set(formal.slot, value);
        }
        if lacks {
            for formal in pattern.formals {
                if let Some(default) = formal.default
                    && attrs.find(formal.symbol).is_none()
                {
                    self.fill_allocated(default, own.get(formal.slot), own, captures);
                }
            }
        }
        if !pattern.has_ellipsis && n_given != attrs.len() {
            return Err(self.unexpected_argument(lambda, pattern, attrs));
        }
        Ok(())
    }

    fn function_name(&self, lambda: &Lambda) -> String {
        lambda.name.map_or_else(|| "anonymous lambda".to_owned(), |name| self.name(name))
    }

    #[cold]
    fn lacks_argument(&self, lambda: &Lambda, symbol: Symbol) -> Failed {
        let function = self.function_name(lambda);
        let name = self.name(symbol);
        let message = format!("function '{function}' called without required argument '{name}'");
        self.fail(ErrorKind::Type, lambda.position, message)
    }

    #[cold]
    fn unexpected_argument(&self, lambda: &Lambda, pattern: &Pattern, attrs: Attrs) -> Failed {
        let flat = self.layouts.flat(&self.heap, attrs);
        let is_known = |symbol: Symbol| {
            pattern.formals.binary_search_by_key(&symbol, |formal| formal.symbol).is_ok()
        };
        let order = flat.layout.order(&self.heap, &self.symbols);
        let keys = order.iter().map(|&at| flat.layout.keys[at as usize]);
        let name = keys.filter(|&key| !is_known(key)).map(|key| self.name(key)).next();
        let name = name.unwrap_or_default();
        let function = self.function_name(lambda);
        let known: Vec<String> = pattern.formals.iter().map(|f| self.name(f.symbol)).collect();
        let message = format!("function '{function}' called with unexpected argument '{name}'");
        let near = builtins::suggestions(&name, known);
        self.fail_suggesting(ErrorKind::Type, lambda.position, message, near)
    }

    /// Calls anything with arguments.
    pub(crate) fn apply(&self, function: Value, arguments: &[Value], position: Pos) -> Res {
        let mut function = self.force(function)?;
        let mut rest = arguments;
        while !rest.is_empty() {
            match function.kind() {
                Kind::Closure(closure) => {
                    let lambda = closure.lambda();
                    let n = lambda.arity as usize;
                    if rest.len() < n {
                        return Ok(self.heap.partial(function, &[], rest));
                    }
                    let Some(own) = self.stack.push(lambda.n_slots) else {
                        return Err(self.too_deep());
                    };
                    for (at, &argument) in rest[..n].iter().enumerate() {
                        own.set(at as u32, argument);
                    }
                    function = self.enter(closure, lambda, own, position)?;
                    rest = &rest[n..];
                }
                Kind::Builtin(builtin) => {
                    if rest.len() < builtin.arity {
                        return Ok(self.heap.partial(function, &[], rest));
                    }
                    function = self.call_builtin(builtin, &rest[..builtin.arity], position)?;
                    rest = &rest[builtin.arity..];
                }
                Kind::Partial(partial) => {
                    let all = [partial.arguments(), rest].concat();
                    return self.apply(partial.function(), &all, position);
                }
                Kind::Attrs(attrs) => {
                    let Some(functor) = attrs.find(known::FUNCTOR) else {
                        return Err(self.no_function(function, position));
                    };
                    let _level = self.level(position)?;
                    // With the argument: what fails behind it happens while the functor is called.
                    let called =
                        self.apply(functor.value.get(), &[function, rest[0]], functor.position);
                    function = called.map_err(|failed| {
                        let text = "while calling a functor (an attribute set with a '__functor' attribute)";
                        self.trace(failed, position, text)
                    })?;
                    rest = &rest[1..];
                }
                _ => return Err(self.no_function(function, position)),
            }
        }
        Ok(function)
    }

    #[cold]
    fn no_function(&self, value: Value, position: Pos) -> Failed {
        let phrase = self.type_phrase(value);
        let shown = self.shown(value);
        let message =
            format!("attempt to call something which is not a function but {phrase}: {shown}");
        self.fail(ErrorKind::Type, position, message)
    }

    /// The thunk of a call that is made when it is needed.
    pub(crate) fn lazy_apply(&self, function: Value, arguments: &[Value]) -> Value {
        let code = self.apply_code(arguments.len());
        let thunk = self.heap.thunk(code);
        let slots = thunk.captures();
        slots.set(0, function);
        for (at, &argument) in arguments.iter().enumerate() {
            slots.set(at as u32 + 1, argument);
        }
        thunk.value()
    }

    fn apply_code(&self, n_arguments: usize) -> &'static Code {
        let Some(code) = self.apply_codes[n_arguments - 1].get() else {
            unreachable!("the code for one and two arguments is made with the evaluator")
        };
        code
    }

    /// Makes `n` thunks of calls of one function with so many arguments each. If they are many, the
    /// function is part of their code instead of a capture of each.
    pub(crate) fn lazy_calls<const N: usize>(
        &self,
        function: Value,
        n: usize,
    ) -> impl Fn([Value; N]) -> Value + '_ {
        let own = (n >= MANY_CALLS).then(|| {
            let shared = self.apply_code(N);
            let Expr::Call(call) = shared.body else { unreachable!("the code of calls is a call") };
            let function = match function.is_whnf() {
                true => Expr::Const(function),
                false => Expr::Shared(function),
            };
            // The arguments are captures 1 and up there, and 0 and up here.
            let arguments = self.heap.keep_with(N, |at| Expr::Capture(at as u32, 0));
            let call =
                self.heap.keep_any(CallCode { function, arguments, position: call.position });
            let captures = &shared.captures[..N];
            self.heap.keep_any(Code { captures, n_slots: 0, body: Expr::Call(call) })
        });
        move |arguments| match own {
            Some(code) => {
                let thunk = self.heap.thunk(code);
                let slots = thunk.captures();
                for (at, argument) in arguments.into_iter().enumerate() {
                    slots.set(at as u32, argument);
                }
                thunk.value()
            }
            None => self.lazy_apply(function, &arguments),
        }
    }

    // Attributes.

    /// The failure where a Boolean was wanted.
    #[cold]
    fn no_bool(&self, got: Res, position: Pos, text: impl Into<String>) -> Failed {
        let failed = match got {
            Ok(value) => self.expected("a Boolean", value, position),
            Err(failed) => failed,
        };
        self.trace(failed, position, text)
    }

    /// The failure for a value of the wrong type.
    #[cold]
    pub(crate) fn expected(&self, wanted: &str, value: Value, position: Pos) -> Failed {
        let found = self.type_phrase(value);
        let shown = self.shown(value);
        let message = format!("expected {wanted} but found {found}: {shown}");
        self.fail(ErrorKind::Type, position, message)
    }
}

/// One level of nesting.
pub(crate) struct Level<'e>(&'e Cell<u32>);

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// A word without a thunk around a value that is there.
#[inline]
fn settled(value: Value) -> Value {
    value.as_thunk().and_then(Thunk::done).unwrap_or(value)
}

#[inline]
fn fetch(source: Source, frame: Slots, captures: Slots) -> Value {
    match source {
        Source::Slot(at) => settled(frame.get(at)),
        Source::Capture(at) => settled(captures.get(at)),
    }
}

#[inline]
fn fill(target: Slots, sources: &[Source], frame: Slots, captures: Slots) {
    for (at, &source) in sources.iter().enumerate() {
        target.set(at as u32, fetch(source, frame, captures));
    }
}
