//! Operators, assertions and strings with interpolations.

use crate::attrs::Attrs;
use crate::builtins;
use crate::code::{AssertCode, BinaryCode, Expr, JoinCode, Op, Pos, UpdateCode, UpdateOperand};
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::value::{Kind, Slots, Value};

/// What Nix says of every part of a string, too.
const SEGMENT: &str = "while evaluating a path segment";

impl Evaluator {
    pub(super) fn eval_bool(
        &self,
        expr: &Expr,
        frame: Slots,
        captures: Slots,
        code: &BinaryCode,
    ) -> Res<bool> {
        let value = self.eval(expr, frame, captures);
        if let Ok(value) = value
            && let Some(value) = value.as_bool()
        {
            return Ok(value);
        }
        let word = match code.op {
            Op::And => "AND (&&)",
            Op::Or => "OR (||)",
            _ => "IMPL (->)",
        };
        let side = if std::ptr::eq(expr, &code.left) { "left" } else { "right" };
        let text = format!("in the {side} operand of the {word} operator");
        Err(self.no_bool(value, code.position, text))
    }

    /// An operator that Nix turns into a call of a builtin.
    #[inline]
    fn eval_called(&self, code: &'static BinaryCode, frame: Slots, captures: Slots) -> Res {
        // `a > b` is `b < a`, in the order of evaluation, too.
        let (left, right) = match code.op {
            Op::Greater | Op::LessEqual => {
                let right = self.eval(&code.right, frame, captures);
                (right.and_then(|_| self.eval(&code.left, frame, captures)), right)
            }
            _ => {
                let left = self.eval(&code.left, frame, captures);
                (left, left.and_then(|_| self.eval(&code.right, frame, captures)))
            }
        };
        if let (Ok(left), Ok(right)) = (left, right)
            && let (Some(a), Some(b)) = (left.as_small_int(), right.as_small_int())
        {
            // Numbers of 61 bits: neither sums nor differences overflow.
            match code.op {
                Op::Less => return Ok(Value::bool(a < b)),
                Op::LessEqual => return Ok(Value::bool(a <= b)),
                Op::Greater => return Ok(Value::bool(a > b)),
                Op::GreaterEqual => return Ok(Value::bool(a >= b)),
                Op::Sub => return Ok(self.heap.int(a - b)),
                Op::Mul => {
                    if let Some(product) = a.checked_mul(b) {
                        return Ok(self.heap.int(product));
                    }
                }
                _ if b != 0 => return Ok(self.heap.int(a / b)),
                _ => {}
            }
        }
        self.eval_called_slowly(code, left, right)
    }

    #[inline(never)]
    fn eval_called_slowly(&self, code: &'static BinaryCode, left: Res, right: Res) -> Res {
        let result = left.and_then(|left| {
            let right = right?;
            match code.op {
                Op::Sub | Op::Mul | Op::Div => builtins::arithmetic(self, code.op, left, right),
                _ => self.eval_comparison(code, left, right),
            }
        });
        result.map_err(|failed| {
            let name = match code.op {
                Op::Sub => "sub",
                Op::Mul => "mul",
                Op::Div => "div",
                _ => "lessThan",
            };
            let text = format!("while calling the '{name}' builtin");
            let failed = self.trace(failed, code.position, text);
            match code.op {
                Op::LessEqual | Op::GreaterEqual => {
                    self.trace(failed, code.position, "in the argument of the not operator")
                }
                _ => failed,
            }
        })
    }

    #[inline(never)]
    pub(super) fn eval_binary(
        &self,
        code: &'static BinaryCode,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        match code.op {
            Op::And => {
                return Ok(Value::bool(
                    self.eval_bool(&code.left, frame, captures, code)?
                        && self.eval_bool(&code.right, frame, captures, code)?,
                ));
            }
            Op::Or => {
                return Ok(Value::bool(
                    self.eval_bool(&code.left, frame, captures, code)?
                        || self.eval_bool(&code.right, frame, captures, code)?,
                ));
            }
            Op::Implies => {
                return Ok(Value::bool(
                    !self.eval_bool(&code.left, frame, captures, code)?
                        || self.eval_bool(&code.right, frame, captures, code)?,
                ));
            }
            Op::Less
            | Op::LessEqual
            | Op::Greater
            | Op::GreaterEqual
            | Op::Sub
            | Op::Mul
            | Op::Div => return self.eval_called(code, frame, captures),
            _ => {}
        }
        let left = self.eval(&code.left, frame, captures)?;
        let right = self.eval(&code.right, frame, captures)?;
        match code.op {
            Op::Equal => Ok(Value::bool(self.equal(left, right, code.position)?)),
            Op::NotEqual => Ok(Value::bool(!self.equal(left, right, code.position)?)),
            Op::Concat => {
                let lists = (left.as_list(), right.as_list());
                let (Some(a), Some(b)) = lists else {
                    let value = if left.as_list().is_none() { left } else { right };
                    let failed = self.expected("a list", value, 0);
                    let text = "while evaluating one of the elements to concatenate";
                    return Err(self.trace(failed, code.position, text));
                };
                if a.is_empty() {
                    return Ok(right);
                }
                if b.is_empty() {
                    return Ok(left);
                }
                let values = a.iter().chain(b).map(std::cell::Cell::get);
                self.long_list(a.len() + b.len(), values, code.position)
            }
            _ => unreachable!("all other operators were met above"),
        }
    }

    /// As in Nix, the last operand is evaluated first.
    #[inline(never)]
    pub(super) fn eval_update(
        &self,
        code: &'static UpdateCode,
        frame: Slots,
        captures: Slots,
    ) -> Res {
        let mut result: Option<Attrs> = None;
        for operand in code.operands.iter().rev() {
            let value = self.eval(&operand.expr, frame, captures);
            let Some(set) = value.ok().and_then(Value::as_attrs) else {
                return Err(self.no_operand(value, operand));
            };
            result = Some(match result {
                None => set,
                Some(right) => self.layouts.update(&self.heap, set, right),
            });
        }
        Ok(result.map_or_else(|| self.empty_attrs(), Attrs::value))
    }

    /// The failure where a set was wanted on a side of `//`.
    #[cold]
    fn no_operand(&self, got: Res, operand: &UpdateOperand) -> Failed {
        let failed = match got {
            Ok(value) => self.expected("a set", value, 0),
            Err(failed) => failed,
        };
        let side = if operand.is_right { "right" } else { "left" };
        let text = format!("in the {side} operand of the update (//) operator");
        self.trace(failed, operand.position, text)
    }

    fn eval_comparison(&self, code: &'static BinaryCode, left: Value, right: Value) -> Res {
        // As in Nix, `a > b` is `b < a`, and `a <= b` is its contrary.
        let is_swapped = matches!(code.op, Op::Greater | Op::LessEqual);
        let (a, b) = if is_swapped { (right, left) } else { (left, right) };
        let less = self.less_than(a, b, "")?;
        let is_negated = matches!(code.op, Op::LessEqual | Op::GreaterEqual);
        Ok(Value::bool(less != is_negated))
    }

    #[inline(never)]
    pub(super) fn check_assertion(
        &self,
        code: &'static AssertCode,
        frame: Slots,
        captures: Slots,
    ) -> Res<()> {
        let condition = self.eval(&code.condition, frame, captures).map_err(|failed| {
            self.trace(failed, code.position, "in the condition of the assert statement")
        })?;
        match condition.as_bool() {
            Some(true) => Ok(()),
            Some(false) => {
                let text = self.condition_text(code.position).unwrap_or_default();
                if let Some((left, right)) = &code.sides {
                    let left = self.eval(left, frame, captures)?;
                    let right = self.eval(right, frame, captures)?;
                    let failed = self.unequal(left, right);
                    let text = format!("while evaluating the condition of the assertion '{text}'");
                    return Err(self.trace(failed, code.position, text));
                }
                let message = format!("assertion '{text}' failed");
                Err(self.fail(ErrorKind::Assertion, code.position, message))
            }
            None => {
                let failed = self.expected("a Boolean", condition, code.position);
                let text = "in the condition of the assert statement";
                Err(self.trace(failed, code.position, text))
            }
        }
    }

    // Strings.

    #[inline(never)]
    pub(super) fn eval_join(&self, code: &'static JoinCode, frame: Slots, captures: Slots) -> Res {
        let mut out = builtins::Text::new(self);
        for (part, position) in code.parts {
            let value = match part {
                Expr::Const(value) => *value,
                part => self.eval(part, frame, captures)?,
            };
            if let Some(text) = value.as_string() {
                out.push(self, text);
                continue;
            }
            self.coerce(value, &mut out, builtins::Coercion::INTERPOLATION, *position, SEGMENT)?;
        }
        out.finish(self)
    }

    #[inline(never)]
    pub(super) fn eval_add(&self, code: &'static JoinCode, frame: Slots, captures: Slots) -> Res {
        let (first, first_position) = &code.parts[0];
        let mut sum = self.eval(first, frame, captures)?;
        if let [_, (second, _)] = code.parts
            && let Some(a) = sum.as_small_int()
        {
            let value = self.eval(second, frame, captures)?;
            if let Some(b) = value.as_small_int() {
                return Ok(self.heap.int(a + b));
            }
            return builtins::add_numbers(self, sum, value, code.parts[1].1);
        }
        let mut parts = code.parts[1..].iter();
        while let Some((part, position)) = parts.next() {
            match sum.kind() {
                Kind::Int(a) => {
                    let value = self.eval(part, frame, captures)?;
                    sum = match value.as_small_int().and_then(|b| a.checked_add(b)) {
                        Some(total) => self.heap.int(total),
                        None => builtins::add_numbers(self, sum, value, *position)?,
                    };
                }
                Kind::Float(number) => {
                    // As in Nix, a sum of floats starts from 0, which swallows a negative zero.
                    if number == 0.0 {
                        sum = self.heap.float(0.0);
                    }
                    let value = self.eval(part, frame, captures)?;
                    sum = builtins::add_numbers(self, sum, value, *position)?;
                }
                Kind::Path(start) => {
                    let mut out = builtins::Text::new(self);
                    out.push_bytes(start.bytes());
                    let value = self.eval(part, frame, captures)?;
                    self.coerce(value, &mut out, builtins::Coercion::PATH, *position, SEGMENT)?;
                    sum = self.path_from(out, code.position)?;
                }
                _ => {
                    // From a string on, everything is part of the string. What follows a string is
                    // copied to the store; what follows a set that stands for a string is not.
                    let mut out = builtins::Text::new(self);
                    let mut how = match sum.as_string() {
                        Some(_) => builtins::Coercion::INTERPOLATION,
                        None => builtins::Coercion::FIRST,
                    };
                    let first = builtins::Coercion::FIRST;
                    self.coerce(sum, &mut out, first, *first_position, SEGMENT)?;
                    let mut next = Some((part, position));
                    while let Some((part, position)) = next {
                        let value = self.eval(part, frame, captures)?;
                        self.coerce(value, &mut out, how, *position, SEGMENT)?;
                        how = builtins::Coercion::INTERPOLATION;
                        next = parts.next().map(|(part, position)| (part, position));
                    }
                    sum = out.finish(self)?;
                }
            }
        }
        Ok(sum)
    }

    #[inline(never)]
    pub(super) fn eval_path(&self, code: &'static JoinCode, frame: Slots, captures: Slots) -> Res {
        let mut out = builtins::Text::new(self);
        for (part, position) in code.parts {
            let value = self.eval(part, frame, captures)?;
            self.coerce(value, &mut out, builtins::Coercion::PATH, *position, SEGMENT)?;
        }
        self.path_from(out, code.position)
    }

    pub(super) fn path_from(&self, text: builtins::Text, position: Pos) -> Res {
        if text.context() != 0 {
            let message = "a string that refers to a store path cannot be appended to a path";
            return Err(self.fail(ErrorKind::Other, position, message));
        }
        Ok(self.path(&crate::paths::canonical(text.bytes())))
    }
}
