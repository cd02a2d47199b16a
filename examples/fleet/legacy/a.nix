# Two files that import each other, and need each other's value at once.
(import ./b.nix) + 1
