//! Values of Nix as the wire has them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cim_nix_model::AttributePath;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A value, tagged by its type: `{"Int": 7}`, `"Null"`.
///
/// Other services write plain JSON where this product writes tagged values, so that is read as well.
/// The outermost value decides: text `Null`, and a set whose only name is that of a type below, are
/// tagged, all the way down; anything else is plain, all the way down.
///
/// ```
/// use cim_domain_nix::NixValue;
///
/// let plain: NixValue = serde_json::from_str(r#"{"port": 8080}"#)?;
/// let tagged: NixValue = serde_json::from_str(r#"{"AttrSet": {"port": {"Int": 8080}}}"#)?;
/// assert_eq!(plain, tagged);
/// assert_eq!(plain.to_code(), "{ port = 8080; }");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum NixValue {
    /// Text without context.
    String(String),
    /// A 64-bit integer.
    Int(i64),
    /// A double; JSON has none that is infinite or no number.
    Float(#[serde(serialize_with = "finite")] f64),
    /// True or false.
    Bool(bool),
    /// A path as it is written, relative to the file that it will stand in.
    Path(String),
    /// A list.
    List(Vec<Self>),
    /// A set.
    AttrSet(BTreeMap<String, Self>),
    /// Null.
    Null,
    /// Code, for whatever has no value yet: a function, a call, a reference to a name.
    Expression(String),
}

/// How deep values may be nested: deeper ones could be written, but nobody's parser would read them.
const MAX_DEPTH: usize = 48;

impl NixValue {
    pub(crate) const TAGS: [&str; 8] =
        ["String", "Int", "Float", "Bool", "Path", "List", "AttrSet", "Expression"];

    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self::AttrSet(BTreeMap::new())
    }

    /// Whether it is the empty set.
    #[must_use]
    pub fn is_empty_set(&self) -> bool {
        matches!(self, Self::AttrSet(attrs) if attrs.is_empty())
    }

    /// Whether JSON can hold it.
    ///
    /// Errors: why not.
    pub fn check(&self) -> Result<(), String> {
        let mut rest = vec![(self, 0)];
        while let Some((value, depth)) = rest.pop() {
            if depth > MAX_DEPTH {
                return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
            }
            match value {
                Self::Float(number) if !number.is_finite() => {
                    return Err(format!("it has the number {number}, which JSON cannot write"));
                }
                Self::List(elements) => {
                    rest.extend(elements.iter().map(|element| (element, depth + 1)));
                }
                Self::AttrSet(attrs) => {
                    rest.extend(attrs.values().map(|value| (value, depth + 1)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Its code, on one line; [`Expression`](Self::Expression)s are taken as they are.
    #[must_use]
    pub fn to_code(&self) -> String {
        let mut code = String::new();
        self.write_code(&mut code, false);
        code
    }

    /// Writes the code; as an operand, whatever consists of several words gets parentheses.
    fn write_code(&self, out: &mut String, is_operand: bool) {
        match self {
            Self::String(text) => write_text(out, text),
            Self::Int(number) => operand(out, is_operand && *number < 0, &int_code(*number)),
            Self::Float(number) => {
                operand(out, is_operand && number.is_sign_negative(), &float_code(*number));
            }
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Path(path) => write_path(out, path),
            Self::List(elements) => {
                out.push_str("[ ");
                for element in elements {
                    element.write_code(out, true);
                    out.push(' ');
                }
                out.push(']');
            }
            Self::AttrSet(attrs) => {
                out.push_str("{ ");
                for (name, value) in attrs {
                    // A path of one name is printed as the name, with quotes where they are needed.
                    let _ = write!(out, "{} = ", AttributePath::new([name.as_str()]));
                    value.write_code(out, false);
                    out.push_str("; ");
                }
                out.push('}');
            }
            Self::Null => out.push_str("null"),
            Self::Expression(code) => operand(out, is_operand, code),
        }
    }

    /// Reads tagged or plain JSON; see the type's own text.
    pub(crate) fn of_json(json: Value) -> Result<Self, String> {
        let is_tagged = match &json {
            Value::String(text) => text == "Null",
            Value::Object(fields) if fields.len() == 1 => {
                fields.keys().all(|tag| Self::TAGS.contains(&tag.as_str()))
            }
            _ => false,
        };
        if is_tagged { Self::of_tagged(json) } else { Self::of_plain(json) }
    }

    fn of_plain(json: Value) -> Result<Self, String> {
        Ok(match json {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
                (Some(number), ..) => Self::Int(number),
                (None, false, Some(number)) => Self::Float(number),
                _ => return Err(format!("{number} is no 64-bit integer")),
            },
            Value::String(text) => Self::String(text),
            Value::Array(elements) => {
                Self::List(elements.into_iter().map(Self::of_plain).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let attr = |(name, value)| Ok((name, Self::of_plain(value)?));
                Self::AttrSet(fields.into_iter().map(attr).collect::<Result<_, String>>()?)
            }
        })
    }

    fn of_tagged(json: Value) -> Result<Self, String> {
        let fields = match json {
            Value::String(text) if text == "Null" => return Ok(Self::Null),
            Value::Object(fields) if fields.len() == 1 => fields,
            _ => return Err("a tagged value is `\"Null\"` or a set with one tag".to_owned()),
        };
        let Some((tag, content)) = fields.into_iter().next() else {
            return Err("a tagged value has a tag".to_owned());
        };
        Ok(match (tag.as_str(), content) {
            ("String", Value::String(text)) => Self::String(text),
            ("Path", Value::String(path)) => Self::Path(path),
            ("Expression", Value::String(code)) => Self::Expression(code),
            ("Bool", Value::Bool(value)) => Self::Bool(value),
            ("Int", Value::Number(number)) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => return Err(format!("{number} is no 64-bit integer")),
            },
            ("Float", Value::Number(number)) => match number.as_f64() {
                Some(number) => Self::Float(number),
                None => return Err(format!("{number} is no double")),
            },
            ("List", Value::Array(elements)) => {
                Self::List(elements.into_iter().map(Self::of_tagged).collect::<Result<_, _>>()?)
            }
            ("AttrSet", Value::Object(fields)) => {
                let attr = |(name, value)| Ok((name, Self::of_tagged(value)?));
                Self::AttrSet(fields.into_iter().map(attr).collect::<Result<_, String>>()?)
            }
            (tag, _) if Self::TAGS.contains(&tag) => {
                return Err(format!("what is tagged `{tag}` is something else"));
            }
            (tag, _) => {
                let tag: String = tag.chars().take(60).collect();
                return Err(format!("`{}` is the tag of no value", tag.escape_debug()));
            }
        })
    }
}

fn finite<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match number.is_finite() {
        true => serializer.serialize_f64(*number),
        false => {
            use serde::ser::Error as _;
            Err(S::Error::custom(format!("JSON cannot write the number {number}")))
        }
    }
}

impl<'de> Deserialize<'de> for NixValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        Self::of_json(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn operand(out: &mut String, needs_parentheses: bool, code: &str) {
    match needs_parentheses {
        true => out.extend(["(", code, ")"]),
        false => out.push_str(code),
    }
}

fn int_code(number: i64) -> String {
    match number {
        // Nix reads the sign as an operator, and the number behind it would be too large.
        i64::MIN => format!("{} - 1", i64::MIN + 1),
        _ => number.to_string(),
    }
}

fn float_code(number: f64) -> String {
    let code = format!("{number:?}");
    match code.split_once('e') {
        // Nix wants a dot before an exponent.
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => code,
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if chars.peek() == Some(&'{') => out.push_str("\\$"),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// Writes a path literal, or a sum of one and a text where a literal cannot say it.
fn write_path(out: &mut String, path: &str) {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+/".contains(c);
    let is_literal = path.chars().all(is_plain) && !path.contains("//") && !path.ends_with('/');
    match path {
        "." | "./" | "" => out.push_str("./."),
        "/" => out.push_str("/."),
        _ if is_literal && path.contains('/') => {
            let is_rooted = path.starts_with(['/', '.']);
            out.extend([if is_rooted { "" } else { "./" }, path]);
        }
        _ if is_literal => out.extend(["./", path]),
        _ => {
            let (root, rest) = match path.strip_prefix('/') {
                Some(rest) => ("/.", rest),
                None => ("./.", path.strip_prefix("./").unwrap_or(path)),
            };
            out.extend(["(", root, " + "]);
            write_text(out, &format!("/{rest}"));
            out.push(')');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<NixValue, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check_code(json: &str, code: &str) {
        assert_eq!(read(json).expect("reads").to_code(), code);
    }

    #[test]
    fn tagged_and_plain_are_read() {
        for (tagged, plain) in [
            (r#"{"AttrSet":{"a":{"Int":7},"b":"Null"}}"#, r#"{"a":7,"b":null}"#),
            (r#"{"List":[{"Float":0.5},{"Bool":true}]}"#, "[0.5,true]"),
            (r#"{"String":"x"}"#, r#""x""#),
            (r#"{"AttrSet":{"Int":{"Int":1},"x":{"String":"Null"}}}"#, r#"{"Int":1,"x":"Null"}"#),
            (r#"{"AttrSet":{}}"#, "{}"),
        ] {
            assert_eq!(read(tagged), read(plain), "{plain}");
            let written = serde_json::to_string(&read(plain).expect("reads")).expect("finite");
            assert_eq!(written, tagged);
        }
    }

    #[test]
    fn what_is_tagged_has_to_fit() {
        let mut errors = String::new();
        for json in [
            r#"{"Int":"7"}"#,
            r#"{"Int":9223372036854775808}"#,
            r#"{"a":18446744073709551615}"#,
            r#"{"List":[7]}"#,
            r#"{"AttrSet":{"a":{"Ints":7}}}"#,
            r#"{"Float":1e999}"#,
        ] {
            errors.push_str(&format!("{json}: {}\n", read(json).expect_err("does not fit")));
        }
        expect_test::expect![[r#"
            {"Int":"7"}: what is tagged `Int` is something else
            {"Int":9223372036854775808}: 9223372036854775808 is no 64-bit integer
            {"a":18446744073709551615}: 18446744073709551615 is no 64-bit integer
            {"List":[7]}: a tagged value is `"Null"` or a set with one tag
            {"AttrSet":{"a":{"Ints":7}}}: `Ints` is the tag of no value
            {"Float":1e999}: number out of range at line 1 column 14
        "#]]
        .assert_eq(&errors);
    }

    #[test]
    fn doubles_survive() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let number = f64::from_bits(random.u64(..));
            let value = NixValue::Float(number);
            match serde_json::to_string(&value) {
                Ok(json) => assert_eq!(read(&json), Ok(value)),
                Err(_) => assert!(!number.is_finite() && value.check().is_err()),
            }
        }
    }

    #[test]
    fn prints_code() {
        check_code(
            r#"{"a b":"x\"${y}$","c":[-1,1e300,-9223372036854775808,null]}"#,
            r#"{ "a b" = "x\"\${y}$"; c = [ (-1) 1.0e300 (-9223372036854775807 - 1) null ]; }"#,
        );
        check_code(
            r#"{"List":[{"Path":"x.nix"},{"Path":"/a b"},{"Expression":"f x"},{"Path":"/"}]}"#,
            r#"[ ./x.nix (/. + "/a b") (f x) /. ]"#,
        );
    }

    #[test]
    fn knows_what_json_cannot_hold() {
        let deep = (0..60).fold(NixValue::Null, |value, _| NixValue::List(vec![value]));
        assert_eq!(deep.check(), Err("it is nested deeper than 48 levels".to_owned()));
        let infinite = NixValue::List(vec![NixValue::Float(f64::INFINITY)]);
        let why = "it has the number inf, which JSON cannot write".to_owned();
        assert_eq!(infinite.check(), Err(why));
        assert!(serde_json::to_string(&infinite).is_err());
    }
}
