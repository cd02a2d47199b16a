//! Reading what callers send: commands and queries, bare or in envelopes, with their ids.

use cim_domain_nix::headers::Headers;
use cim_domain_nix::{Command, MessageId, MessageIdentity, Query, Uuid};
use serde_json::{Map, Value};

use crate::reply::{Cause, Ids, Refusal};

/// How large and deep a message may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// Bytes of its body.
    pub bytes: usize,
    /// How deeply its values may be nested.
    pub depth: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { bytes: 1 << 20, depth: 64 }
    }
}

/// What a message wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Wish {
    /// Something is to be done.
    Command(Box<Command>),
    /// Something is asked.
    Query(Box<Query>),
}

/// A message that was read.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// What is wanted.
    pub wish: Wish,
    /// Which message it is.
    pub ids: Ids,
    /// Who issued it, if the message says so.
    pub issued_by: Option<String>,
}

impl Message {
    /// The name of its type.
    #[must_use]
    pub fn message_type(&self) -> &'static str {
        match &self.wish {
            Wish::Command(command) => command.command_type(),
            Wish::Query(query) => query.query_type(),
        }
    }

    /// Reads a message of the type `message_type`, which the subject or the path names. An id that
    /// neither body nor headers have is that of `new_id`.
    ///
    /// Errors: it is too large or too deep, of no known type, or not of its shape.
    pub fn read(
        message_type: &str,
        body: &[u8],
        headers: &Headers,
        size: Size,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Self, Refusal> {
        let text = readable(body, size)?;
        match Command::TYPES.contains(&message_type) {
            true => Self::command(message_type, text, headers, new_id),
            false => Self::query(message_type, text, headers, new_id),
        }
    }

    fn command(
        message_type: &str,
        text: &str,
        headers: &Headers,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Self, Refusal> {
        let malformed =
            |error: String| Refusal::new(Cause::Malformed, one_line(&error)).hint(SHAPES);
        // Most are bare and complete.
        if let Ok(command) = Command::read(message_type, text) {
            return Ok(Self::of_command(command, headers, false, None));
        }
        let mut fields = object(text)?;
        let is_enveloped = fields.get("command").is_some_and(Value::is_object);
        let (mut envelope_id, mut envelope_identity, mut issued_by) = (None, None, None);
        if is_enveloped {
            envelope_id = fields.get("id").and_then(entity_id);
            envelope_identity = fields.remove("identity");
            issued_by = issuer(&fields)?;
            if let Some(Value::Object(inner)) = fields.remove("command") {
                fields = inner;
            }
        }
        if let Some(identity) = envelope_identity {
            fields.entry("identity").or_insert(identity);
        }
        if !fields.contains_key("identity") {
            let identity = headers.identity().unwrap_or_else(|| {
                headers.identity_of(MessageId::Uuid(envelope_id.unwrap_or_else(new_id)))
            });
            let identity = serde_json::to_value(&identity)
                .map_err(|error| malformed(format!("its identity cannot be written: {error}")))?;
            fields.insert("identity".to_owned(), identity);
        }
        let text = Value::Object(fields).to_string();
        let command = Command::read(message_type, &text);
        let command =
            command.map_err(|problem| malformed(placeless(&problem.to_string()).to_owned()))?;
        Ok(Self::of_command(command, headers, is_enveloped, issued_by))
    }

    fn of_command(
        command: Command,
        headers: &Headers,
        is_enveloped: bool,
        issued_by: Option<String>,
    ) -> Self {
        let MessageIdentity { message_id, correlation_id, .. } = command.identity().clone();
        let ids = Ids { message: message_id, correlation: correlation_id, is_enveloped };
        let issued_by = issued_by.or_else(|| headers.user.clone());
        Self { wish: Wish::Command(Box::new(command)), ids, issued_by }
    }

    fn query(
        message_type: &str,
        text: &str,
        headers: &Headers,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Result<Self, Refusal> {
        let malformed = |error: String| Refusal::new(Cause::Malformed, one_line(placeless(&error)));
        let text = if text.trim_ascii().is_empty() { "{}" } else { text };
        let ids = |identity: MessageIdentity, is_enveloped| Ids {
            message: identity.message_id,
            correlation: identity.correlation_id,
            is_enveloped,
        };
        let of_headers = |new_id: &mut dyn FnMut() -> Uuid| {
            headers.identity().unwrap_or_else(|| headers.identity_of(new_id().into()))
        };
        // A field of that name is in no query, so the text need not be taken apart.
        if !text.contains("\"query\"") || message_type == "SearchNixPackages" {
            // A list would pass for the fields in their order.
            if !text.trim_ascii_start().starts_with('{') {
                object(text)?;
            }
            let query = Query::read(message_type, text).map_err(malformed)?;
            let ids = ids(of_headers(new_id), false);
            let issued_by = headers.user.clone();
            return Ok(Self { wish: Wish::Query(Box::new(query)), ids, issued_by });
        }
        let mut fields = object(text)?;
        // A query that has a field of this name itself is in an envelope only if that says more.
        let has_own = Query::fields_of(message_type).is_some_and(|own| own.contains(&"query"));
        let is_enveloped = fields.get("query").is_some_and(Value::is_object)
            && (!has_own || fields.contains_key("identity") || fields.contains_key("id"));
        let mut identity = None;
        let mut issued_by = headers.user.clone();
        if is_enveloped {
            identity = match fields.remove("identity") {
                Some(identity) => Some(
                    serde_json::from_value(identity)
                        .map_err(|error| malformed(format!("its identity: {error}")))?,
                ),
                None => fields
                    .get("id")
                    .and_then(entity_id)
                    .map(|id| headers.identity_of(MessageId::Uuid(id))),
            };
            issued_by = issuer(&fields)?.or(issued_by);
            if let Some(Value::Object(inner)) = fields.remove("query") {
                fields = inner;
            }
        }
        let identity = identity.unwrap_or_else(|| of_headers(new_id));
        let query = Query::read(message_type, &Value::Object(fields).to_string());
        let query = query.map_err(malformed)?;
        Ok(Self { wish: Wish::Query(Box::new(query)), ids: ids(identity, is_enveloped), issued_by })
    }
}

const SHAPES: &str =
    "a command is one JSON object, bare or as `command` in an envelope; docs/domain has its fields";

/// Characters that a name may have.
const LONGEST_NAME: usize = 200;

/// Who issued what is in an envelope, by what it says. The name is written down with every event, and
/// shown in lines and headers.
///
/// Errors: it is no name.
fn issuer(fields: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    let Some(name) = fields.get("issued_by").and_then(Value::as_str) else { return Ok(None) };
    match name.chars().any(char::is_control) || name.chars().count() > LONGEST_NAME {
        true => Err(Refusal::new(
            Cause::Malformed,
            format!(
                "`issued_by` is a name of {LONGEST_NAME} characters at most, without line breaks"
            ),
        )),
        false => Ok(Some(name.to_owned())),
    }
}

/// The text of a body.
///
/// Errors: it is too large, too deep, or no UTF-8.
fn readable(body: &[u8], size: Size) -> Result<&str, Refusal> {
    if body.len() > size.bytes {
        return Err(Refusal::new(
            Cause::TooLarge,
            format!("the message has {} bytes; {} are allowed", body.len(), size.bytes),
        ));
    }
    if is_deeper(body, size.depth) {
        return Err(Refusal::new(
            Cause::TooLarge,
            format!("the message is nested more than {} levels deep", size.depth),
        ));
    }
    std::str::from_utf8(body).map_err(|error| {
        Refusal::new(Cause::Malformed, format!("the message is no UTF-8: {error}"))
    })
}

/// Whether JSON is nested deeper than `most`, without reading it as JSON.
fn is_deeper(body: &[u8], most: usize) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn object(text: &str) -> Result<Map<String, Value>, Refusal> {
    let malformed = |why: String| Refusal::new(Cause::Malformed, why);
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(malformed("the message is no JSON object".to_owned())),
        Err(error) => Err(malformed(format!("the message is no JSON: {error}"))),
    }
}

/// The id in `{"id": ".."}`, or in plain text.
fn entity_id(value: &Value) -> Option<Uuid> {
    let text = value.as_str().or_else(|| value.get("id")?.as_str())?;
    Uuid::try_parse(text).ok()
}

/// A problem of a text that was put together here, so that its place in it tells nobody anything.
fn placeless(problem: &str) -> &str {
    let is_place = |rest: &str| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        rest.split_once(" column ").is_some_and(|(line, column)| digits(line) && digits(column))
    };
    match problem.rsplit_once(" at line ") {
        Some((before, rest)) if is_place(rest) => before,
        _ => problem,
    }
}

/// What libraries say of bodies may have bytes of them.
fn one_line(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
