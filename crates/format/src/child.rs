//! How a program and a formatter in another process talk.
//!
//! A request is the length of a text as four bytes (the lowest first) and the text. An answer is a
//! byte (0 for a text, 1 for a failure), the place of the failure as four bytes, a length and a text.

use std::io::{self, ErrorKind, Read, Write};

use crate::Failure;

/// The place of a failure that has none.
const NOWHERE: u32 = u32::MAX;

/// Answers requests until there are no more.
///
/// Errors: one of the streams broke, or a request is cut off.
pub fn serve(
    mut input: impl Read,
    mut output: impl Write,
    mut format: impl FnMut(&str) -> Result<String, Failure>,
) -> io::Result<()> {
    loop {
        let text = match read_text(&mut input) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let (tag, at, text) = match format(&text) {
            Ok(text) => (0, NOWHERE, text),
            Err(failure) => (1, failure.at.unwrap_or(NOWHERE), failure.message),
        };
        output.write_all(&[tag])?;
        output.write_all(&at.to_le_bytes())?;
        write_text(&mut output, &text)?;
        output.flush()?;
    }
}

/// Writes a request.
///
/// Errors: the stream broke, or the text has 4 GiB.
pub fn ask(mut output: impl Write, text: &str) -> io::Result<()> {
    write_text(&mut output, text)?;
    output.flush()
}

/// Reads an answer.
///
/// Errors: the stream broke or ended.
pub fn answer(mut input: impl Read) -> io::Result<Result<String, Failure>> {
    let mut tag = [0];
    input.read_exact(&mut tag)?;
    let at = read_number(&mut input)?;
    let text = read_text(&mut input)?;
    Ok(match tag {
        [0] => Ok(text),
        _ => Err(Failure { at: (at != NOWHERE).then_some(at), message: text }),
    })
}

fn write_text(output: &mut impl Write, text: &str) -> io::Result<()> {
    let len = u32::try_from(text.len()).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))?;
    output.write_all(&len.to_le_bytes())?;
    output.write_all(text.as_bytes())
}

fn read_number(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_text(input: &mut impl Read) -> io::Result<String> {
    let len = read_number(input)?;
    // The length is the other side's word, so only what comes is allocated.
    let mut bytes = Vec::new();
    input.by_ref().take(u64::from(len)).read_to_end(&mut bytes)?;
    if bytes.len() < len as usize {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_understand_each_other() {
        let mut requests = Vec::new();
        for text in ["λ", "", "bad"] {
            ask(&mut requests, text).unwrap();
        }
        let mut answers = Vec::new();
        let format = |text: &str| match text {
            "bad" => Err(Failure { at: Some(7), message: "no".to_owned() }),
            text => Ok(format!("<{text}>")),
        };
        serve(&*requests, &mut answers, format).unwrap();
        let mut answers = &*answers;
        assert_eq!(answer(&mut answers).unwrap().unwrap(), "<λ>");
        assert_eq!(answer(&mut answers).unwrap().unwrap(), "<>");
        assert_eq!(answer(&mut answers).unwrap().unwrap_err().at, Some(7));
        assert!(answer(&mut answers).is_err());
    }

    #[test]
    fn lies_about_lengths_are_errors() {
        assert!(answer(&[0, 0, 0, 0, 0, 255, 255, 255, 255, b'a'][..]).is_err());
        assert!(answer(&[0, 0][..]).is_err());
        assert!(answer(&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0xff][..]).is_err());
    }
}
