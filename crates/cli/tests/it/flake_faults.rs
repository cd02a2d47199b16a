//! What is wrong with flakes, in the words of Nix.

use expect_test::expect;

use crate::judge::Scene;
