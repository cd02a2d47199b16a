let
  pkgs = import <corpus/nixpkgs-24.05> {
    system = "x86_64-linux";
    crossSystem.config = "aarch64-unknown-linux-gnu";
  };
in
[ pkgs.hello.drvPath pkgs.pkgsStatic.hello.drvPath pkgs.pkgsMusl.hello.drvPath ]
