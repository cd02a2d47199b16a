let
  lib = import <corpus/nixpkgs.lib/lib>;
  home = (import <corpus/home-manager/modules/lib/stdlib-extended.nix> lib).hm;
  names = name:
    let
      tried = builtins.tryEval home.${name};
    in
    if tried.success && builtins.isAttrs tried.value then builtins.attrNames tried.value else [ ];
in
builtins.length (builtins.concatMap names (builtins.attrNames home))
