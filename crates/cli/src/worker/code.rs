//! Commands about code: what checks, fixes and formatters come to. Nothing is written.

use std::path::Path;

use cim_domain_nix::{Command, Evidence};
use cim_nix_base::{ChangeSet, Error, Op};
use cim_nix_host::protocol::Worked;

use crate::checking::FixedFile;
use crate::commands::check::{self, Wish};
use crate::commands::fmt;
use crate::confinement::Confinement;

/// What a command comes to.
///
/// Errors: it is about nothing here, or files cannot be read.
pub(super) fn work(around: &Confinement, command: &Command) -> Result<Worked, Error> {
    match command {
        Command::CheckFlake(it) => {
            let folder = around.folder(Path::new(&it.path))?;
            let found = check::look_through(&folder, None)?;
            let (files, findings) = (found.tally.files as u64, found.tally.as_findings());
            let evidence = Evidence::Checked { files, findings };
            Ok(Worked { set: ChangeSet::default(), evidence, notes: found.notes })
        }
        Command::FixProject(it) => {
            let folder = around.folder(Path::new(&it.path))?;
            let wish = Wish { select: it.select.clone(), unsafe_fixes: it.unsafe_fixes };
            let found = check::look_through(&folder, Some(&wish))?;
            let set = changes(around, "fix what `cim-nix check --fix` found", &found.files)?;
            let evidence = Evidence::Fixed { fixes: found.fixes(), changes: Vec::new() };
            Ok(Worked { set, evidence, notes: found.notes })
        }
        Command::FormatProject(it) => {
            let folder = around.folder(Path::new(&it.path))?;
            let (formatter, files, notes) = fmt::look_through(&folder, it.formatter.as_deref())?;
            let set = changes(around, "format with `cim-nix fmt`", &files)?;
            let evidence = Evidence::Formatted { formatter, changes: Vec::new() };
            Ok(Worked { set, evidence, notes })
        }
        _ => Err(Error::bug(format!("{} is not about code", command.command_type()))),
    }
}

fn changes(around: &Confinement, title: &str, files: &[FixedFile]) -> Result<ChangeSet, Error> {
    let mut set = ChangeSet::new(title);
    for file in files {
        let path = file.path.strip_prefix(&around.setup.root).map_err(|_| {
            Error::bug(format!("`{}` is outside of the project", file.path.display()))
        })?;
        set.push(path, Op::Write { expected: file.before, content: file.text.clone() });
    }
    Ok(set)
}
