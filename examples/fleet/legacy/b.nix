(import ./a.nix) + 1
