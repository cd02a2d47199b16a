//! The Nix archive format, which says what a file tree is, byte for byte.

use std::io::{self, Write};

/// Takes a file tree node by node: [`file`](Self::file) or [`symlink`](Self::symlink) for a leaf;
/// [`open`](Self::open), then [`entry`](Self::entry), its node and [`end_entry`](Self::end_entry)
/// for each name in byte order, then [`close`](Self::close) for a folder. All fail as writing does.
pub trait TreeWriter {
    /// A file.
    fn file(&mut self, is_executable: bool, content: &[u8]) -> io::Result<()>;
    /// A symbolic link.
    fn symlink(&mut self, target: &[u8]) -> io::Result<()>;
    /// The beginning of a folder.
    fn open(&mut self) -> io::Result<()>;
    /// The name of the node that comes next.
    fn entry(&mut self, name: &[u8]) -> io::Result<()>;
    /// The end of a node in a folder.
    fn end_entry(&mut self) -> io::Result<()>;
    /// The end of a folder.
    fn close(&mut self) -> io::Result<()>;
}

/// Writes one archive.
pub struct NarWriter<W> {
    out: W,
}

impl<W: Write> NarWriter<W> {
    /// Starts an archive.
    ///
    /// Errors: those of `out`, as in all other calls.
    pub fn new(out: W) -> io::Result<Self> {
        let mut writer = Self { out };
        writer.text(b"nix-archive-1")?;
        Ok(writer)
    }

    fn number(&mut self, number: u64) -> io::Result<()> {
        self.out.write_all(&number.to_le_bytes())
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.number(text.len() as u64)?;
        self.out.write_all(text)?;
        let rest = text.len() % 8;
        if rest > 0 {
            self.out.write_all(&[0; 8][rest..])?;
        }
        Ok(())
    }

    fn texts(&mut self, texts: &[&[u8]]) -> io::Result<()> {
        texts.iter().try_for_each(|text| self.text(text))
    }

    /// What it was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> TreeWriter for NarWriter<W> {
    fn file(&mut self, is_executable: bool, content: &[u8]) -> io::Result<()> {
        self.texts(&[b"(", b"type", b"regular"])?;
        if is_executable {
            self.texts(&[b"executable", b""])?;
        }
        self.texts(&[b"contents", content, b")"])
    }

    fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        self.texts(&[b"(", b"type", b"symlink", b"target", target, b")"])
    }

    fn open(&mut self) -> io::Result<()> {
        self.texts(&[b"(", b"type", b"directory"])
    }

    fn entry(&mut self, name: &[u8]) -> io::Result<()> {
        self.texts(&[b"entry", b"(", b"name", name, b"node"])
    }

    fn end_entry(&mut self) -> io::Result<()> {
        self.text(b")")
    }

    fn close(&mut self) -> io::Result<()> {
        self.text(b")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Hash, HashKind};

    #[test]
    fn hash_is_that_of_nix() {
        // `nix hash path` of a folder with `a` (executable, "x\n"), `b` -> a, and an empty folder `c`.
        let mut nar = NarWriter::new(Vec::new()).unwrap();
        nar.open().unwrap();
        nar.entry(b"a").unwrap();
        nar.file(true, b"x\n").unwrap();
        nar.end_entry().unwrap();
        nar.entry(b"b").unwrap();
        nar.symlink(b"a").unwrap();
        nar.end_entry().unwrap();
        nar.entry(b"c").unwrap();
        nar.open().unwrap();
        nar.close().unwrap();
        nar.end_entry().unwrap();
        nar.close().unwrap();
        let hash = Hash::of(HashKind::Sha256, &nar.into_inner());
        assert_eq!(
            hash.format(crate::HashFormat::Sri),
            "sha256-g2A48FrZWW22KQeMEZaF0+XpJ10W8lM/Hcasu/KChCU="
        );
    }
}
