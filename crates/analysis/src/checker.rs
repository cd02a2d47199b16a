//! One pass over one file.

use std::sync::Arc;

use cim_nix_base::{Code, Diagnostic, LineIndex, Severity};
use cim_nix_semantics::{Ir, Lowerer};
use cim_nix_syntax::{Parser, Tree};

use crate::context::Context;
use crate::flake::{FlakeFacts, Surroundings};
use crate::lints::Lints;
use crate::options::OptionTable;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, Report};
use crate::rules;
use crate::rules::unused_suppression::Ran;
use crate::suppress::{self, Suppression};

/// A finding with what its fix does to the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The finding.
    pub diagnostic: Diagnostic,
    /// What the fix does to the tree; empty where there is no fix or it changes comments only.
    pub rewrites: Vec<Rewrite>,
}

/// What a check of one file has found.
#[derive(Debug)]
pub struct CheckedFile {
    /// The tree, for whoever wants more.
    pub tree: Tree,
    /// The lowered file.
    pub ir: Ir,
    /// Findings in the order of their places, except that of several undefined variables the one
    /// that Nix reports comes first.
    pub findings: Vec<Found>,
    /// Whether Nix refuses to parse the file.
    pub is_refused: bool,
    /// Findings that comments silenced, in the order of their places.
    pub silenced: Vec<Silenced>,
}

/// A finding that a comment silenced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silenced {
    /// The finding.
    pub diagnostic: Diagnostic,
    /// What the comment gives as the reason; empty if it gives none.
    pub reason: Box<str>,
}

/// Checks files one after another with buffers that outlive them.
#[derive(Default)]
pub struct Checker {
    parser: Parser,
    lowerer: Lowerer,
    report: Report,
    /// What evaluation knows of the options that the files set.
    options: Arc<[OptionTable]>,
    /// By rule, whether the file at hand concerns it.
    open: Vec<bool>,
    /// By node kind, the rules that want such nodes of the file at hand.
    node_rules: Vec<Vec<usize>>,
    around: Surroundings,
}

impl Checker {
    /// A checker that also runs the rules which ask evaluation: `options` are those of the
    /// configurations that the files belong to.
    #[must_use]
    pub fn with_options(options: Arc<[OptionTable]>) -> Self {
        Self { options, ..Self::default() }
    }

    /// Says what lies around the files that are checked from now on, for the rules about flakes.
    /// Without it nothing is known of any lock file.
    pub fn surround(&mut self, around: Surroundings) {
        self.around = around;
    }

    /// Parses, lowers and checks one text. `path` is only looked at for hints, never opened.
    ///
    /// Where the syntax is broken, that alone is reported: findings about names would be guesses.
    pub fn check(&mut self, path: &str, text: impl Into<Box<str>>, lints: &Lints) -> CheckedFile {
        self.check_with(path, text, lints, |_| Vec::new())
    }

    /// The same with findings that others made of the file, such as those about its imports, so
    /// that suppression comments hold for them, too.
    pub fn check_with(
        &mut self,
        path: &str,
        text: impl Into<Box<str>>,
        lints: &Lints,
        more: impl FnOnce(&Tree) -> Vec<Diagnostic>,
    ) -> CheckedFile {
        let parse = self.parser.parse(text);
        let tree = parse.tree;
        let ir = self.lowerer.lower(&tree);
        let is_refused = parse.problems.iter().any(|p| p.severity == Severity::Error);
        let mut findings: Vec<Found> = parse.problems.into_iter().map(plain).collect();
        findings.extend(more(&tree).into_iter().map(plain));
        if is_refused {
            findings.sort_by_key(|found| found.diagnostic.range.start);
            return CheckedFile { tree, ir, findings, is_refused, silenced: Vec::new() };
        }
        findings.extend(ir.problems.iter().cloned().map(plain));
        let has_undefined = ir.free_names().any(|(_, id)| ir.is_undefined(id));
        let is_refused = !ir.problems.is_empty() || has_undefined;
        let options = self.options.clone();
        let context = Context::new(path, &tree, &ir).with_options(&options);
        self.run_rules(&context, lints, &mut findings);
        findings.sort_by_key(|found| {
            let range = found.diagnostic.range;
            (range.start, range.end, found.diagnostic.code)
        });
        let ran = Ran { lints, is_evaluated: !options.is_empty() };
        let silenced = silence(&tree, ran, &mut findings);
        lead(&tree, &ir, &mut findings);
        CheckedFile { tree, ir, findings, is_refused, silenced }
    }

    fn run_rules(&mut self, context: &Context<'_>, lints: &Lints, out: &mut Vec<Found>) {
        lints.gate.open(context.text(), &mut self.open);
        for &at in &lints.file_rules {
            if self.open[at]
                && let Check::File(check) = rules::all()[at].check
            {
                check(context, &mut self.report);
                self.collect(at, lints, out);
            }
        }
        self.run_flake_rules(context, lints, out);
        self.node_rules.resize(lints.node_rules.len(), Vec::new());
        for (open, all) in self.node_rules.iter_mut().zip(&lints.node_rules) {
            open.clear();
            open.extend(all.iter().filter(|at| self.open[**at]));
        }
        for node in context.tree.nodes() {
            for nth in 0..self.node_rules[node.kind() as usize].len() {
                let at = self.node_rules[node.kind() as usize][nth];
                if let Check::Nodes(_, check) = rules::all()[at].check {
                    check(context, node, &mut self.report);
                    if !self.report.findings.is_empty() {
                        self.collect(at, lints, out);
                    }
                }
            }
        }
    }

    fn run_flake_rules(&mut self, context: &Context<'_>, lints: &Lints, out: &mut Vec<Found>) {
        if lints.flake_rules.is_empty() {
            return;
        }
        let Some(file) = context.flake() else { return };
        let around = std::mem::take(&mut self.around);
        let facts = FlakeFacts::new(file, &around, lints.limits);
        for &at in &lints.flake_rules {
            if let Check::Flake(check) = rules::all()[at].check {
                check(context, &facts, &mut self.report);
                self.collect(at, lints, out);
            }
        }
        self.around = around;
    }

    /// Moves the findings of rule number `at` to the result.
    fn collect(&mut self, at: usize, lints: &Lints, out: &mut Vec<Found>) {
        let Some(severity) = lints.severity_at(at) else { return };
        let code = rules::all()[at].code;
        out.extend(self.report.findings.drain(..).map(|finding| found(code, severity, finding)));
    }
}

pub(crate) fn found(code: Code, severity: Severity, finding: Finding) -> Found {
    let mut diagnostic = Diagnostic::new(code, severity, finding.range, finding.message);
    diagnostic.labels = finding.labels;
    diagnostic.help = finding.help;
    let mut rewrites = Vec::new();
    if let Some(fix) = finding.fix {
        diagnostic = diagnostic.fix(fix.title, fix.applicability, fix.edits);
        rewrites = fix.rewrites;
    }
    Found { diagnostic, rewrites }
}

fn plain(diagnostic: Diagnostic) -> Found {
    Found { diagnostic, rewrites: Vec::new() }
}

/// Takes out what comments silence and reports comments that silence nothing.
fn silence(tree: &Tree, ran: Ran<'_>, findings: &mut Vec<Found>) -> Vec<Silenced> {
    if !suppress::may_suppress(tree.text()) {
        return Vec::new();
    }
    let index = LineIndex::new(tree.text());
    let mut suppressions = suppress::suppressions(tree, &index);
    let mut silenced = Vec::new();
    findings.retain(|Found { diagnostic, .. }| {
        let line = index.line_of(diagnostic.range.start);
        let Some(reason) = reason(&mut suppressions, diagnostic.code, line) else { return true };
        silenced.push(Silenced { diagnostic: diagnostic.clone(), reason });
        false
    });
    if let Some(severity) = ran.lints.severity(rules::unused_suppression::RULE.code) {
        let stale = rules::unused_suppression::stale(tree, &suppressions, ran);
        let code = rules::unused_suppression::RULE.code;
        findings.extend(stale.into_iter().map(|finding| found(code, severity, finding)));
        findings.sort_by_key(|found| found.diagnostic.range.start);
    }
    silenced
}

/// Moves the undefined variable that Nix reports to the front of the others.
fn lead(tree: &Tree, ir: &Ir, findings: &mut [Found]) {
    let codes = [rules::undefined_variable::RULE.code, rules::unknown_builtin::RULE.code];
    let is_name = |found: &Found| codes.contains(&found.diagnostic.code);
    let Some(front) = findings.iter().position(is_name) else { return };
    let Some(first) = ir.first_undefined(tree) else { return };
    let range = tree.node(ir.node(first)).range();
    let is_first = |found: &Found| is_name(found) && found.diagnostic.range == range;
    if let Some(at) = findings.iter().position(is_first) {
        findings[front..=at].rotate_right(1);
    }
}

/// Why `code` is silenced on a line, if it is. All comments that silence it count as used.
fn reason(suppressions: &mut [Suppression], code: Code, line: u32) -> Option<Box<str>> {
    let mut reason: Option<Box<str>> = None;
    for suppression in suppressions {
        let is_silent = suppression.silences(code, line);
        if is_silent && reason.as_ref().is_none_or(|reason| reason.is_empty()) {
            reason = Some(suppression.reason.clone());
        }
    }
    reason
}
