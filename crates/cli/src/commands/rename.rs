//! `cim-nix rename`: changes a name wherever its file speaks of it, as one event.

use std::path::{Path, PathBuf};

use cim_domain_nix::command::RenameSymbol;
use cim_nix_base::{Error, LineIndex, TextSize};
use clap::Args;

use crate::exit::Exit;
use crate::outcome::ChangeArgs;
use crate::reading::read_named;
use crate::recording::{self, Recorder, new_identity};
use crate::scope::{self, shown};
use crate::terminal::ColorWhen;

const EXAMPLES: &str = "\
Examples:
  cim-nix rename flake.nix:12:5 hosts            the name in line 12, column 5
  cim-nix rename flake.nix:12:5 hosts --dry-run  show what would change
  cim-nix symbols flake.nix                      names with their places

A name that would catch another one, or be caught, is refused, and so is one that other files may ask
for. `cim-nix undo` takes a renaming back.
Exit status: 0 done, or nothing to change; 1 --dry-run found something to change; 2 refused, with
the places that speak against it; 3 the machine failed.";

/// Change a name wherever its file speaks of it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RenameArgs {
    /// A place where the name stands, as `cim-nix symbols` writes it: lines and columns from 1
    #[arg(value_name = "FILE:LINE:COLUMN", value_parser = place)]
    place: Place,
    /// The new name
    #[arg(value_name = "NEW")]
    to: String,
    /// Go on where other code may ask for the old name, and say where
    #[arg(long)]
    even_if_used_elsewhere: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// A place in a file, as people write it.
#[derive(Clone, Debug)]
struct Place {
    file: PathBuf,
    line: u32,
    column: u32,
}

fn place(text: &str) -> Result<Place, String> {
    let wanted = || "a place is written as a file, a line and a column, such as `flake.nix:3:5`";
    let number = |text: &str| text.parse::<u32>().ok().filter(|&number| number > 0);
    // What lists places ends them with a colon.
    let mut parts = text.strip_suffix(':').unwrap_or(text).rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    match (file, line.and_then(number), column.and_then(number)) {
        (Some(file), Some(line), Some(column)) if !file.is_empty() => {
            Ok(Place { file: file.into(), line, column })
        }
        _ => Err(wanted().to_owned()),
    }
}

impl RenameArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        let file = scope::real(&self.place.file);
        let root = scope::project_root(std::slice::from_ref(&file));
        let offset = self.place.offset(&read_named(&file)?.text)?;
        let recorder = Recorder::open(&root)?;
        let app = recorder.app();
        recording::tell(&app.recover_files()?);
        let below = file.strip_prefix(recorder.root()).map_err(|_| {
            let (file, root) = (shown(&file), shown(recorder.root()));
            Error::bug(format!("`{file}` is outside of the project `{root}`"))
        })?;
        let command = RenameSymbol {
            path: recording::text_of(recorder.root())?,
            file: recording::text_of(below)?,
            offset,
            to: self.to.clone(),
            even_if_used_elsewhere: self.even_if_used_elsewhere,
            identity: new_identity(),
        };
        let outcome = app.rename(&command.into(), self.change.mode())?;
        self.change.tell(&outcome, color)
    }
}

impl Place {
    /// The byte at which it is in its file's text.
    ///
    /// Errors: the file has no such place.
    fn offset(&self, text: &str) -> Result<TextSize, Error> {
        let (file, line) = (shown(Path::new(&self.file)), self.line);
        let index = LineIndex::new(text);
        let range = index.line_range(text, line - 1).ok_or_else(|| {
            let lines = crate::output::number(index.len() as usize, "line");
            Error::user(format!("there is no line {line} in `{file}`: it has {lines}"))
        })?;
        let content = &text[range.as_usize()];
        let mut starts = content.char_indices().map(|(at, _)| at).chain([content.len()]);
        let at = starts.nth(self.column as usize - 1).ok_or_else(|| {
            let columns = crate::output::number(content.chars().count(), "column");
            Error::user(format!(
                "there is no column {} in line {line} of `{file}`: it has {columns}",
                self.column
            ))
        })?;
        Ok(range.start + at as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(text: &str, line: u32, column: u32) -> String {
        let place = Place { file: "a.nix".into(), line, column };
        match place.offset(text) {
            Ok(offset) => offset.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(offset("ab\r\nλb", 1, 1), "0");
        assert_eq!(offset("ab\r\nλb", 2, 2), "6");
        assert_eq!(offset("ab", 1, 3), "2");
        assert_eq!(offset("", 1, 1), "0");
        assert_eq!(offset("ab\n", 4, 1), "there is no line 4 in `a.nix`: it has 2 lines");
        assert_eq!(
            offset("ab\nc", 1, 9),
            "there is no column 9 in line 1 of `a.nix`: it has 2 columns"
        );
    }

    #[test]
    fn a_place_is_a_file_a_line_and_a_column() {
        let place = place("a:b.nix:3:5").unwrap();
        assert_eq!((place.file, place.line, place.column), ("a:b.nix".into(), 3, 5));
        assert!(super::place("a.nix:3:5:").is_ok());
        for wrong in ["a.nix", "a.nix:3", "a.nix:0:1", ":3:5", "a.nix:x:1", "a.nix:3:-1"] {
            assert!(super::place(wrong).is_err(), "{wrong}");
        }
    }
}
