//! Pages about the [`codes`]: what happened, why the file stayed as it is, what to do.

use cim_nix_base::Code;

use crate::codes;

/// What a code is about.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The code.
    pub code: Code,
    /// Its name for people.
    pub name: &'static str,
    /// The text, in Markdown: a summary, and sections under headings of the second level.
    pub text: &'static str,
}

impl Page {
    /// The page in Markdown, with a heading.
    #[must_use]
    pub fn markdown(&self) -> String {
        format!("# {} {}\n\n{}\n", self.code, self.name, self.text.trim())
    }
}

/// The page of the code or the name `word`.
#[must_use]
pub fn find(word: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code.0.eq_ignore_ascii_case(word) || page.name == word)
}

/// All pages, by code.
pub static PAGES: [Page; 4] = [
    Page {
        code: codes::CHANGES,
        name: "changed-meaning",
        text: "
Says that what a formatter wrote means something else than the file.

## What happened

The file was parsed before and after, and the two trees differ at this place: another name, number or
operator, another order, or another value of a string.

## Why the file stays as it is

Nobody reads the changes of a formatter line by line. One that changes a value builds something else,
or breaks at run time only.

## Example

Blanks at the end of a line belong to the value of an indented string:

```nix
''
  a\x20
''
```

A formatter that cuts them off changes the value:

```nix
''
  a
''
```

## What to do

Write what the formatter stumbles on in another way, such as `${\" \"}` for a blank at the end of a line;
leave the file out (`exclude` in `[format]`); or choose another formatter. Please report it to the
formatter's authors: the message shows what changed.
",
    },
    Page {
        code: codes::LOSES,
        name: "lost-comment",
        text: "
Says that what a formatter wrote lacks a comment, or a part of one.

## What happened

Comments may move, be joined and be marked in another way. But some character of them is found less
often than before; the message points at the first comment that is not there as it was.

## Why the file stays as it is

A comment means nothing to Nix and may be all that somebody knew about a line.

## Example

```nix
{
  # why it has to be 1
  a = 1;
}
```

A formatter that writes this lost it:

```nix
{
  a = 1;
}
```

## What to do

Move the comment to a line of its own above what it is about; formatters lose those that stand where
few people write them. Please report it to the formatter's authors.
",
    },
    Page {
        code: codes::BREAKS,
        name: "broken-result",
        text: "
Says that what a formatter wrote is no Nix code.

## What happened

The file can be read, and what the formatter made of it cannot. Mostly the formatter is older than what
the file uses.

## Why the file stays as it is

It works as it is, and would not any more.

## Example

nixpkgs-fmt does not know the pipe operators:

```nix
[ 1 2 ] |> f
```

It tears them apart:

```nix
[ 1 2 ] | > f
```

## What to do

Choose a formatter that knows this syntax (`--formatter nixfmt`), or leave the file out (`exclude` in
`[format]`).
",
    },
    Page {
        code: codes::FAILED,
        name: "failed-formatter",
        text: "
Says that a formatter gave no text for a file.

## What happened

It could not read the file, crashed, ended with a status of failure, wrote nothing, or took more time
or memory than it may. The message says which of them, with the formatter's own words where it has
some.

## Why the file stays as it is

There is nothing to write.

## Example

Nix and the formatters refuse the same name twice:

```nix
{ a, a }: a
```

## What to do

Where the message is about the file, mend the file. Where time is short, `--timeout-per-file` gives
more. Where the formatter crashes, please report it to its authors; until then leave the file out
(`exclude` in `[format]`) or choose another formatter.
",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, Gate, Options, Refusal, nixfmt, nixpkgs_fmt};

    fn blocks(page: &Page) -> Vec<&str> {
        let inner = page.text.split("```nix\n").skip(1);
        inner.map(|rest| rest.split("```").next().unwrap()).collect()
    }

    #[test]
    fn examples_are_refused_as_the_pages_say() {
        for page in &PAGES {
            let (before, answer) = match blocks(page)[..] {
                [before, after] => (before, Ok(after.to_owned())),
                [before] => (before, nixfmt(before, Options::default())),
                ref other => panic!("{}: {other:?}", page.code),
            };
            let refused = Gate::default().format(before, "mine", |_| answer);
            let Err(Refusal::Formatter(finding)) = refused else { panic!("{}", page.code) };
            assert_eq!(finding.code, page.code);
        }
        let pipes = blocks(find("FMT003").unwrap())[0];
        let run = |text: &str| Ok::<_, Failure>(nixpkgs_fmt(text));
        assert!(Gate::default().format(pipes, "nixpkgs-fmt", run).is_err());
    }

    #[test]
    fn pages_are_found_and_whole() {
        assert!(PAGES.is_sorted_by_key(|page| page.code));
        assert_eq!(find("fmt002").unwrap().name, "lost-comment");
        assert_eq!(find("broken-result").unwrap().code, codes::BREAKS);
        assert!(find("FMT").is_none());
        for page in &PAGES {
            let wanted = ["What happened", "Why the file stays as it is", "Example", "What to do"];
            let sections = page.text.lines().filter_map(|line| line.strip_prefix("## "));
            assert_eq!(sections.collect::<Vec<_>>(), wanted, "{}", page.code);
            assert!(page.markdown().starts_with(&format!("# {} ", page.code)));
        }
    }
}
