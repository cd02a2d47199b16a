let
  flake = import <corpus/home-manager/flake.nix>;
  outputs = flake.outputs {
    self.outPath = <corpus/home-manager>;
    nixpkgs = {
      lib = import <corpus/nixpkgs.lib/lib>;
      legacyPackages.x86_64-linux = import <corpus/nixpkgs-24.05> { system = "x86_64-linux"; };
    };
  };
  packages = outputs.packages.x86_64-linux;
in
[
  (builtins.attrNames outputs.lib)
  (builtins.isFunction (import outputs.nixosModules.default))
  (map (name: builtins.tryEval (builtins.isAttrs packages.${name})) (builtins.attrNames packages))
]
