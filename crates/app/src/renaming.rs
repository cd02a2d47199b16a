//! The command that changes a name wherever its file speaks of it.

use std::path::{Component, Path};

use cim_domain_nix::{Command, Evidence};
use cim_nix_base::{ChangeSet, ContentHash, Error, LineIndex, Op, apply_edits};
use cim_nix_semantics::{Why, lower, rename};

use crate::{App, Mode, Outcome, Proposal};

impl App<'_> {
    /// Runs a command that changes a name.
    ///
    /// Errors: it is refused, with the places that speak against it; there is no such file; or
    /// somebody else changed it. Nothing has changed then.
    pub fn rename(&self, command: &Command, mode: Mode) -> Result<Outcome, Error> {
        let Command::RenameSymbol(it) = command else {
            return Err(Error::bug(format!("{} renames nothing", command.command_type())));
        };
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(&it.file).components().all(is_plain) {
            return Err(Error::user(format!("`{}` is no file below the project", it.file)));
        }
        let path = self.below(Path::new(&it.path))?.join(&it.file);
        let shown = path.display().to_string();
        let text = self
            .files
            .read(&path)?
            .ok_or_else(|| Error::user(format!("there is no file `{shown}`")))?;
        let parsed = cim_nix_syntax::parse(text.as_str());
        let ir = lower(&parsed.tree);
        let renamed = rename(&parsed, &ir, it.offset, &it.to, it.even_if_used_elsewhere);
        let renamed = renamed.map_err(|refusal| refusal.error(&shown, &text))?;
        let mut set = ChangeSet::new(format!("rename `{}` to `{}`", renamed.from, it.to));
        if !renamed.edits.is_empty() {
            let content = apply_edits(&text, &renamed.edits)
                .map_err(|error| Error::bug("the edits do not fit").because(error))?;
            let expected = ContentHash::of(text.as_bytes());
            set.push(&path, Op::Write { expected, content });
        }
        let index = LineIndex::new(&text);
        let note = |(range, why): &(cim_nix_base::TextRange, Why)| {
            let at = index.position_chars(&text, range.start);
            format!("{shown}:{}:{}: {}", at.line + 1, at.column + 1, why.words())
        };
        let notes = renamed.elsewhere.iter().map(note).collect();
        let from = renamed.from;
        let evidence = move |changes| Evidence::Renamed { from: from.clone(), changes };
        self.change(command, Proposal { set, evidence: Box::new(evidence), notes }, mode)
    }
}

#[cfg(test)]
mod tests {
    use cim_domain_nix::command::RenameSymbol;
    use expect_test::expect;

    use super::*;
    use crate::testing::Kit;

    fn command(kit: &Kit, file: &str, offset: u32) -> Command {
        RenameSymbol {
            path: "/project".to_owned(),
            file: file.to_owned(),
            offset,
            to: "new".to_owned(),
            even_if_used_elsewhere: false,
            identity: kit.root(),
        }
        .into()
    }

    #[test]
    fn a_name_is_changed_and_changed_back() {
        let kit = Kit::new(&[("lib/a.nix", "let a = 1; in a")]);
        let done = kit.app().rename(&command(&kit, "lib/a.nix", 4), Mode::Apply).unwrap();
        assert_eq!(kit.files.show(), "lib/a.nix: let new = 1; in new\n");
        let [cim_domain_nix::Event::SymbolRenamed(event)] = &done.events[..] else { panic!() };
        assert_eq!((&*event.file, &*event.from, &*event.to), ("lib/a.nix", "a", "new"));
        kit.app().undo(None, Mode::Apply).unwrap();
        assert_eq!(kit.files.show(), "lib/a.nix: let a = 1; in a\n");
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let kit = Kit::new(&[("a.nix", "{ a = 1; }")]);
        let refused = |file: &str, offset: u32| {
            let refused = kit.app().rename(&command(&kit, file, offset), Mode::Apply).unwrap_err();
            let hints = refused.hints().iter().map(|hint| format!("\n  {hint}"));
            format!("{refused}{}\n", hints.collect::<String>())
        };
        let all = [("a.nix", 2), ("a.nix", 99), ("b.nix", 0), ("../a.nix", 2), ("/a.nix", 2)];
        expect![[r#"
            other code may ask for `a` by this name
              a.nix:1:1: the file gives it, and other files may use it
              --even-if-used-elsewhere goes on: look afterwards at what asks for the old name
            there is no name at this place
              a.nix:1:11: here
              `cim-nix symbols` lists names with their places
            there is no file `b.nix`
            `../a.nix` is no file below the project
            `/a.nix` is no file below the project
        "#]]
        .assert_eq(&all.map(|(file, at)| refused(file, at)).concat());
        assert_eq!(kit.files.show(), "a.nix: { a = 1; }\n");
        let mut n_events = 0;
        let count = &mut |_| {
            n_events += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        };
        kit.app().log(&crate::Filter::default(), count).unwrap();
        assert_eq!(n_events, 0);
    }

    #[test]
    fn a_name_that_stays_gives_no_event() {
        let kit = Kit::new(&[("a.nix", "let new = 1; in new")]);
        let done = kit.app().rename(&command(&kit, "a.nix", 4), Mode::Apply).unwrap();
        assert_eq!((done.events.len(), done.position), (0, None));
    }
}
