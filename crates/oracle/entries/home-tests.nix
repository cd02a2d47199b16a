let
  pkgs = import <corpus/nixpkgs-24.05> { system = "x86_64-linux"; config = { }; overlays = [ ]; };
  lib = import <corpus/nixpkgs.lib/lib>;
in
builtins.attrNames (import <corpus/home-manager/tests/integration> { inherit pkgs lib; })
