//! Whether the outputs of a flake are what their names promise, by the rules of
//! `nix flake check --no-build`. All outputs are looked at, whatever fails before them.

use std::collections::BTreeSet;

use cim_nix_eval::{ErrorKind, EvalError, Evaluation, Format, Frame, Handle, Weight};

type Res<T> = Result<T, Box<EvalError>>;

/// One output that was checked.
pub(crate) struct Checked {
    /// The names that lead to it.
    pub(crate) path: Vec<String>,
    /// What it should be.
    pub(crate) kind: &'static str,
    /// The derivation that it is or leads to, if it should; or why it is not what it should be.
    pub(crate) outcome: Res<Option<String>>,
}

/// What came of a flake.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) outputs: Vec<Checked>,
    /// What is worth a warning, one sentence each.
    pub(crate) warnings: Vec<String>,
    /// Systems whose outputs nobody looked at.
    pub(crate) omitted: BTreeSet<String>,
}

/// What is checked.
pub(crate) struct CheckOptions<'o> {
    /// The system whose outputs are checked.
    pub(crate) system: &'o str,
    pub(crate) has_all_systems: bool,
    /// Called before an output is looked at.
    pub(crate) on_output: &'o dyn Fn(),
}

/// Checks the outputs of a flake.
///
/// Errors: time or memory is used up.
pub(crate) fn check<'e>(
    evaluation: &'e Evaluation,
    outputs: Handle<'e>,
    options: CheckOptions<'_>,
) -> Res<Report> {
    let sets = vec![outputs];
    let mut checker = Checker { evaluation, options, report: Report::default(), sets };
    for (name, value) in evaluation.members(outputs)? {
        let kind = kind(&name);
        checker.output(&name, value, kind)?;
    }
    Ok(checker.report)
}

/// What is below a name at the top.
#[derive(Clone, Copy)]
enum Kind {
    /// One thing.
    One(Thing),
    /// Some by name.
    Named(Thing),
    /// One for each system.
    OfSystem(Thing),
    /// Some for each system, by name.
    OfSystemNamed(Thing),
    /// Systems and whatever they have.
    Systems,
    /// Sets of derivations in each other.
    Jobs,
    /// Known, but of no known form.
    Free,
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thing {
    Derivation,
    App,
    Overlay,
    Module,
    Template,
    Bundler,
    /// A configuration, and the attributes that lead from it to a derivation.
    Configuration(&'static [&'static str]),
}

impl Thing {
    fn word(self) -> &'static str {
        match self {
            Self::Derivation => "derivation",
            Self::App => "app definition",
            Self::Overlay => "overlay",
            Self::Module => "module",
            Self::Template => "template",
            Self::Bundler => "bundler",
            Self::Configuration(_) => "configuration",
        }
    }
}

const NIXOS: Thing = Thing::Configuration(&["config", "system", "build", "toplevel"]);
const DARWIN: Thing = Thing::Configuration(&["system"]);
const HOME: Thing = Thing::Configuration(&["activationPackage"]);

fn kind(name: &str) -> Kind {
    match name {
        "checks" | "packages" | "devShells" => Kind::OfSystemNamed(Thing::Derivation),
        "formatter" | "defaultPackage" | "devShell" => Kind::OfSystem(Thing::Derivation),
        "apps" => Kind::OfSystemNamed(Thing::App),
        "defaultApp" => Kind::OfSystem(Thing::App),
        "bundlers" => Kind::OfSystemNamed(Thing::Bundler),
        "defaultBundler" => Kind::OfSystem(Thing::Bundler),
        "overlays" => Kind::Named(Thing::Overlay),
        "overlay" => Kind::One(Thing::Overlay),
        "nixosModules" => Kind::Named(Thing::Module),
        "nixosModule" => Kind::One(Thing::Module),
        "templates" => Kind::Named(Thing::Template),
        "defaultTemplate" => Kind::One(Thing::Template),
        "nixosConfigurations" => Kind::Named(NIXOS),
        "darwinConfigurations" => Kind::Named(DARWIN),
        "homeConfigurations" => Kind::Named(HOME),
        "legacyPackages" => Kind::Systems,
        "hydraJobs" => Kind::Jobs,
        "lib"
        | "darwinModules"
        | "flakeModule"
        | "flakeModules"
        | "herculesCI"
        | "homeModule"
        | "homeModules"
        | "nixopsConfigurations" => Kind::Free,
        _ => Kind::Unknown,
    }
}

/// What took the place of an output that is called as it was once.
fn replacement(name: &str) -> Option<&'static str> {
    Some(match name {
        "defaultPackage" => "packages.<system>.default",
        "defaultApp" => "apps.<system>.default",
        "defaultTemplate" => "templates.default",
        "defaultBundler" => "bundlers.<system>.default",
        "overlay" => "overlays.default",
        "devShell" => "devShells.<system>.default",
        "nixosModule" => "nixosModules.default",
        _ => return None,
    })
}

struct Checker<'c, 'e> {
    evaluation: &'e Evaluation,
    options: CheckOptions<'c>,
    report: Report,
    /// The sets that what is being checked lies in, the innermost last.
    sets: Vec<Handle<'e>>,
}

fn other(message: impl Into<String>) -> Box<EvalError> {
    Box::new(EvalError::other(message.into()))
}

impl<'e> Checker<'_, 'e> {
    /// Everything below a name at the top.
    fn output(&mut self, name: &str, value: Handle<'e>, kind: Kind) -> Res<()> {
        if let Some(new) = replacement(name) {
            let warning =
                format!("flake output attribute '{name}' is deprecated; use '{new}' instead");
            self.report.warnings.push(warning);
        }
        let mut path = vec![name.to_owned()];
        let all = match kind {
            Kind::One(thing) => return self.thing(path, value, thing),
            Kind::Named(thing) => self.members(&mut path, value, |checker, path, value| {
                checker.thing(path.clone(), value, thing)
            }),
            Kind::OfSystem(thing) => self.systems(&mut path, value, |checker, path, value| {
                checker.thing(path.clone(), value, thing)
            }),
            Kind::OfSystemNamed(thing) => self.systems(&mut path, value, |checker, path, value| {
                checker.members(path, value, |checker, path, value| {
                    checker.thing(path.clone(), value, thing)
                })
            }),
            Kind::Systems => self.systems(&mut path, value, |_, _, _| Ok(())),
            Kind::Jobs => self.jobs(&mut path, value),
            Kind::Free => self.evaluation.force(value, false).map(drop),
            Kind::Unknown => {
                self.report.warnings.push(format!("unknown flake output '{name}'"));
                self.evaluation.force(value, false).map(drop)
            }
        };
        self.fine_or(all, vec![name.to_owned()], "set of outputs")
    }

    /// Notes a failure, unless it is one that ends everything.
    fn fine_or(&mut self, outcome: Res<()>, path: Vec<String>, kind: &'static str) -> Res<()> {
        let Err(mut error) = outcome else { return Ok(()) };
        if error.kind == ErrorKind::Limit {
            return Err(error);
        }
        self.add_frame(&mut error, &path, "flake output");
        self.report.outputs.push(Checked { path, kind, outcome: Err(error) });
        Ok(())
    }

    fn set(&self, path: &[String], value: Handle<'e>) -> Res<Handle<'e>> {
        let value = self.evaluation.force(value, false)?;
        match self.evaluation.type_word(value) {
            "set" => Ok(value),
            _ => {
                let phrase = self.evaluation.type_phrase(value);
                Err(other(format!("'{}' is {phrase} while a set is expected", path.join("."))))
            }
        }
    }

    fn members(
        &mut self,
        path: &mut Vec<String>,
        value: Handle<'e>,
        mut visit: impl FnMut(&mut Self, &mut Vec<String>, Handle<'e>) -> Res<()>,
    ) -> Res<()> {
        let set = self.set(path, value)?;
        for (name, value) in self.evaluation.members(set)? {
            path.push(name);
            self.sets.push(set);
            let visited = visit(self, path, value);
            let visited = self.fine_or(visited, path.clone(), "set of outputs");
            self.sets.pop();
            path.pop();
            visited?;
        }
        Ok(())
    }

    /// The members that are called like systems, as far as they are wanted.
    fn systems(
        &mut self,
        path: &mut Vec<String>,
        value: Handle<'e>,
        mut visit: impl FnMut(&mut Self, &mut Vec<String>, Handle<'e>) -> Res<()>,
    ) -> Res<()> {
        self.members(path, value, |checker, path, value| {
            let system = path.last().cloned().unwrap_or_default();
            if !system.contains('-') {
                return Err(other(format!("'{system}' is not a valid system type")));
            }
            if !checker.options.has_all_systems && system != checker.options.system {
                checker.report.omitted.insert(system);
                return Ok(());
            }
            visit(checker, path, value)
        })
    }

    /// Jobs: derivations, and sets of them.
    fn jobs(&mut self, path: &mut Vec<String>, value: Handle<'e>) -> Res<()> {
        let set = self.set(path, value)?;
        if self.is_derivation(set)? {
            return Err(other("jobset should not be a derivation at top-level"));
        }
        self.members(path, set, |checker, path, value| {
            let set = checker.set(path, value)?;
            match checker.is_derivation(set)? {
                true => checker.thing(path.clone(), set, Thing::Derivation),
                false => checker.jobs(path, set),
            }
        })
    }

    /// Checks one thing.
    fn thing(&mut self, path: Vec<String>, value: Handle<'e>, thing: Thing) -> Res<()> {
        (self.options.on_output)();
        let shown = path.join(".");
        let outcome = match thing {
            Thing::Derivation => self.derivation(&shown, value).map(Some),
            Thing::App => self.app(&shown, value).map(|()| None),
            Thing::Overlay => self.function(value, "overlay is not a function").map(|()| None),
            Thing::Bundler => self.function(value, "bundler is not a function").map(|()| None),
            Thing::Module => self.evaluation.force(value, false).map(|_| None),
            Thing::Template => self.template(&shown, value).map(|()| None),
            Thing::Configuration(way) => self.configuration(value, way).map(Some),
        };
        let outcome = outcome.map_err(|mut error| {
            self.add_frame(&mut error, &path, &format!("the {}", thing.word()));
            error
        });
        if let Err(error) = &outcome
            && error.kind == ErrorKind::Limit
        {
            return outcome.map(drop);
        }
        self.report.outputs.push(Checked { path, kind: thing.word(), outcome });
        Ok(())
    }

    fn text(&self, value: Handle<'e>, what: &str) -> Res<String> {
        let value = self.evaluation.force(value, false)?;
        if self.evaluation.type_word(value) != "string" {
            let phrase = self.evaluation.type_phrase(value);
            return Err(other(format!("{what} is {phrase} while a string is expected")));
        }
        let bytes = self.evaluation.write(value, Format::Raw, false)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn is_derivation(&self, value: Handle<'e>) -> Res<bool> {
        let Some(kind) = self.evaluation.attr(value, "type")? else { return Ok(false) };
        let kind = self.evaluation.force(kind, false)?;
        Ok(self.evaluation.type_word(kind) == "string" && self.text(kind, "type")? == "derivation")
    }

    /// The path of a derivation.
    fn derivation(&self, shown: &str, value: Handle<'e>) -> Res<String> {
        let value = self.evaluation.force(value, false)?;
        if self.evaluation.type_word(value) != "set" || !self.is_derivation(value)? {
            return Err(other(format!("'{shown}' is not a derivation")));
        }
        match self.evaluation.attr(value, "drvPath")? {
            Some(path) => self.text(path, "the attribute 'drvPath'"),
            None => Err(other(format!("'{shown}' does not have the attribute 'drvPath'"))),
        }
    }

    fn configuration(&self, value: Handle<'e>, way: &[&str]) -> Res<String> {
        let mut at = value;
        for (n, name) in way.iter().enumerate() {
            let set = self.evaluation.force(at, false)?;
            at = self
                .evaluation
                .attr(set, name)?
                .ok_or_else(|| other(format!("there is no attribute '{}'", way[..=n].join("."))))?;
        }
        let shown = way.join(".");
        self.derivation(&shown, at).map_err(|mut error| {
            if error.message == format!("'{shown}' is not a derivation") {
                error.message = format!("attribute {}", error.message);
            }
            error
        })
    }

    fn app(&mut self, shown: &str, value: Handle<'e>) -> Res<()> {
        let set = self.set(&[shown.to_owned()], value)?;
        for name in ["type", "program"] {
            let Some(value) = self.evaluation.attr(set, name)? else {
                return Err(other(format!("app '{shown}' lacks attribute '{name}'")));
            };
            let text = self.text(value, &format!("the attribute '{name}'"))?;
            if name == "type" && text != "app" {
                return Err(other(format!("app '{shown}' has type '{text}' instead of 'app'")));
            }
        }
        let lacks = |what: &str| format!("app '{shown}' lacks attribute '{what}'");
        match self.evaluation.attr(set, "meta")? {
            None => self.report.warnings.push(lacks("meta")),
            Some(meta) => {
                let meta = self.set(&[shown.to_owned(), "meta".to_owned()], meta)?;
                match self.evaluation.attr(meta, "description")? {
                    None => self.report.warnings.push(lacks("meta.description")),
                    Some(text) => drop(self.text(text, "the attribute 'meta.description'")?),
                }
            }
        }
        self.only(set, &["type", "program", "meta"], &format!("app '{shown}'"))
    }

    /// Refuses attributes that mean nothing.
    fn only(&self, set: Handle<'e>, known: &[&str], what: &str) -> Res<()> {
        let names = self.evaluation.attr_names(set)?;
        match names.iter().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => Err(other(format!("{what} has unsupported attribute '{name}'"))),
        }
    }

    fn template(&self, shown: &str, value: Handle<'e>) -> Res<()> {
        let set = self.set(&[shown.to_owned()], value)?;
        for name in ["path", "description"] {
            let Some(value) = self.evaluation.attr(set, name)? else {
                return Err(other(format!("template '{shown}' lacks attribute '{name}'")));
            };
            match name {
                "path" if !self.evaluation.path_exists(value)? => {
                    return Err(other(format!(
                        "template '{shown}' refers to a path that is not there"
                    )));
                }
                "path" => {}
                _ => drop(self.text(value, "the attribute 'description'")?),
            }
        }
        let known = ["path", "description", "welcomeText"];
        self.only(set, &known, &format!("template '{shown}'"))
    }

    fn function(&self, value: Handle<'e>, message: &str) -> Res<()> {
        let value = self.evaluation.force(value, false)?;
        match self.evaluation.type_word(value) {
            "lambda" => Ok(()),
            _ => {
                let phrase = self.evaluation.type_phrase(value);
                Err(other(format!("{message}, but {phrase} instead")))
            }
        }
    }

    /// Says what was being checked, and where it stands.
    fn add_frame(&self, error: &mut EvalError, path: &[String], what: &str) {
        let text = format!("while checking {what} '{}'", path.join("."));
        let place = self.sets.last().zip(path.last());
        let place = place.and_then(|(set, name)| self.evaluation.attr_place(*set, name));
        error.trace.insert(0, Frame { text, place, weight: Weight::Always });
    }
}
