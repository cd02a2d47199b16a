let
  release = import <corpus/nixpkgs-24.05/pkgs/top-level/release.nix> {
    supportedSystems = [ "x86_64-linux" ];
    nixpkgs = { outPath = <corpus/nixpkgs-24.05>; shortRev = "0"; revCount = 1; };
  };
in
builtins.length (builtins.attrNames release)
