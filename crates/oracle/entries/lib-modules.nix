let
  lib = import <corpus/nixpkgs-24.05/lib>;
  config = modules: (lib.evalModules { inherit modules; }).config;
  tests = <corpus/nixpkgs-24.05/lib/tests/modules>;
in
map (found: builtins.tryEval (builtins.deepSeq found 1)) [
  (config [ (tests + "/declare-enable.nix") (tests + "/define-enable.nix") ])
  (config [ (tests + "/disable-recursive/main.nix") ])
  (config [ (tests + "/deferred-module.nix") ])
  (config [ (tests + "/declare-submoduleWith-path.nix") ])
]
