//! The builtins themselves: one entry per name, sorted by name.
//!
//! A flat table, longer than other files of the crate, because every line is data and the lookup
//! relies on one order over all of it. Names, parameter names, arity and the gates are facts about
//! Nix 2.34.8; `since` is the first release that registers the name under it, read from the
//! releases from 0.10 on. The words are ours: what it returns, in which order it takes its
//! arguments, what it forces and when it fails.

use super::{Binding, Builtin, BuiltinKind};

/// A function that is in scope under its plain name.
const fn global(name: &'static str, params: &'static [&'static str], doc: &'static str) -> Builtin {
    Builtin { global: true, ..function(name, params, doc) }
}

/// A function that is in scope as `__name` and as `builtins.name`.
const fn function(
    name: &'static str,
    params: &'static [&'static str],
    doc: &'static str,
) -> Builtin {
    Builtin {
        name,
        kind: BuiltinKind::Function,
        arity: params.len() as u8,
        params,
        global: false,
        binding: Binding::Always,
        feature: None,
        impure_only: false,
        since: None,
        deprecated: None,
        doc,
    }
}

/// A value that is in scope as `__name` and as `builtins.name`.
const fn constant(name: &'static str, doc: &'static str) -> Builtin {
    Builtin { kind: BuiltinKind::Constant, ..function(name, &[], doc) }
}

impl Builtin {
    /// Names the first release that has it.
    const fn since(self, release: &'static str) -> Self {
        Self { since: Some(release), ..self }
    }

    /// Says how it is bound, and the feature or setting that goes with it.
    const fn gated(self, binding: Binding, feature: &'static str) -> Self {
        Self { binding, feature: Some(feature), ..self }
    }

    /// Marks what only Nix itself can reach.
    const fn internal(self) -> Self {
        Self { binding: Binding::Internal, ..self }
    }

    /// Says what to write instead.
    const fn deprecated(self, instead: &'static str) -> Self {
        Self { deprecated: Some(instead), ..self }
    }

    /// Marks a constant that is not bound in pure evaluation.
    const fn impure(self) -> Self {
        Self { impure_only: true, ..self }
    }

    /// Marks a value that is in scope under its plain name.
    const fn plain(self) -> Self {
        Self { global: true, ..self }
    }
}

/// Every builtin, sorted by name in byte order.
pub(super) static TABLE: [Builtin; 123] = [
    global(
        "abort",
        &["s"],
        "Stops the evaluation with *s* as the message. Unlike the error of `throw`, this one is \
         not caught by `builtins.tryEval`.",
    ),
    function(
        "add",
        &["e1", "e2"],
        "The sum of two numbers: an integer if both are integers, otherwise a float. Strings and \
         paths are refused, although the `+` operator joins them; integer overflow is an error.",
    ),
    function(
        "addDrvOutputDependencies",
        &["s"],
        "The string *s*, with its one context element, a plain reference to a `.drv` file, turned \
         into a reference to that derivation with all its outputs. Any other number or kind of \
         context elements is an error, except that a string already of this form is returned as \
         it is. `builtins.unsafeDiscardOutputDependency` goes the other way.",
    )
    .since("2.19"),
    function(
        "addErrorContext",
        &["context", "value"],
        "Evaluates and returns *value*; if that fails, adds the string *context* as a line of the \
         error's trace. *context* is evaluated only on failure.",
    )
    .since("0.13"),
    function(
        "all",
        &["pred", "list"],
        "Whether *pred* returns `true` for every element of *list*. Stops at the first `false`; \
         `true` for an empty list. A result that is not a Boolean is an error.",
    )
    .since("1.10"),
    function(
        "any",
        &["pred", "list"],
        "Whether *list* has an element for which *pred* returns `true`. Stops at the first such \
         element; `false` for an empty list. A result that is not a Boolean is an error.",
    )
    .since("1.10"),
    function(
        "appendContext",
        &["s", "context"],
        "The string *s* with more string context. *context* has the shape that \
         `builtins.getContext` returns: store paths as names, and `path`, `allOutputs` or \
         `outputs` inside each. A name that is no store path is an error.",
    )
    .since("2.3"),
    function(
        "attrNames",
        &["set"],
        "The names in *set* as a list of strings, sorted by their bytes. The values stay \
         unevaluated.",
    )
    .since("0.11"),
    function(
        "attrValues",
        &["set"],
        "The values in *set* as a list, in the sorted order of their names. The values stay \
         unevaluated.",
    )
    .since("1.8"),
    global(
        "baseNameOf",
        &["x"],
        "What follows the last `/` of a path or string, as a string with the context of *x*. One \
         slash at the end is ignored, so `\"/a/b/\"` gives `\"b\"` and `\"/a/b//\"` gives `\"\"`.",
    ),
    function(
        "bitAnd",
        &["e1", "e2"],
        "The bitwise AND of two 64-bit signed integers. Floats are refused.",
    )
    .since("2.1"),
    function(
        "bitOr",
        &["e1", "e2"],
        "The bitwise OR of two 64-bit signed integers. Floats are refused.",
    )
    .since("2.1"),
    function(
        "bitXor",
        &["e1", "e2"],
        "The bitwise exclusive OR of two 64-bit signed integers. Floats are refused.",
    )
    .since("2.1"),
    global(
        "break",
        &["v"],
        "Returns *v*. Under `--debugger` it first stops the evaluation and opens the debugger, \
         with the variables of this place in scope.",
    )
    .since("2.9"),
    constant(
        "builtins",
        "The set of all builtin functions and values. Ask `builtins ? name` before using one that \
         an older Nix may lack. The name can be shadowed like any other.",
    )
    .plain(),
    function(
        "catAttrs",
        &["attr", "list"],
        "The values named *attr* (a string) of the sets in *list*, in order. Sets without that \
         attribute are skipped; the values stay unevaluated.",
    )
    .since("1.8"),
    function(
        "ceil",
        &["number"],
        "The smallest integer that is not below *number*. An error if it does not fit 64 bits, \
         and for an integer that a float cannot hold exactly.",
    )
    .since("2.4"),
    function(
        "compareVersions",
        &["s1", "s2"],
        "`-1`, `0` or `1`: whether version string *s1* is older than, as old as, or newer than \
         *s2*. Compares component by component as `builtins.splitVersion` cuts them, numbers by \
         value; the component `pre` sorts before everything, so `1.0pre` is older than `1.0`.",
    )
    .since("0.12"),
    function(
        "concatLists",
        &["lists"],
        "One list with the elements of all lists in *lists*. The elements stay unevaluated; an \
         element of *lists* that is not a list is an error.",
    )
    .since("1.2"),
    function(
        "concatMap",
        &["f", "list"],
        "Applies *f* to each element of *list* and joins the lists that it returns. The same as \
         `concatLists (map f list)` without the list in between, but *f* is called at once.",
    )
    .since("2.1"),
    function(
        "concatStringsSep",
        &["separator", "list"],
        "One string with the elements of *list*, with *separator* between each two. Elements are \
         coerced as in string interpolation: a path is copied to the store, a number is an error.",
    )
    .since("1.10"),
    function(
        "convertHash",
        &["args"],
        "Writes a hash in another notation. *args* has `hash`, `toHashFormat` (`base16`, `nix32`, \
         `base64` or `sri`; `base32` is the old name of `nix32`) and `hashAlgo`, which may be \
         left out if `hash` begins with the algorithm's name.",
    )
    .since("2.19"),
    constant(
        "currentSystem",
        "The system that Nix evaluates for, such as `\"x86_64-linux\"`: the setting `eval-system`, \
         or else `system`. Not available in pure evaluation.",
    )
    .impure(),
    constant(
        "currentTime",
        "The Unix time in seconds at which this evaluation first asked for it; every further use \
         gives the same number. Not available in pure evaluation.",
    )
    .impure(),
    function(
        "deepSeq",
        &["e1", "e2"],
        "Evaluates *e1* with everything inside its lists and sets, then returns *e2*. Functions \
         inside are not called.",
    )
    .since("1.8"),
    global(
        "derivation",
        &["attrs"],
        "Describes a build. *attrs* needs `name`, `system` and `builder`; the other attributes \
         become environment variables of the builder, save a few that Nix reads itself \
         (`args`, `outputs`, `outputHash` and the like). Returns *attrs* with `drvPath`, \
         `outPath`, `type = \"derivation\"`, `drvAttrs`, `all` and one attribute per output; only \
         asking for a path writes the derivation.",
    ),
    global(
        "derivationStrict",
        &["attrs"],
        "What `derivation` is built on: evaluates every attribute of *attrs* at once, writes the \
         derivation and returns only `drvPath` and one path per output.",
    )
    .since("0.16"),
    global(
        "dirOf",
        &["s"],
        "What comes before the last `/` of *s*: a path for a path, a string with the same context \
         for a string. `\".\"` for a string without a slash.",
    ),
    function(
        "div",
        &["e1", "e2"],
        "The quotient of two numbers. Integers divide to an integer, rounded towards zero; with a \
         float the result is a float. Division by zero is an error for both.",
    )
    .since("0.12"),
    function(
        "elem",
        &["x", "xs"],
        "Whether an element of the list *xs* equals *x*, as by `==`. Stops at the first match.",
    )
    .since("1.2"),
    function(
        "elemAt",
        &["xs", "n"],
        "Element *n* of the list *xs*, counted from 0. A negative or too large index is an error.",
    )
    .since("1.2"),
    function(
        "exec",
        &["args"],
        "Runs a program at evaluation time and returns its output, read as a Nix expression. \
         *args* is the list of the program and its arguments. Anything the program does happens \
         with the rights of the evaluating user.",
    )
    .since("2.0")
    .gated(Binding::Setting, "allow-unsafe-native-code-during-evaluation"),
    constant("false", "The Boolean that is not true. The name can be shadowed like any other.")
        .plain(),
    function(
        "fetchClosure",
        &["args"],
        "Copies a store path with all it refers to from a binary cache, and returns it as a \
         string with context. *args* has `fromStore` (an HTTP or HTTPS address), `fromPath`, and \
         either `toPath`, the content-addressed path to rewrite it to, or `inputAddressed = true`.",
    )
    .since("2.8")
    .gated(Binding::Feature, "fetch-closure"),
    function(
        "fetchFinalTree",
        &["input"],
        "A `fetchTree` that Nix uses for its own reading of flakes, where the lock file has \
         settled every attribute. No expression can name it.",
    )
    .since("2.25")
    .internal(),
    global(
        "fetchGit",
        &["args"],
        "Fetches a Git repository into the store and returns a set with `outPath`, `rev`, \
         `shortRev`, `lastModified` and more. *args* is a URL, or a set with `url` and, as \
         wanted, `rev`, `ref`, `name`, `submodules`, `shallow`, `allRefs`. Pure evaluation \
         demands a `rev`.",
    )
    .since("2.0"),
    global(
        "fetchMercurial",
        &["args"],
        "Fetches a Mercurial repository into the store and returns a set with `outPath`, `rev`, \
         `shortRev` and, where known, `branch` and `revCount`. *args* is a URL, or a set with \
         `url` and, as wanted, `rev` (a commit, branch or tag) and `name`. Pure evaluation \
         demands a commit.",
    )
    .since("2.0"),
    global(
        "fetchTarball",
        &["args"],
        "Downloads and unpacks an archive and returns its store path; a single top folder is \
         stripped. *args* is a URL, or a set with `url` and, as wanted, `sha256` (of the unpacked \
         tree) and `name`. Without a hash the download is fetched anew once `tarball-ttl` has \
         passed, and pure evaluation refuses it.",
    )
    .since("1.9"),
    global(
        "fetchTree",
        &["input"],
        "Fetches a source tree or file and returns a set with `outPath`, `narHash` and what the \
         kind of source adds. *input* is a set whose `type` (`git`, `tarball`, `file`, `github`, \
         ...) decides the other attributes, or a flake reference as a string. Pure evaluation \
         demands one that is locked.",
    )
    .since("2.4")
    .gated(Binding::Feature, "fetch-tree"),
    function(
        "fetchurl",
        &["arg"],
        "Downloads one file while evaluating (`fetchurl` of nixpkgs does so in a build) and \
         returns its store path. *arg* is a URL, or a set with `url` and, as wanted, `sha256` and \
         `name`. Pure evaluation demands the hash.",
    )
    .since("1.9"),
    function(
        "filter",
        &["f", "list"],
        "The elements of *list* for which *f* returns `true`, in order. A result that is not a \
         Boolean is an error.",
    )
    .since("1.2"),
    function(
        "filterSource",
        &["e1", "e2"],
        "Copies the path *e2* to the store, leaving out what the function *e1* refuses, and \
         returns the store path. *e1* gets each entry's full path as a string and its type \
         (`\"regular\"`, `\"directory\"`, `\"symlink\"` or `\"unknown\"`). The result is named after \
         the folder; `builtins.path` lets you name it yourself.",
    )
    .since("0.11"),
    function(
        "findFile",
        &["search-path", "lookup-path"],
        "What `<name>` means: the path that *lookup-path* (a string such as `\"nixpkgs/lib\"`) has \
         in *search-path*, a list of sets with `path` and, optionally, `prefix`. The first entry \
         that has the file wins; an error if none has.",
    )
    .since("1.8"),
    function(
        "flakeRefToString",
        &["attrs"],
        "The URL-like form of a flake reference given as a set, such as \
         `\"github:owner/repo/branch\"`. The attributes must be strings, integers or \
         Booleans. `builtins.parseFlakeRef` goes the other way.",
    )
    .since("2.18")
    .gated(Binding::Always, "flakes"),
    function(
        "floor",
        &["number"],
        "The largest integer that is not above *number*. An error if it does not fit 64 bits, and \
         for an integer that a float cannot hold exactly.",
    )
    .since("2.4"),
    function(
        "foldl'",
        &["op", "nul", "list"],
        "Folds *list* from the left: `op (op nul x0) x1` and so on, starting with *nul*, which is \
         also the result for an empty list. *op* gets the accumulator first and the element \
         second; each of its results is evaluated before the next step.",
    )
    .since("1.10"),
    function(
        "fromJSON",
        &["e"],
        "The Nix value of a JSON text. Objects become sets; of a repeated name the last wins. \
         Integers beyond 64 bits and text that is not JSON are errors.",
    )
    .since("1.8"),
    global(
        "fromTOML",
        &["e"],
        "The Nix value of a TOML document, as a set. Dates and times are an error unless the \
         experimental feature `parse-toml-timestamps` is on.",
    )
    .since("2.1"),
    function(
        "functionArgs",
        &["f"],
        "A set with the names in the argument pattern of *f*, each `true` if it has a default. \
         Empty for a function without a pattern and for builtins; a set with `__functor` is an \
         error.",
    )
    .since("0.13"),
    function(
        "genList",
        &["generator", "length"],
        "A list of *length* elements: *generator* applied to 0, 1, 2 and so on. The calls happen \
         when an element is used; a negative length is an error.",
    )
    .since("1.10"),
    function(
        "genericClosure",
        &["attrset"],
        "The sets that can be reached from those in the list `startSet`, in breadth-first order, \
         where the function `operator` gives the list of further sets for each; both are \
         attributes of *attrset*. Sets are told apart by their attribute `key` (a number, string, \
         path or list of those): only the first with a key is kept.",
    )
    .since("0.12"),
    function(
        "getAttr",
        &["s", "set"],
        "The attribute of *set* whose name is the string *s*: `set.${s}`. A missing one is an \
         error.",
    ),
    function(
        "getContext",
        &["s"],
        "The context of the string *s* as a set: for each store path that it depends on, \
         `path = true` for the path itself, `allOutputs = true` for a derivation with all its \
         outputs, and `outputs` with the names of the outputs that it uses.",
    )
    .since("2.3"),
    function(
        "getEnv",
        &["s"],
        "What the environment variable named *s* holds; `\"\"` if it is not set, and always in pure \
         and in restricted evaluation.",
    ),
    function(
        "getFlake",
        &["args"],
        "Fetches the flake that the string *args* refers to, and returns its outputs with its \
         `inputs`, `outPath`, `sourceInfo` and the like. Pure evaluation demands a locked \
         reference, one with a revision or hash.",
    )
    .since("2.4")
    .gated(Binding::Always, "flakes"),
    function(
        "groupBy",
        &["f", "list"],
        "Sorts the elements of *list* into a set of lists: *f* returns, for each element, the \
         name (a string) under which it goes. The order within a group is that of *list*.",
    )
    .since("2.5"),
    function(
        "hasAttr",
        &["s", "set"],
        "Whether *set* has an attribute whose name is the string *s*, without evaluating its \
         value. As `set ? ${s}`, except that anything but a set is an error.",
    ),
    function("hasContext", &["s"], "Whether the string *s* has any string context.").since("2.0"),
    function(
        "hashFile",
        &["type", "p"],
        "The hash of the contents of file *p*, in hexadecimal. *type* is `\"md5\"`, `\"sha1\"`, \
         `\"sha256\"` or `\"sha512\"` (`\"blake3\"` with the experimental feature `blake3-hashes`).",
    )
    .since("2.3"),
    function(
        "hashString",
        &["type", "s"],
        "The hash of the string *s*, in hexadecimal. *type* is `\"md5\"`, `\"sha1\"`, `\"sha256\"` or \
         `\"sha512\"` (`\"blake3\"` with the experimental feature `blake3-hashes`). The result has \
         no context, even if *s* has.",
    )
    .since("1.4"),
    function("head", &["list"], "The first element of *list*. An empty list is an error."),
    global(
        "import",
        &["path"],
        "Reads the file *path*, or the `default.nix` of a folder, and returns its value. \
         The file sees builtins only, not the variables at the call, and is evaluated once however \
         often it is imported. Importing from the output of a derivation builds that first.",
    ),
    function(
        "importNative",
        &["path", "symbol"],
        "Loads the shared library *path* into the evaluator and returns the value that its \
         function named *symbol* sets. The library runs with the rights of the evaluating user.",
    )
    .since("1.8")
    .gated(Binding::Setting, "allow-unsafe-native-code-during-evaluation"),
    function(
        "intersectAttrs",
        &["e1", "e2"],
        "The attributes of *e2* whose names *e1* has too. The values come from *e2* and stay \
         unevaluated.",
    )
    .since("0.13"),
    function("isAttrs", &["e"], "Whether *e* is a set; a derivation is one.").since("0.11"),
    function("isBool", &["e"], "Whether *e* is `true` or `false`.").since("0.13"),
    function("isFloat", &["e"], "Whether *e* is a floating-point number.").since("2.0"),
    function(
        "isFunction",
        &["e"],
        "Whether *e* is a function, builtins and their partial applications included. `false` for \
         a set with `__functor`, although it can be called.",
    )
    .since("0.11"),
    function("isInt", &["e"], "Whether *e* is an integer; `1.0` is not.").since("0.13"),
    function("isList", &["e"], "Whether *e* is a list."),
    global("isNull", &["e"], "Whether *e* is `null`: the same as `e == null`."),
    function("isPath", &["e"], "Whether *e* is a path; a string that looks like one is not.")
        .since("2.3"),
    function("isString", &["e"], "Whether *e* is a string; a path is not.").since("0.13"),
    constant(
        "langVersion",
        "The version of the Nix language as an integer. It has been `6` for years and says nothing \
         about which builtins there are: ask `builtins ? name` for that.",
    )
    .since("1.2"),
    function("length", &["e"], "The number of elements of the list *e*, none of them evaluated.")
        .since("0.12"),
    function(
        "lessThan",
        &["e1", "e2"],
        "Whether *e1* sorts before *e2*, which is what `<` calls. Compares numbers, strings by \
         their bytes, paths, and lists element by element; anything else, or a mixture other than \
         integer with float, is an error.",
    ),
    function(
        "listToAttrs",
        &["e"],
        "A set made from a list of sets with `name` (a string) and `value`. Of a repeated name \
         the first wins; the values stay unevaluated.",
    )
    .since("0.11"),
    global(
        "map",
        &["f", "list"],
        "The list of *f* applied to each element of *list*. The calls happen when an element of \
         the result is used.",
    ),
    function(
        "mapAttrs",
        &["f", "attrset"],
        "A set with the names of *attrset* and, as values, *f* applied to each name and value. The \
         calls happen when a value of the result is used.",
    )
    .since("2.1"),
    function(
        "match",
        &["regex", "str"],
        "The list of what the groups of *regex*, a POSIX extended regular expression, matched, \
         `null` for a group that took no part; or `null` if *regex* does not match the whole of \
         *str*.",
    )
    .since("1.8"),
    function(
        "mul",
        &["e1", "e2"],
        "The product of two numbers: an integer if both are integers, otherwise a float. Integer \
         overflow is an error.",
    )
    .since("0.12"),
    constant(
        "nixPath",
        "The search path that `<name>` is looked up in: a list of sets with `prefix` and `path`, \
         made from `NIX_PATH`, `-I` and the setting `nix-path`. Empty in pure evaluation.",
    )
    .since("1.8"),
    constant(
        "nixVersion",
        "The version of the evaluating Nix as a string, such as `\"2.34.8\"`. Compare it with \
         `builtins.compareVersions`.",
    )
    .since("1.2"),
    constant("null", "The null value. The name can be shadowed like any other.").plain(),
    function(
        "outputOf",
        &["derivation-reference", "output-name"],
        "The path of the output *output-name* of the derivation that the string \
         *derivation-reference* names, or a placeholder for it where it is not known before the \
         build. This is how to depend on an output of a derivation that another derivation makes.",
    )
    .since("2.18")
    .gated(Binding::Feature, "dynamic-derivations"),
    function(
        "parseDrvName",
        &["s"],
        "Splits a package name with version into a set with `name` and `version`, at the first \
         dash that is followed by anything but a letter. Without such a dash the version is `\"\"`.",
    )
    .since("0.12"),
    function(
        "parseFlakeRef",
        &["flake-ref"],
        "The parts of a flake reference given as a string, as a set: `type`, `owner`, `repo`, \
         `ref` and so on. `builtins.flakeRefToString` goes the other way.",
    )
    .since("2.18")
    .gated(Binding::Always, "flakes"),
    function(
        "partition",
        &["pred", "list"],
        "A set with two lists: `right` has the elements of *list* for which *pred* returns \
         `true`, `wrong` the others, both in order.",
    )
    .since("2.0"),
    function(
        "path",
        &["args"],
        "Copies a path to the store and returns the store path. *args* has `path` and, as wanted, \
         `name`, `filter` (as for `builtins.filterSource`), `recursive` (default `true`; `false` \
         hashes a file as such) and `sha256`, which the result must have.",
    )
    .since("2.0"),
    function(
        "pathExists",
        &["path"],
        "Whether *path* exists at evaluation time. A symbolic link counts even if its target is \
         missing; a string that ends in `/` asks for a folder. A string that is not an absolute \
         path is an error.",
    ),
    global(
        "placeholder",
        &["output"],
        "A string that stands for the path of the output named *output* of the derivation in \
         which it is used. The build replaces it by the real path.",
    )
    .since("2.0"),
    function(
        "readDir",
        &["path"],
        "The entries of the folder *path* as a set from name to type: `\"regular\"`, \
         `\"directory\"`, `\"symlink\"` or `\"unknown\"`. Links are not followed.",
    )
    .since("1.8"),
    function(
        "readFile",
        &["path"],
        "Reads the file *path* into a string. A file with a NUL byte is an error. A file in the \
         store gives its string the references that occur in it as context.",
    )
    .since("0.11"),
    function(
        "readFileType",
        &["p"],
        "The type of what is at path *p*: `\"regular\"`, `\"directory\"`, `\"symlink\"` or \
         `\"unknown\"`. Links are not followed; a missing path is an error.",
    )
    .since("2.14"),
    global(
        "removeAttrs",
        &["set", "list"],
        "*set* without the attributes whose names are in *list*. Names that *set* does not have \
         are ignored.",
    ),
    function(
        "replaceStrings",
        &["from", "to", "s"],
        "*s* with every occurrence of a string in *from* replaced by the one at the same place in \
         *to*. Goes from left to right over *s*; the first of *from* that fits wins, and what was \
         inserted is not searched again. Strings in *to* are evaluated only where they are used; \
         lists of different length are an error.",
    )
    .since("1.10"),
    global(
        "scopedImport",
        &["scope", "path"],
        "As `import`, with the attributes of *scope* as additional variables in the file. They \
         shadow builtins, those behind operators included. The result is not remembered: each \
         call evaluates the file anew.",
    )
    .since("1.8"),
    function(
        "seq",
        &["e1", "e2"],
        "Evaluates *e1*, but not what is inside it, then returns *e2*.",
    )
    .since("1.8"),
    function(
        "sort",
        &["comparator", "list"],
        "*list* in order, where `comparator a b` says whether *a* goes before *b*. Elements of \
         which neither goes before the other keep their order. *comparator* must be a strict \
         order, as `<` is; with `<=` or one that contradicts itself the order is not defined.",
    )
    .since("1.10"),
    function(
        "split",
        &["regex", "str"],
        "Cuts *str* at each match of *regex*, a POSIX extended regular expression: a list that \
         alternates between the text in between, as strings, and, for each match, the list of its \
         groups, `null` for a group that took no part.",
    )
    .since("2.0"),
    function(
        "splitVersion",
        &["s"],
        "The components of a version string as a list of strings. Dots and dashes separate and \
         vanish; a change between digits and other characters also cuts.",
    )
    .since("2.0"),
    constant("storeDir", "The folder of the Nix store as a string, normally `\"/nix/store\"`.")
        .since("1.9"),
    function(
        "storePath",
        &["path"],
        "The path *path* in the store, as a string that depends on it. Unlike a path literal it is \
         not copied to the store again. It must exist or be available from a cache; not allowed in \
         pure evaluation.",
    )
    .since("0.12"),
    function(
        "stringLength",
        &["e"],
        "The number of bytes, not characters, of the string *e*. Other values are coerced as in \
         string interpolation first.",
    )
    .since("0.11"),
    function(
        "sub",
        &["e1", "e2"],
        "The difference *e1* - *e2* of two numbers: an integer if both are integers, otherwise a \
         float. Integer overflow is an error.",
    )
    .since("0.11"),
    function(
        "substring",
        &["start", "len", "s"],
        "The *len* bytes of *s* from byte *start* on, counted from 0; fewer where *s* ends, and \
         all to the end if *len* is negative. `\"\"` if *start* is beyond the end; an error if it \
         is negative. Counts bytes, so it can cut a character in two.",
    )
    .since("0.11"),
    function(
        "tail",
        &["list"],
        "*list* without its first element. An empty list is an error. Copies the list, so that a \
         recursion by `tail` takes quadratic time.",
    ),
    global(
        "throw",
        &["s"],
        "Fails with *s* as the message. `builtins.tryEval` catches it, and commands that look over \
         many packages skip the package.",
    )
    .since("0.11"),
    function(
        "toFile",
        &["name", "s"],
        "Writes the string *s* to a file in the store, named *name*, and returns its path. *s* may \
         refer to store files but not to the output of a derivation.",
    ),
    function(
        "toJSON",
        &["e"],
        "*e* as JSON text, evaluated throughout. A set with `__toString` or `outPath` becomes that \
         string, so a derivation becomes its output path; a path is copied to the store. Functions \
         are an error.",
    )
    .since("1.7"),
    function(
        "toPath",
        &["s"],
        "The absolute path *s*, cleaned of `.` and `..`, as a string rather than a path. A \
         relative one is an error.",
    )
    .deprecated("write `/. + s` for an absolute path, `./. + \"/name\"` for a relative one"),
    global(
        "toString",
        &["e"],
        "*e* as a string. A path gives its text and is not copied to the store; `true` gives \
         `\"1\"`, `false` and `null` give `\"\"`; a list gives its elements with spaces between; a \
         set needs `__toString` or `outPath`. Other sets and functions are errors.",
    ),
    function(
        "toXML",
        &["e"],
        "*e* as XML text, evaluated throughout, for builders that read XML. A function is \
         described by its argument pattern, a derivation by its paths.",
    ),
    function(
        "trace",
        &["e1", "e2"],
        "Evaluates *e1* and prints it on standard error, a string as it is, then returns *e2*. \
         What is inside *e1* is shown only as far as it is evaluated.",
    )
    .since("0.11"),
    function(
        "traceVerbose",
        &["e1", "e2"],
        "As `builtins.trace` if the setting `trace-verbose` is on; otherwise returns *e2* and \
         leaves *e1* unevaluated.",
    )
    .since("2.10"),
    constant("true", "The Boolean that is true. The name can be shadowed like any other.").plain(),
    function(
        "tryEval",
        &["e"],
        "Evaluates *e*, but not what is inside it, and returns a set with `success` and `value`. \
         If *e* failed by `throw` or `assert`, `success` and `value` are both `false`; other errors \
         are not caught.",
    )
    .since("0.13"),
    function(
        "typeOf",
        &["e"],
        "The type of *e*: `\"int\"`, `\"float\"`, `\"bool\"`, `\"string\"`, `\"path\"`, `\"null\"`, \
         `\"set\"`, `\"list\"` or `\"lambda\"`, which builtin functions are too.",
    )
    .since("1.6.1"),
    function(
        "unsafeDiscardOutputDependency",
        &["s"],
        "The string *s*, with each reference to a derivation with all its outputs, as in `drvPath`, \
         turned into a plain reference to the `.drv` file. What it is used in then no longer \
         demands that the outputs are built. `builtins.addDrvOutputDependencies` goes the other \
         way.",
    )
    .since("0.13"),
    function(
        "unsafeDiscardStringContext",
        &["s"],
        "The string *s* without its context. A derivation that uses it no longer depends on the \
         store paths in it, which may then be missing in its build.",
    )
    .since("0.12"),
    function(
        "unsafeGetAttrPos",
        &["s", "set"],
        "Where the attribute named *s* of *set* was written: a set with `file`, `line` and \
         `column`, or `null` if that is not known or there is no such attribute.",
    )
    .since("1.7"),
    function(
        "warn",
        &["e1", "e2"],
        "Prints the string *e1* as a warning on standard error, then returns *e2*. With the \
         setting `abort-on-warn` the evaluation ends there. Anything but a string is an error.",
    )
    .since("2.23"),
    function(
        "zipAttrsWith",
        &["f", "list"],
        "Merges the sets in *list*: for each name that occurs, *f* is applied to the name and the \
         list of its values, in the order of *list*. The calls happen when a value of the result \
         is used.",
    )
    .since("2.6"),
];
