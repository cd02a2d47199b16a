//! What an evaluation needs built before it can go on: import from derivation.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cim_nix_eval::{FileKind, Io};
use cim_nix_model::{NarWriter, References, TreeWriter};
use tempfile::TempDir;

/// Stands before the references of a path in the format that `nix-store --import` reads.
const EXPORT_MAGIC: u64 = 0x4558_494e;

/// The files of another [`Io`], and a program that builds.
///
/// The program has to know the options `--import` and `--realise` of `nix-store`. As long as nothing
/// has to be built, it is not started; what it may need is kept in a temporary folder.
pub struct Building<I> {
    files: I,
    program: Option<Program>,
    say: Box<dyn Fn(&str)>,
}

struct Program {
    name: String,
    /// Made once something is to be kept.
    folder: RefCell<Option<TempDir>>,
    /// What was instantiated: each path with what it refers to.
    made: RefCell<HashMap<String, Vec<String>>>,
    /// Paths that the program has got.
    given: RefCell<HashSet<String>>,
    /// What was built: derivation, output, and the output's path.
    built: RefCell<HashMap<(String, String), String>>,
}

impl<I: Io> Building<I> {
    /// Lets `program` build what evaluation has to read; without one, that fails. `say` gets told
    /// what is built.
    pub fn new(files: I, program: Option<String>, say: Box<dyn Fn(&str)>) -> Self {
        let program = program.map(|name| Program {
            name,
            folder: RefCell::default(),
            made: RefCell::default(),
            given: RefCell::default(),
            built: RefCell::default(),
        });
        Self { files, program, say }
    }
}

impl Program {
    /// Where the archive of a path is kept.
    fn place(&self, path: &str) -> io::Result<PathBuf> {
        let mut folder = self.folder.borrow_mut();
        let folder = match &mut *folder {
            Some(folder) => folder,
            none => none.insert(tempfile::Builder::new().prefix("cim-nix-build-").tempdir()?),
        };
        Ok(folder.path().join(path.rsplit('/').next().unwrap_or(path)))
    }

    fn keep(
        &self,
        path: &str,
        references: Vec<String>,
        write: impl FnOnce(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.made.borrow().contains_key(path) {
            return Ok(());
        }
        let mut nar = NarWriter::new(BufWriter::new(File::create(self.place(path)?)?))?;
        write(&mut nar)?;
        nar.into_inner().flush()?;
        self.made.borrow_mut().insert(path.to_owned(), references);
        Ok(())
    }

    /// What was made here of all that a path needs, and the program has not got; what others refer
    /// to comes first.
    fn lacking(&self, path: &str) -> Vec<String> {
        let (made, given) = (self.made.borrow(), self.given.borrow());
        let mut order = Vec::new();
        let mut seen = HashSet::new();
        // Each path stands here twice: to look at its references, and behind them.
        let mut todo = vec![(path.to_owned(), false)];
        while let Some((path, is_over)) = todo.pop() {
            let Some(references) = made.get(&path).filter(|_| !given.contains(&path)) else {
                continue;
            };
            if is_over {
                order.push(path);
            } else if seen.insert(path.clone()) {
                todo.push((path.clone(), true));
                todo.extend(
                    references.iter().filter(|other| **other != path).map(|r| (r.clone(), false)),
                );
            }
        }
        order
    }

    fn import(&self, paths: &[String]) -> Result<(), String> {
        let name = &self.name;
        let failed = |error: io::Error| format!("giving '{name}' what it needs: {error}");
        let mut child = Command::new(name)
            .arg("--import")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot run '{name}', which is to build: {error}"))?;
        let written = match child.stdin.take() {
            Some(pipe) => self.export(paths, BufWriter::new(pipe)),
            None => Ok(()),
        };
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            return Err(format!("'{name} --import' failed ({status})"));
        }
        written.map_err(failed)?;
        self.given.borrow_mut().extend(paths.iter().cloned());
        Ok(())
    }

    fn export(&self, paths: &[String], mut out: impl Write) -> io::Result<()> {
        for path in paths {
            out.write_all(&1u64.to_le_bytes())?;
            io::copy(&mut File::open(self.place(path)?)?, &mut out)?;
            out.write_all(&EXPORT_MAGIC.to_le_bytes())?;
            text(&mut out, path)?;
            let made = self.made.borrow();
            let references = made.get(path).map(Vec::as_slice).unwrap_or_default();
            out.write_all(&(references.len() as u64).to_le_bytes())?;
            references.iter().try_for_each(|reference| text(&mut out, reference))?;
            // Neither a derivation that it comes from nor a signature.
            text(&mut out, "")?;
            out.write_all(&0u64.to_le_bytes())?;
        }
        out.write_all(&0u64.to_le_bytes())?;
        out.flush()
    }

    fn realise(&self, derivation: &str, output: &str) -> Result<String, String> {
        let name = &self.name;
        let result = Command::new(name)
            .args(["--realise", &format!("{derivation}!{output}")])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run '{name}', which is to build: {error}"))?;
        if !result.status.success() {
            return Err(format!(
                "'{name}' could not build output '{output}' of '{derivation}' ({})",
                result.status
            ));
        }
        let paths = String::from_utf8_lossy(&result.stdout);
        match paths.lines().last() {
            Some(path) if path.starts_with('/') => Ok(path.to_owned()),
            _ => Err(format!("'{name}' did not say where output '{output}' of '{derivation}' is")),
        }
    }
}

/// A text as archives have it: its length, its bytes, and zeros up to a multiple of eight.
fn text(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(&(text.len() as u64).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    let rest = text.len() % 8;
    out.write_all(if rest > 0 { &[0; 8][rest..] } else { &[] })
}

impl<I: Io> Io for Building<I> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }
    fn read_within(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.files.read_within(path, limit)
    }
    fn read_for_archive(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        self.files.read_for_archive(path, buffer)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        self.files.list(path)
    }
    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        self.files.link_kind(path)
    }
    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.files.kind(path)
    }
    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        self.files.link_target(path)
    }
    fn is_executable(&self, path: &Path) -> io::Result<bool> {
        self.files.is_executable(path)
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.files.variable(name)
    }

    fn add_text(&self, path: &str, text: &[u8], references: &References) -> io::Result<()> {
        if let Some(program) = &self.program {
            let references = references.iter().cloned().collect();
            program.keep(path, references, |nar| nar.file(false, text))?;
        }
        self.files.add_text(path, text, references)
    }

    fn add_tree(
        &self,
        path: &str,
        write: &mut dyn FnMut(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        if let Some(program) = &self.program {
            program.keep(path, Vec::new(), &mut *write)?;
        }
        self.files.add_tree(path, write)
    }

    fn build(&self, derivation: &str, output: &str) -> Result<String, String> {
        let Some(program) = &self.program else {
            return Err(
                "import from derivation is off; name what builds with `--build-with nix-store`"
                    .to_owned(),
            );
        };
        let key = (derivation.to_owned(), output.to_owned());
        if let Some(path) = program.built.borrow().get(&key) {
            return Ok(path.clone());
        }
        (self.say)(&format!("building '{derivation}^{output}', which evaluation needs"));
        let lacking = program.lacking(derivation);
        if !lacking.is_empty() {
            program.import(&lacking)?;
        }
        let path = program.realise(derivation, output)?;
        program.built.borrow_mut().insert(key, path.clone());
        Ok(path)
    }
}
