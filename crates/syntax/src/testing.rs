//! What several test modules share: repeatable randomness and real Nix as the oracle.

/// A small generator of repeatable pseudo-random numbers (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 33) as usize) % bound
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Up to `longest` of `pieces`, one behind the other.
    pub(crate) fn text(&mut self, pieces: &[&str], longest: usize) -> String {
        let len = self.below(longest + 1);
        (0..len).map(|_| self.pick(pieces)).collect()
    }
}

/// What real Nix evaluates `expression` to, or `None` (said aloud) where there is no real Nix:
/// the variable `CIM_NIX_ORACLE` names its `nix-instantiate`.
pub(crate) fn real_nix(expression: &str) -> Option<serde_json::Value> {
    let output = run_real_nix(expression)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "real Nix refuses the expression: {errors}\n{expression}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Whether real Nix evaluates `expression` without an error; `None` as in [`real_nix`].
pub(crate) fn real_nix_accepts(expression: &str) -> Option<bool> {
    Some(run_real_nix(expression)?.status.success())
}

#[expect(clippy::disallowed_methods, reason = "the oracle is a program, named by the environment")]
fn run_real_nix(expression: &str) -> Option<std::process::Output> {
    let Some(program) = std::env::var_os("CIM_NIX_ORACLE") else {
        eprintln!("skipped: CIM_NIX_ORACLE does not name a `nix-instantiate`");
        return None;
    };
    let mut child = std::process::Command::new(program)
        .args(["--eval", "--strict", "--json", "-"])
        .env("NIX_REMOTE", "dummy://")
        .env("NIX_CONFIG", "extra-experimental-features = pipe-operators")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), expression.as_bytes()).unwrap();
    Some(child.wait_with_output().unwrap())
}
