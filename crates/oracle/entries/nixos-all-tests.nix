let
  pkgs = import <corpus/nixpkgs-24.05> { system = "x86_64-linux"; };
  tests = import <corpus/nixpkgs-24.05/nixos/tests/all-tests.nix> {
    inherit pkgs;
    inherit (pkgs) system;
    callTest = test: test;
  };
in
map (name: builtins.tryEval (builtins.isAttrs tests.${name})) (builtins.attrNames tests)
