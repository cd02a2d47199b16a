let
  flake = import <corpus/nixpkgs-24.05/flake.nix>;
  self = { outPath = <corpus/nixpkgs-24.05>; lastModifiedDate = "20240601000000"; shortRev = "0"; };
  outputs = flake.outputs { inherit self; };
in
[ (builtins.attrNames outputs.lib) outputs.legacyPackages.x86_64-linux.hello.drvPath ]
