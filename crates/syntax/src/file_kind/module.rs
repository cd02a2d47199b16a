//! Whether a file is a module of NixOS, Home Manager or their like, and whose.

use super::shape::{self, Census, Shape};
use super::spine::{self, Spine, bare, head_name};
use super::{Detected, FileKind, ModuleSystem, heads, options};
use crate::{Node, NodeKind, TokenKind};

/// Settings looked at in one file; what a module is for shows in the first ones.
const MAX_SETTINGS: usize = 512;
/// Nesting up to which settings are looked for: `config`, `mkIf`, `mkMerge` and two names.
const MAX_DEPTH: usize = 8;

/// What values look like that are no settings.
const OTHERS: [Shape; 5] =
    [Shape::Function, Shape::Derivation, Shape::Test, Shape::Shell, Shape::Path];

/// What the parameters of the innermost leading function say.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// There is no function.
    None,
    /// A pattern with `...` and an argument that only the module system supplies.
    Module,
    /// A pattern with `...` that asks for `lib`, `pkgs` and such or for nothing at all.
    ModuleLike,
    /// Any other pattern with `...`.
    Open,
    /// A pattern without `...`, or one that asks for what packages need.
    Closed,
    /// A plain name.
    Name,
}

/// Reads the innermost leading function's parameters.
pub(super) fn head(spine: &Spine<'_>) -> Head {
    let Some(param) = spine.params.last() else { return Head::None };
    if param.kind() == NodeKind::Param {
        return Head::Name;
    }
    let is_open = param.own_token(TokenKind::Ellipsis).is_some();
    if !is_open || formals(*param).any(heads::is_package_input) {
        Head::Closed
    } else if formals(*param).any(heads::is_module_argument) {
        Head::Module
    } else if !has_default(*param)
        && (formals(*param).next().is_none() || formals(*param).any(heads::is_common_argument))
    {
        Head::ModuleLike
    } else {
        Head::Open
    }
}

/// Whether a pattern has a default, which the module system never uses.
fn has_default(pattern: Node<'_>) -> bool {
    let mut formals = pattern.children().filter(|child| child.kind() == NodeKind::Formal);
    formals.any(|formal| !formal.is_leaf())
}

/// The names that a pattern asks for.
pub(super) fn formals<'t>(pattern: Node<'t>) -> impl Iterator<Item = &'t str> {
    let formals = pattern.children().filter(|child| child.kind() == NodeKind::Formal);
    formals.filter_map(|formal| formal.first_token()).map(|name| name.text())
}

/// Says that the file is a module and why, or nothing.
pub(super) fn detect<'t>(
    path: &str,
    spine: &Spine<'t>,
    census: &Census<'t>,
    settings: &Settings<'t>,
) -> Option<Detected> {
    let head = head(spine);
    let (reason, at) = match spine.body.kind() {
        NodeKind::Apply => called(spine, head)?,
        _ if !settings.found_set => return None,
        _ => {
            let is_other = OTHERS.into_iter().any(|shape| census.is_mostly(shape));
            let candidate = Candidate { spine, head, settings, census, is_other };
            candidate.cause().or_else(|| by_name(path, spine))?
        }
    };
    // Options of devenv have the names of others.
    let (system, hint) = if is_devenv(path) { (None, None) } else { whose(path, spine, settings) };
    let reason = match hint {
        Some(hint) => format!("{reason}; {hint}"),
        None => reason,
    };
    Some(Detected {
        kind: FileKind::Module,
        system,
        reason: reason.into(),
        range: Some(at.range()),
    })
}

/// A set in a file with the name under which devenv looks for its module.
fn by_name<'t>(path: &str, spine: &Spine<'t>) -> Cause<'t> {
    let is_set = spine.body.kind() == NodeKind::AttrSet;
    (is_devenv(path) && is_set).then(|| ("is named as devenv's modules are".to_owned(), spine.body))
}

fn is_devenv(path: &str) -> bool {
    path.rsplit('/').next() == Some("devenv.nix")
}

/// Whether a function that is one of several values gives a module.
pub(super) fn is_module(spine: &Spine<'_>) -> bool {
    matches!(head(spine), Head::Module | Head::ModuleLike | Head::Open)
        && Settings::gather(spine).name_options()
}

/// A function of module arguments that leaves making the module to another function.
fn called<'t>(spine: &Spine<'t>, head: Head) -> Cause<'t> {
    let name = head_name(spine.body)?;
    let takes_arguments = matches!(head, Head::Module | Head::ModuleLike | Head::Open);
    let has_module_name = name.starts_with("mk") && name.contains("Module");
    let is_alone = head == Head::None && heads::declares_option(name);
    if shape::is_derivation(spine.body) || !(takes_arguments || is_alone) {
        return None;
    }
    let hands_over_settings = spine.body.children().skip(1).any(|argument| {
        let set = bare(argument);
        let names = ["imports", "options", "config"];
        set.kind() == NodeKind::AttrSet
            && set.children().take(MAX_SETTINGS).any(|binding| {
                let first = spine::names(binding).next().flatten();
                first.is_some_and(|name| names.contains(&name))
            })
    });
    let is_module = has_module_name
        || (hands_over_settings && name != "import")
        || (head == Head::Module && name == "import")
        || name == "importApply"
        || (takes_arguments && heads::makes_module(name));
    is_module.then(|| (format!("takes module arguments and calls `{name}`"), spine.body))
}

/// A set that may be one of settings, with what was seen of it.
struct Candidate<'a, 't> {
    spine: &'a Spine<'t>,
    head: Head,
    settings: &'a Settings<'t>,
    census: &'a Census<'t>,
    /// Whether its values are mostly of a kind that settings are not.
    is_other: bool,
}

/// Why a set is one of settings, and where that shows.
type Cause<'t> = Option<(String, Node<'t>)>;

impl<'t> Candidate<'_, 't> {
    fn cause(&self) -> Cause<'t> {
        let (reason, at) = self
            .by_structure()
            .or_else(|| self.by_option())
            .or_else(|| self.by_modules())
            .or_else(|| self.by_option_call())
            .or_else(|| self.by_enable())
            .or_else(|| self.by_head())?;
        Some((format!("{}{reason}", takes(self.spine, self.head)), at))
    }

    fn by_structure(&self) -> Cause<'t> {
        let (name, at) = self.settings.structure?;
        let is_common_word = name == "config";
        let is_open = !matches!(self.head, Head::Open | Head::Closed | Head::Name);
        (is_open || !is_common_word).then(|| (format!("sets `{name}` as modules do"), at))
    }

    fn by_option(&self) -> Cause<'t> {
        let (name, at) = self.settings.option.as_ref()?;
        // A set of data may hold a name by chance that is also one of an option.
        let is_rare = self.settings.n_options * 3 < self.settings.n_names;
        let is_chance = is_rare && self.head != Head::Module;
        let is_package = self.is_other && self.head == Head::Closed;
        (!is_chance && !is_package).then(|| (format!("sets the option `{name}`"), *at))
    }

    fn by_modules(&self) -> Cause<'t> {
        let at = self.census.first(Shape::Module)?;
        self.census.is_mostly(Shape::Module).then(|| ("holds modules".to_owned(), at))
    }

    fn by_option_call(&self) -> Cause<'t> {
        let at = self.spine.option_call.or(self.census.first(Shape::Setting))?;
        let is_enough = self.head != Head::Closed || self.census.is_mostly(Shape::Setting);
        let name = head_name(at).unwrap_or("mkIf");
        (is_enough && !self.is_other).then(|| (format!("uses `{name}` for a setting"), at))
    }

    fn by_enable(&self) -> Cause<'t> {
        let (name, at) = self.settings.enable.as_ref()?;
        let is_setting = !self.is_other && self.head != Head::Closed;
        is_setting.then(|| (format!("sets `{name}`"), *at))
    }

    /// By the parameters alone: who else would ask for these and give a set?
    fn by_head(&self) -> Cause<'t> {
        let is_module = match self.head {
            Head::Module => true,
            Head::ModuleLike => {
                !self.spine.is_handed_through()
                    && self.census.count(Shape::Function) == 0
                    && self.settings.flake_output.is_none()
            }
            _ => false,
        };
        let at = self.spine.body;
        (is_module && !self.is_other).then(|| ("gives a set of settings".to_owned(), at))
    }
}

/// The part of the reason that speaks of the parameters.
fn takes(spine: &Spine<'_>, head: Head) -> String {
    let Some(param) = spine.params.last().filter(|_| head != Head::None) else {
        return String::new();
    };
    let named = formals(*param).find(|name| heads::is_module_argument(name));
    let named = named.or_else(|| formals(*param).find(|name| matches!(*name, "lib" | "pkgs")));
    match named {
        Some(name) => format!("takes `{name}` and "),
        None => "is a function that ".to_owned(),
    }
}

/// What a file sets, as far as it shows in names.
#[derive(Default)]
pub(super) struct Settings<'t> {
    /// Whether there is a set at all.
    pub(super) found_set: bool,
    /// `imports`, `options`, `config` and such.
    structure: Option<(&'static str, Node<'t>)>,
    /// The first known option.
    option: Option<(String, Node<'t>)>,
    /// Something that is switched on or off.
    enable: Option<(String, Node<'t>)>,
    /// A name such as only a flake's outputs have.
    flake_output: Option<Node<'t>>,
    /// For each system, how surely options speak for it, and the first such option.
    votes: [(u8, Option<String>); 3],
    /// Attributes at the top, and those of them that may be options.
    n_names: usize,
    n_options: usize,
    seen: usize,
}

impl<'t> Settings<'t> {
    pub(super) fn gather(spine: &Spine<'t>) -> Self {
        let mut settings = Self::default();
        settings.visit(spine.body, spine, &mut Vec::new(), false, 0);
        settings
    }

    /// Whether a name is set that modules alone have.
    pub(super) fn name_options(&self) -> bool {
        self.structure.is_some() || self.option.is_some()
    }

    /// Looks at the sets that `node` stands for; `path` leads there.
    fn visit(
        &mut self,
        node: Node<'t>,
        spine: &Spine<'t>,
        path: &mut Vec<&'t str>,
        declares: bool,
        depth: usize,
    ) {
        if depth > MAX_DEPTH {
            return;
        }
        for operand in spine::operands(node) {
            let inner = Spine::follow(operand, &spine.lets);
            match inner.body.kind() {
                NodeKind::AttrSet => {
                    self.found_set = true;
                    for binding in inner.body.children().take(MAX_SETTINGS) {
                        self.binding(binding, &inner, path, declares, depth);
                    }
                }
                NodeKind::List if inner.option_call.is_some() || depth == 0 => {
                    for element in inner.body.children() {
                        if spine.option_call.is_some() || inner.option_call.is_some() {
                            self.visit(element, &inner, path, declares, depth + 1);
                        }
                    }
                }
                NodeKind::Binary if inner.body != operand => {
                    self.visit(inner.body, &inner, path, declares, depth + 1);
                }
                _ => {}
            }
        }
    }

    fn binding(
        &mut self,
        binding: Node<'t>,
        spine: &Spine<'t>,
        path: &mut Vec<&'t str>,
        declares: bool,
        depth: usize,
    ) {
        self.seen += 1;
        let Some(value) = binding.last_child().filter(|_| binding.kind() == NodeKind::Binding)
        else {
            return;
        };
        if self.seen > MAX_SETTINGS {
            return;
        }
        let before = path.len();
        let is_top = before == 0;
        self.n_names += usize::from(is_top);
        path.extend(spine::names(binding).map_while(|name| name));
        let mut declares = declares;
        if is_top {
            declares |= path.first() == Some(&"options");
            self.structure(path, binding, value);
            if matches!(path.first(), Some(&"options" | &"config")) {
                path.remove(0);
            }
        }
        let is_option = is_option(path, value, spine);
        self.n_options += usize::from(is_top && is_option);
        if is_option && self.option.is_none() {
            self.option = Some((path.join("."), binding));
        }
        self.note(path, binding, declares);
        if path.len() < 3 {
            self.visit(value, spine, path, declares, depth + 1);
        }
        path.truncate(before.min(path.len()));
    }

    /// Notes the attributes that the module system itself knows.
    fn structure(&mut self, path: &[&'t str], binding: Node<'t>, value: Node<'t>) {
        let kind = bare(value).kind();
        let is_text = matches!(kind, NodeKind::Str | NodeKind::IndStr | NodeKind::Literal);
        let holds_names =
            path.len() > 1 || !(is_text || matches!(kind, NodeKind::List | NodeKind::Lambda));
        let known = match path.first().copied() {
            Some("imports") if !is_text => "imports",
            Some("options") if holds_names => "options",
            Some("config") if holds_names => "config",
            Some("disabledModules") => "disabledModules",
            Some("_module") => "_module",
            Some("_class") => "_class",
            Some("freeformType") => "freeformType",
            _ => return,
        };
        self.structure.get_or_insert((known, binding));
    }

    /// Notes what the names themselves say.
    fn note(&mut self, path: &[&'t str], binding: Node<'t>, declares: bool) {
        let Some(first) = path.first().copied() else { return };
        if path.len() == 1 && heads::is_flake_output(first) {
            self.flake_output.get_or_insert(binding);
        }
        let is_enable = path.last() == Some(&"enable");
        if is_enable && path.len() > 1 && self.enable.is_none() {
            self.enable = Some((path.join("."), binding));
        }
        let Some(second) = path.get(1) else { return };
        // Whoever declares a service of his own may do so for any system.
        if declares && matches!(first, "services" | "programs") {
            return;
        }
        if let Some((system, weight)) = options::owner(first, second) {
            let (surest, example) = &mut self.votes[system as usize];
            if *surest < weight {
                *surest = weight;
                *example = Some(path[..2].join("."));
            }
        }
    }
}

/// Whether `path` can be the name of an option, or of several below it, with this value.
fn is_option<'t>(path: &[&'t str], value: Node<'t>, spine: &Spine<'t>) -> bool {
    if !path.first().is_some_and(|first| options::is_root(first)) {
        return false;
    }
    if path.len() > 1 {
        return true;
    }
    let inner = Spine::follow(value, &spine.lets);
    let is_set = matches!(inner.body.kind(), NodeKind::AttrSet | NodeKind::Binary);
    let is_value = inner.params.is_empty() || path == ["perSystem"];
    is_value && (is_set || inner.option_call.is_some())
}

/// Whose module it is: what only one system has decides, then the folder, then what is likely.
fn whose(
    path: &str,
    spine: &Spine<'_>,
    settings: &Settings<'_>,
) -> (Option<ModuleSystem>, Option<String>) {
    let by_votes = |least: u8| {
        let best = settings.votes.iter().map(|(votes, _)| *votes).max().unwrap_or(0);
        let mut leaders =
            ModuleSystem::ALL.iter().filter(|system| settings.votes[**system as usize].0 == best);
        let leader = *leaders.next()?;
        let is_alone = leaders.next().is_none();
        (best >= least && is_alone).then(|| {
            let example = settings.votes[leader as usize].1.clone();
            let hint = example.map(|name| format!("`{name}` is an option of {leader}"));
            (Some(leader), hint)
        })
    };
    let by_argument = || {
        let mut names = spine.params.iter().copied().flat_map(formals);
        names.find_map(|name| match name {
            "osConfig" | "nixosConfig" => {
                Some((Some(ModuleSystem::HomeManager), Some(format!("takes `{name}`"))))
            }
            _ => None,
        })
    };
    let by_folder = || {
        let (system, folder) = path.rsplit('/').find_map(|part| Some((folder(part)?, part)))?;
        Some((Some(system), Some(format!("`{folder}` in its path stands for {system}"))))
    };
    by_votes(2)
        .or_else(by_folder)
        .or_else(by_argument)
        .or_else(|| by_votes(1))
        .unwrap_or((None, None))
}

/// The system that a folder or file of this name is for.
fn folder(name: &str) -> Option<ModuleSystem> {
    let lower = name.to_ascii_lowercase();
    let stem = lower.strip_suffix(".nix").unwrap_or(&lower);
    let is_word = |word: &str| stem.split(['-', '_', '.']).any(|part| part == word);
    if stem.contains("home-manager")
        || stem.contains("homemanager")
        || stem.contains("homemodules")
        || is_word("home")
        || is_word("hm")
    {
        Some(ModuleSystem::HomeManager)
    } else if stem.contains("darwin") || is_word("macos") {
        Some(ModuleSystem::Darwin)
    } else if stem.contains("nixos")
        || matches!(stem, "hosts" | "machines" | "configuration" | "hardware-configuration")
    {
        Some(ModuleSystem::NixOs)
    } else {
        None
    }
}
