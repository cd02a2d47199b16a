//! `cim-nix files`: the files of a project, and what each one is.

use std::path::PathBuf;

use cim_nix_base::Error;
use cim_nix_project::{encrypted_reason, generated_reason};
use cim_nix_syntax::Parser;
use cim_nix_syntax::file_kind::{Detected, detect, detect_lock};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::args::WalkArgs;
use crate::exit::Exit;
use crate::listing::{Listing, list};
use crate::output::json_text;

const EXAMPLES: &str = "\
Examples:
  cim-nix files                    path, kind, and what in the file tells the kind
  cim-nix files --no-ignore        with what .gitignore leaves out
  cim-nix files --format json      for another program";

/// List the files of a project, and what each one is
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FilesArgs {
    /// Files and folders
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to list
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: FileFormat,
    #[command(flatten)]
    walk: WalkArgs,
}

/// How to list files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum FileFormat {
    /// One file a line
    #[default]
    Text,
    /// One JSON object; its schema is documented in docs/cli.md
    Json,
}

#[derive(Serialize)]
struct JsonFile<'a> {
    path: &'a str,
    kind: &'static str,
    /// Whose module it is.
    system: Option<&'static str>,
    reason: &'a str,
    /// Why the file counts as written by a tool.
    generated: Option<&'static str>,
}

pub(crate) fn run(args: &FilesArgs) -> Result<Exit, Error> {
    let is_json = args.format == FileFormat::Json;
    list(
        Listing { paths: &args.paths, walk: &args.walk, nix_only: false, is_json },
        Parser::default,
        |parser, file| {
            let generated =
                encrypted_reason(&file.text).or_else(|| generated_reason(file.path, &file.text));
            // A lock file is no Nix code: parsing it would take long and tell nothing.
            let Detected { kind, system, reason, .. } = match detect_lock(&file.text) {
                Some(lock) => lock,
                None => detect(file.name, &parser.parse(file.text).tree),
            };
            if is_json {
                let system = system.map(|system| system.name());
                let kind = kind.name();
                return json_text(&JsonFile {
                    path: file.name,
                    kind,
                    system,
                    reason: &reason,
                    generated,
                });
            }
            let system = system.map(|system| format!(" ({system})")).unwrap_or_default();
            let generated = generated.map(|reason| format!("; {reason}")).unwrap_or_default();
            format!("{}: {kind}{system}: {reason}{generated}\n", file.name)
        },
    )
}
