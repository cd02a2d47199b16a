import <corpus/nixpkgs.lib/lib/tests/misc.nix>
