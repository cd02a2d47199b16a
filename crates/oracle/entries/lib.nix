let
  lib = import <corpus/nixpkgs-24.05/lib>;
  names = name:
    let
      tried = builtins.tryEval lib.${name};
    in
    if tried.success && builtins.isAttrs tried.value then builtins.attrNames tried.value else [ ];
in
builtins.length (builtins.concatMap names (builtins.attrNames lib))
