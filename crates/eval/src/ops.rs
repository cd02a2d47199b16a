//! What several operators and builtins share: comparing, coercing, arithmetic.

use crate::attrs::Attrs;
use crate::code::{Op, Pos};
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::symbols::known;
use crate::value::{Kind, List, Str, Value};

/// A string that is being put together. Most are short, and need no memory of their own until they
/// are whole.
pub(crate) struct Text {
    /// The bytes, as long as they fit.
    short: [u8; SHORT_TEXT],
    n_short: usize,
    /// All bytes, once they do not.
    long: Vec<u8>,
    /// How many there may be: what the evaluation's memory has room for.
    limit: usize,
    context: u32,
    is_too_long: bool,
}

const SHORT_TEXT: usize = 120;
/// Strings have their length in 32 bits.
const MAX_TEXT: usize = u32::MAX as usize;

impl Text {
    #[inline]
    pub(crate) fn new(ev: &Evaluator) -> Self {
        Self {
            short: [0; SHORT_TEXT],
            n_short: 0,
            long: Vec::new(),
            limit: ev.heap.room().min(MAX_TEXT),
            context: 0,
            is_too_long: false,
        }
    }

    pub(crate) fn push(&mut self, ev: &Evaluator, text: Str) {
        self.push_bytes(text.bytes());
        self.context = ev.contexts.union(self.context, text.context());
    }

    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        let end = self.n_short + bytes.len();
        if self.long.is_empty() && end <= SHORT_TEXT {
            self.short[self.n_short..end].copy_from_slice(bytes);
            self.n_short = end;
            return;
        }
        self.push_long(bytes);
    }

    fn push_long(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.bytes().len() + bytes.len() > self.limit {
            self.is_too_long = true;
            return;
        }
        if self.long.is_empty() {
            self.long.reserve((self.n_short + bytes.len()) * 2);
            self.long.extend_from_slice(&self.short[..self.n_short]);
        }
        self.long.extend_from_slice(bytes);
    }

    /// Errors: it is longer than a string or the memory may be. Whoever pushes in a loop asks now and
    /// then.
    pub(crate) fn check(&self, ev: &Evaluator) -> Res<()> {
        match self.is_too_long {
            true => Err(ev.fail(ErrorKind::Limit, 0, "out of memory: a string is too long")),
            false => Ok(()),
        }
    }

    pub(crate) fn add_context(&mut self, ev: &Evaluator, context: u32) {
        self.context = ev.contexts.union(self.context, context);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.n_short] } else { &self.long }
    }

    pub(crate) fn context(&self) -> u32 {
        self.context
    }

    /// The string. Errors: it would be longer than a string or the memory may be.
    pub(crate) fn finish(self, ev: &Evaluator) -> Res {
        self.check(ev)?;
        Ok(ev.heap.string_with(self.bytes(), self.context).value())
    }
}

/// What may become a string.
#[derive(Clone, Copy)]
pub(crate) struct Coercion {
    /// Numbers, booleans, `null` and lists, too.
    pub(crate) more: bool,
    /// Paths are copied to the store.
    pub(crate) copies: bool,
}

impl Coercion {
    /// `"${…}"`.
    pub(crate) const INTERPOLATION: Self = Self { more: false, copies: true };
    /// The first operand of `+`.
    pub(crate) const FIRST: Self = Self { more: false, copies: false };
    /// Part of a path.
    pub(crate) const PATH: Self = Self { more: false, copies: false };
    /// An attribute of a derivation.
    pub(crate) const DERIVATION: Self = Self { more: true, copies: true };
    /// `toString`.
    pub(crate) const TO_STRING: Self = Self { more: true, copies: false };
}

impl Evaluator {
    /// Appends what a value is as a string. `why` says what for, if it cannot be one.
    pub(crate) fn coerce(
        &self,
        value: Value,
        out: &mut Text,
        how: Coercion,
        position: Pos,
        why: &str,
    ) -> Res<()> {
        let value = self.force(value)?;
        match value.kind() {
            Kind::String(text) => out.push(self, text),
            Kind::Path(text) if how.copies => {
                let copied = self.copy_to_store(text.bytes(), position)?;
                out.push(self, copied);
            }
            Kind::Path(text) => out.push_bytes(text.bytes()),
            Kind::Attrs(attrs) => return self.coerce_set(value, attrs, out, how, position, why),
            Kind::Bool(true) if how.more => out.push_bytes(b"1"),
            Kind::Bool(false) | Kind::Null if how.more => {}
            Kind::Int(number) if how.more => {
                out.push_bytes(itoa::Buffer::new().format(number).as_bytes());
            }
            Kind::Float(number) if how.more && number.is_finite() => {
                out.push_bytes(format!("{number:.6}").as_bytes());
            }
            Kind::Float(number) if how.more => {
                out.push_bytes(crate::print::float(number).as_bytes());
            }
            Kind::List(list) if how.more => {
                let _level = self.level(position)?;
                for (at, element) in list.iter().enumerate() {
                    out.check(self)?;
                    let one = "while evaluating one element of the list";
                    self.coerce(element.get(), out, how, position, one).map_err(|failed| {
                        if why.is_empty() { failed } else { self.trace(failed, position, why) }
                    })?;
                    // Nothing stands between an empty list and what follows it.
                    let element = self.force(element.get())?;
                    let is_empty_list = element.as_list().is_some_and(<[_]>::is_empty);
                    if at + 1 < list.len() && !is_empty_list {
                        out.push_bytes(b" ");
                    }
                }
            }
            _ => return Err(self.no_string(value, position, why)),
        }
        Ok(())
    }

    fn coerce_set(
        &self,
        value: Value,
        attrs: Attrs,
        out: &mut Text,
        how: Coercion,
        position: Pos,
        why: &str,
    ) -> Res<()> {
        let _level = self.level(position)?;
        if let Some(function) = attrs.get(known::TO_STRING) {
            let text = self.apply(function, &[value], position)?;
            let why = "while evaluating the result of the `__toString` attribute";
            return self.coerce(text, out, how, position, why);
        }
        match attrs.get(known::OUT_PATH) {
            Some(path) => self.coerce(path, out, how, position, why),
            None => Err(self.no_string(value, position, why)),
        }
    }

    #[cold]
    fn no_string(&self, value: Value, position: Pos, why: &str) -> Failed {
        let phrase = self.type_phrase(value);
        let shown = self.shown(value);
        let message = format!("cannot coerce {phrase} to a string: {shown}");
        let failed = self.fail(ErrorKind::Type, 0, message);
        if why.is_empty() { failed } else { self.trace(failed, position, why) }
    }

    /// A string; anything else is an error.
    pub(crate) fn string(&self, value: Value, position: Pos) -> Res<Str> {
        let value = self.force(value)?;
        value.as_string().ok_or_else(|| self.expected("a string", value, position))
    }

    /// A string without context.
    pub(crate) fn plain_string(&self, value: Value, position: Pos) -> Res<Str> {
        let text = self.string(value, position)?;
        if text.context() == 0 {
            return Ok(text);
        }
        let first = self.contexts.get(text.context()).first().map(ToString::to_string);
        let first = first.unwrap_or_default();
        let shown = String::from_utf8_lossy(text.bytes()).into_owned();
        let message = format!(
            "the string '{shown}' is not allowed to refer to a store path (such as '{first}')"
        );
        Err(self.fail(ErrorKind::Type, 0, message))
    }

    /// A list that may be longer than the memory.
    pub(crate) fn long_list(
        &self,
        n: usize,
        values: impl Iterator<Item = Value>,
        position: Pos,
    ) -> Res {
        if self.heap.lacks(n) {
            let message = format!(
                "out of memory: the limit of `--max-memory` is reached by a list of {n} elements"
            );
            return Err(self.fail(ErrorKind::Limit, position, message));
        }
        Ok(self.heap.list_from(n, values))
    }

    pub(crate) fn int(&self, value: Value, position: Pos) -> Res<i64> {
        let value = self.force(value)?;
        match value.kind() {
            Kind::Int(number) => Ok(number),
            _ => Err(self.expected("an integer", value, position)),
        }
    }

    pub(crate) fn list(&self, value: Value, _: Pos) -> Res<List> {
        let value = self.force(value)?;
        value.as_list().ok_or_else(|| self.expected("a list", value, 0))
    }

    pub(crate) fn set(&self, value: Value, _: Pos) -> Res<Attrs> {
        let value = self.force(value)?;
        value.as_attrs().ok_or_else(|| self.expected("a set", value, 0))
    }

    pub(crate) fn bool(&self, value: Value, position: Pos) -> Res<bool> {
        let value = self.force(value)?;
        value.as_bool().ok_or_else(|| self.expected("a Boolean", value, position))
    }

    /// Checks that something can be called.
    pub(crate) fn function(&self, value: Value, position: Pos) -> Res {
        let value = self.force(value)?;
        let is_function = match value.kind() {
            Kind::Closure(_) | Kind::Builtin(_) | Kind::Partial(_) => true,
            Kind::Attrs(attrs) => attrs.find(known::FUNCTOR).is_some(),
            _ => false,
        };
        if is_function { Ok(value) } else { Err(self.expected("a function", value, position)) }
    }

    /// Whether a set says that it is a derivation.
    pub(crate) fn is_derivation(&self, attrs: Attrs) -> Res<bool> {
        let Some(kind) = attrs.get(known::TYPE) else { return Ok(false) };
        let kind = self.force(kind)?;
        Ok(kind.as_string().is_some_and(|text| text.bytes() == b"derivation"))
    }

    /// `==` of two members of lists or sets. What is one and the same value for Nix is equal, even
    /// a function or a number that is none.
    pub(crate) fn equal_members(&self, left: Value, right: Value, position: Pos) -> Res<bool> {
        let (left, right) = (self.force(left)?, self.force(right)?);
        if left == right { Ok(true) } else { self.equal(left, right, position) }
    }

    /// `==`.
    pub(crate) fn equal(&self, left: Value, right: Value, position: Pos) -> Res<bool> {
        let (left, right) = (self.force(left)?, self.force(right)?);
        if let (Some(a), Some(b)) = (left.as_string(), right.as_string()) {
            return Ok(a.bytes() == b.bytes());
        }
        // Members are compared even if both sides are one set or list: what fails there, fails here.
        match (left.kind(), right.kind()) {
            (Kind::Null, Kind::Null) => Ok(true),
            (Kind::Bool(a), Kind::Bool(b)) => Ok(a == b),
            (Kind::Int(a), Kind::Int(b)) => Ok(a == b),
            (Kind::Float(a), Kind::Float(b)) => Ok(a == b),
            (Kind::Int(a), Kind::Float(b)) | (Kind::Float(b), Kind::Int(a)) => Ok(a as f64 == b),
            (Kind::String(a), Kind::String(b)) | (Kind::Path(a), Kind::Path(b)) => {
                Ok(a.bytes() == b.bytes())
            }
            (Kind::List(a), Kind::List(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                let _level = self.level(position)?;
                for (a, b) in a.iter().zip(b) {
                    if !self.equal_members(a.get(), b.get(), position)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Kind::Attrs(a), Kind::Attrs(b)) => self.equal_sets(a, b, position),
            _ => Ok(false),
        }
    }

    fn equal_sets(&self, a: Attrs, b: Attrs, position: Pos) -> Res<bool> {
        if self.is_derivation(a)?
            && self.is_derivation(b)?
            && let (Some(a), Some(b)) = (a.get(known::OUT_PATH), b.get(known::OUT_PATH))
        {
            return self.equal_members(a, b, position);
        }
        if a.len() != b.len() {
            return Ok(false);
        }
        let _level = self.level(position)?;
        let (a, b) = (self.layouts.flat(&self.heap, a), self.layouts.flat(&self.heap, b));
        // Nix compares in the order in which it met the names, which is the order of symbols; that
        // names differ is found when it is their turn.
        let names = a.layout.keys.iter().zip(b.layout.keys);
        for ((a, b), (name, other)) in a.values.iter().zip(b.values).zip(names) {
            if name != other || !self.equal_members(a.get(), b.get(), position)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `<`. `why` says what is compared, in lists.
    pub(crate) fn less_than(&self, left: Value, right: Value, why: &str) -> Res<bool> {
        let (left, right) = (self.force(left)?, self.force(right)?);
        let failed = |failed| if why.is_empty() { failed } else { self.trace(failed, 0, why) };
        match (left.kind(), right.kind()) {
            (Kind::Int(a), Kind::Int(b)) => Ok(a < b),
            (Kind::Float(a), Kind::Float(b)) => Ok(a < b),
            (Kind::Int(a), Kind::Float(b)) => Ok((a as f64) < b),
            (Kind::Float(a), Kind::Int(b)) => Ok(a < b as f64),
            (Kind::String(a), Kind::String(b)) | (Kind::Path(a), Kind::Path(b)) => {
                Ok(a.bytes() < b.bytes())
            }
            (Kind::List(a), Kind::List(b)) => self.less_lists(a, b).map_err(failed),
            (a, b) => {
                let phrases = (self.type_phrase(left), self.type_phrase(right));
                let values = (self.shown(left), self.shown(right));
                let message = if std::mem::discriminant(&a) == std::mem::discriminant(&b) {
                    format!(
                        "cannot compare {} with {}; values of that type are incomparable (values are {} and {})",
                        phrases.0, phrases.1, values.0, values.1
                    )
                } else {
                    format!(
                        "cannot compare {} with {}; values are {} and {}",
                        phrases.0, phrases.1, values.0, values.1
                    )
                };
                Err(failed(self.fail(ErrorKind::Type, 0, message)))
            }
        }
    }

    fn less_lists(&self, a: List, b: List) -> Res<bool> {
        let _level = self.level(0)?;
        for (at, a) in a.iter().enumerate() {
            let Some(b) = b.get(at) else { return Ok(false) };
            if !self.equal_members(a.get(), b.get(), 0)? {
                return self.less_than(a.get(), b.get(), "while comparing two list elements");
            }
        }
        Ok(a.len() < b.len())
    }

    /// Why two values of an `assert a == b` are not equal. They were compared before, so nothing
    /// else can fail.
    pub(crate) fn unequal(&self, left: Value, right: Value) -> Failed {
        let pair = self.force(left).and_then(|left| Ok((left, self.force(right)?)));
        let Ok((left, right)) = pair else { return Failed };
        let is_number = |value: Value| matches!(value.kind(), Kind::Int(_) | Kind::Float(_));
        let is_function =
            |kind| matches!(kind, Kind::Closure(_) | Kind::Builtin(_) | Kind::Partial(_));
        let (types, values) = (
            (self.type_phrase(left), self.type_phrase(right)),
            (self.shown(left), self.shown(right)),
        );
        let message = match (left.kind(), right.kind()) {
            _ if is_number(left) && is_number(right) => format!(
                "{} with value '{}' is not equal to {} with value '{}'",
                types.0, values.0, types.1, values.1
            ),
            (Kind::Attrs(a), Kind::Attrs(b)) => return self.unequal_sets((left, a), (right, b)),
            (Kind::List(a), Kind::List(b)) if a.len() != b.len() => format!(
                "list of size '{}' is not equal to list of size '{}', left hand side is '{}', right hand side is '{}'",
                a.len(),
                b.len(),
                values.0,
                values.1
            ),
            (Kind::List(a), Kind::List(b)) => {
                for (at, (a, b)) in a.iter().zip(b).enumerate() {
                    match self.equal_members(a.get(), b.get(), 0) {
                        Ok(true) => {}
                        Ok(false) => {
                            let failed = self.unequal(a.get(), b.get());
                            let text = format!("while comparing list element {at}");
                            return self.trace(failed, 0, text);
                        }
                        Err(failed) => return failed,
                    }
                }
                "the lists differ".to_owned()
            }
            (a, b)
                if std::mem::discriminant(&a) != std::mem::discriminant(&b)
                    && !(is_function(a) && is_function(b)) =>
            {
                format!(
                "{} of value '{}' is not equal to {} of value '{}'",
                types.0, values.0, types.1, values.1
                )
            }
            (Kind::Closure(_) | Kind::Builtin(_) | Kind::Partial(_), _) => {
                "distinct functions and immediate comparisons of identical functions compare as unequal"
                    .to_owned()
            }
            (kind, _) => {
                let word = match kind {
                    Kind::Bool(_) => "boolean",
                    Kind::String(_) => "string",
                    Kind::Path(_) => "path",
                    _ => "null",
                };
                format!("{word} '{}' is not equal to {word} '{}'", values.0, values.1)
            }
        };
        self.fail(ErrorKind::Assertion, 0, message)
    }

    fn unequal_sets(&self, (left, a): (Value, Attrs), (right, b): (Value, Attrs)) -> Failed {
        let is_derivation = |set| self.is_derivation(set).unwrap_or(false);
        if is_derivation(a)
            && is_derivation(b)
            && let (Some(a), Some(b)) = (a.get(known::OUT_PATH), b.get(known::OUT_PATH))
        {
            let failed = self.unequal(a, b);
            let text = "while comparing a derivation by its 'outPath' attribute";
            return self.trace(failed, 0, text);
        }
        let (a, b) = (self.layouts.flat(&self.heap, a), self.layouts.flat(&self.heap, b));
        let (shown_left, shown_right) = (self.shown(left), self.shown(right));
        let error = |message: String| self.fail(ErrorKind::Assertion, 0, message);
        if a.layout.keys.len() != b.layout.keys.len() {
            return error(format!(
                "attribute names of attribute set '{shown_left}' differs from attribute set '{shown_right}'"
            ));
        }
        for (at, (&key, &other)) in a.layout.keys.iter().zip(b.layout.keys).enumerate() {
            if key != other {
                return error(match b.layout.find(key) {
                    None => format!(
                        "attribute name '{}' is contained in '{shown_left}', but not in '{shown_right}'",
                        self.shown_name(key)
                    ),
                    Some(_) => format!(
                        "attribute name '{}' is missing in '{shown_left}', but is contained in '{shown_right}'",
                        self.shown_name(other)
                    ),
                });
            }
            let (left, right) = (a.values[at].get(), b.values[at].get());
            match self.equal_members(left, right, 0) {
                Ok(true) => {}
                Ok(false) => {
                    let mut failed = self.unequal(left, right);
                    let sides = [(b, "where right hand side is"), (a, "where left hand side is")];
                    for (side, text) in sides {
                        let position = side.layout.position(at);
                        if position != 0 {
                            failed = self.trace(failed, position, text);
                        }
                    }
                    let text = format!("while comparing attribute '{}'", self.name(key));
                    return self.trace(failed, 0, text);
                }
                Err(failed) => return failed,
            }
        }
        error("the sets differ".to_owned())
    }
}

/// `-`, `*` and `/`.
pub(crate) fn arithmetic(ev: &Evaluator, op: Op, left: Value, right: Value) -> Res {
    let (left, right) = (ev.force(left)?, ev.force(right)?);
    let (word, doing, sign) = match op {
        Op::Sub => ("argument of the subtraction", "subtracting", '-'),
        Op::Mul => ("argument of the multiplication", "multiplying", '*'),
        _ => ("operand of the division", "dividing", '/'),
    };
    let wrong = |value: Value, wanted: &str, which: &str| {
        let failed = ev.expected(wanted, value, 0);
        ev.trace(failed, 0, format!("while evaluating the {which} {word}"))
    };
    let float = |value: Value, which: &str| match value.kind() {
        Kind::Int(number) => Ok(number as f64),
        Kind::Float(number) => Ok(number),
        _ => Err(wrong(value, "a float", which)),
    };
    let error = |message: String| Err(ev.fail(ErrorKind::Other, 0, message));
    if op == Op::Div && float(right, "second")? == 0.0 {
        return error("division by zero".to_owned());
    }
    let (a, b) = match (left.kind(), right.kind()) {
        (Kind::Float(_), _) | (_, Kind::Float(_)) => {
            let (a, b) = (float(left, "first")?, float(right, "second")?);
            return Ok(ev.heap.float(match op {
                Op::Sub => a - b,
                Op::Mul => a * b,
                _ => a / b,
            }));
        }
        (Kind::Int(a), Kind::Int(b)) => (a, b),
        (Kind::Int(_), _) => return Err(wrong(right, "an integer", "second")),
        _ => return Err(wrong(left, "an integer", "first")),
    };
    let result = match op {
        Op::Sub => a.checked_sub(b),
        Op::Mul => a.checked_mul(b),
        _ => a.checked_div(b),
    };
    match result {
        Some(number) => Ok(ev.heap.int(number)),
        None => error(format!("integer overflow in {doing} {a} {sign} {b}")),
    }
}

/// `+` where the sum so far is a number.
pub(crate) fn add_numbers(ev: &Evaluator, left: Value, right: Value, position: Pos) -> Res {
    match (left.kind(), right.kind()) {
        (Kind::Int(a), Kind::Int(b)) => match a.checked_add(b) {
            Some(sum) => Ok(ev.heap.int(sum)),
            None => {
                let message = format!("integer overflow in adding {a} + {b}");
                Err(ev.fail(ErrorKind::Other, position, message))
            }
        },
        (Kind::Int(a), Kind::Float(b)) => Ok(ev.heap.float(a as f64 + b)),
        (Kind::Float(a), Kind::Int(b)) => Ok(ev.heap.float(a + b as f64)),
        (Kind::Float(a), Kind::Float(b)) => Ok(ev.heap.float(a + b)),
        _ => {
            let message =
                format!("cannot add {} to {}", ev.type_phrase(right), ev.type_phrase(left));
            Err(ev.fail(ErrorKind::Type, position, message))
        }
    }
}
