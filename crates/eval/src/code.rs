//! Code: the IR of a file with names turned into slots.
//!
//! Every variable of the file is a slot of the frame that evaluates it or a capture of the thunk
//! or function around it. Code lies in the heap of the evaluator that runs it.

use std::cell::Cell;

use crate::symbols::Symbol;
use crate::value::Value;

/// A position in any of the files of an evaluation; 0 for none.
pub(crate) type Pos = u32;

/// Where a value that is to be captured lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// A slot of the frame.
    Slot(u32),
    /// A capture.
    Capture(u32),
}

/// A suspended expression.
pub(crate) struct Code {
    pub(crate) captures: &'static [Source],
    /// Slots that its frame needs.
    pub(crate) n_slots: u32,
    pub(crate) body: Expr,
}

/// A function.
#[derive(Clone, Copy)]
pub(crate) struct Lambda {
    pub(crate) captures: &'static [Source],
    pub(crate) n_slots: u32,
    /// How many arguments it takes at once: those of functions that directly give functions.
    pub(crate) arity: u32,
    /// The pattern of the last argument, if it is one.
    pub(crate) pattern: Option<&'static Pattern>,
    pub(crate) body: Expr,
    pub(crate) position: Pos,
    /// Of each of the functions that were joined into this one.
    pub(crate) positions: &'static [Pos],
    pub(crate) name: Option<Symbol>,
    /// The name of the last parameter or of the `@`, for printing.
    pub(crate) parameter: Option<Symbol>,
    /// The names of all parameters, in their order.
    pub(crate) parameters: &'static [Option<Symbol>],
}

/// A pattern of a function.
pub(crate) struct Pattern {
    /// Sorted by symbol.
    pub(crate) formals: &'static [Formal],
    pub(crate) has_ellipsis: bool,
}

/// A name of a pattern.
#[derive(Clone, Copy)]
pub(crate) struct Formal {
    pub(crate) symbol: Symbol,
    pub(crate) position: Pos,
    pub(crate) slot: u32,
    pub(crate) default: Option<&'static Expr>,
}

/// What an attribute of a set literal is.
#[derive(Clone, Copy)]
pub(crate) struct Dynamic {
    pub(crate) name: Expr,
    pub(crate) position: Pos,
    pub(crate) value: Expr,
}

/// A set literal.
pub(crate) struct SetCode {
    pub(crate) layout: &'static crate::attrs::Layout,
    /// Values in the order of the layout.
    pub(crate) values: &'static [Expr],
    pub(crate) dynamics: &'static [Dynamic],
    /// The slot of `__overrides` of a recursive set.
    pub(crate) overrides: Option<u32>,
}

/// The names of a `let`.
pub(crate) struct LetCode {
    pub(crate) bindings: &'static [(u32, Expr)],
    pub(crate) body: Expr,
}

/// A step of an attribute path.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Name(Symbol),
    Computed(Expr),
}

/// A selection.
pub(crate) struct SelectCode {
    pub(crate) base: Expr,
    pub(crate) path: &'static [(Step, Pos)],
    pub(crate) default: Option<Expr>,
    pub(crate) position: Pos,
}

/// The selection of one name, and where it was found last time.
pub(crate) struct Select1 {
    pub(crate) base: Expr,
    pub(crate) symbol: Symbol,
    pub(crate) position: Pos,
    pub(crate) cache: Cell<(usize, u32)>,
}

/// A test for an attribute.
pub(crate) struct HasCode {
    pub(crate) base: Expr,
    pub(crate) path: &'static [(Step, Pos)],
}

/// A call.
pub(crate) struct CallCode {
    pub(crate) function: Expr,
    pub(crate) arguments: &'static [Expr],
    pub(crate) position: Pos,
}

/// A name that only a `with` can supply.
pub(crate) struct WithName {
    pub(crate) symbol: Symbol,
    pub(crate) position: Pos,
    /// The sets, innermost first, each as a slot or capture, with the places of their `with`s.
    pub(crate) sets: &'static [(Source, Pos)],
}

/// `with`.
pub(crate) struct WithCode {
    pub(crate) slot: u32,
    pub(crate) namespace: Expr,
    pub(crate) body: Expr,
}

/// `if`.
pub(crate) struct IfCode {
    pub(crate) condition: Expr,
    pub(crate) consequence: Expr,
    pub(crate) alternative: Expr,
    pub(crate) position: Pos,
}

/// `assert`.
pub(crate) struct AssertCode {
    pub(crate) condition: Expr,
    pub(crate) body: Expr,
    pub(crate) position: Pos,
    /// Of `a == b`: the two sides.
    pub(crate) sides: Option<(Expr, Expr)>,
}

/// An operator with two operands.
pub(crate) struct BinaryCode {
    pub(crate) op: Op,
    pub(crate) left: Expr,
    pub(crate) right: Expr,
    pub(crate) position: Pos,
}

/// `a // b // c`, with those in parentheses: the operands in the order of the text.
pub(crate) struct UpdateCode {
    pub(crate) operands: &'static [UpdateOperand],
}

/// An operand of `//`.
#[derive(Clone, Copy)]
pub(crate) struct UpdateOperand {
    pub(crate) expr: Expr,
    pub(crate) position: Pos,
    pub(crate) is_right: bool,
}

/// Interpolation or `+`: parts that are joined, each with its position.
pub(crate) struct JoinCode {
    pub(crate) parts: &'static [(Expr, Pos)],
    pub(crate) position: Pos,
}

/// Operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    Sub,
    Mul,
    Div,
    Concat,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
    Implies,
}

/// An expression. 16 bytes: a mark, and a number or an address.
#[derive(Clone, Copy)]
pub(crate) enum Expr {
    Const(Value),
    /// Fails with the failure that is on its way.
    Failed,
    /// A value that may have to be forced.
    Shared(Value),
    Slot(u32, Pos),
    Capture(u32, Pos),
    WithName(&'static WithName),
    Call(&'static CallCode),
    Select1(&'static Select1),
    Select(&'static SelectCode),
    Has(&'static HasCode),
    /// A thunk to be made.
    Thunk(&'static Code),
    /// A function to be made.
    Lambda(&'static Lambda),
    Attrs(&'static SetCode),
    Let(&'static LetCode),
    With(&'static WithCode),
    Assert(&'static AssertCode),
    If(&'static IfCode),
    Not(&'static (Self, Pos)),
    Negate(&'static (Self, Pos)),
    Binary(&'static BinaryCode),
    Update(&'static UpdateCode),
    /// `a + b + c`.
    Add(&'static JoinCode),
    /// An interpolated string.
    Join(&'static JoinCode),
    /// An interpolated path; the first part is absolute.
    JoinPath(&'static JoinCode),
    List(&'static &'static [Self]),
    Position(Pos),
    Fail(&'static FailCode),
}

/// Code that fails when it is evaluated.
pub(crate) struct FailCode {
    pub(crate) message: &'static [u8],
    pub(crate) position: Pos,
}

const _: () = assert!(size_of::<Expr>() <= 16);
