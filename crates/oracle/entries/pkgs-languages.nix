let
  pkgs = import <corpus/nixpkgs-24.05> {
    system = "x86_64-linux";
    config.allowUnfree = true;
    overlays = [ ];
  };
in
map (package: package.drvPath) [
  (pkgs.python3.withPackages (python: [ python.numpy python.django python.pytest ]))
  (pkgs.perl.withPackages (perl: [ perl.DBI ]))
  pkgs.ruby
  pkgs.php82
  pkgs.postgresql
  pkgs.emacs
  pkgs.go
  pkgs.rustc
  pkgs.cargo
  pkgs.nodejs
  pkgs.linuxPackages.kernel
  pkgs.jdk
  pkgs.ocamlPackages.dune_3
  pkgs.lua5_4
  pkgs.sbcl
  pkgs.R
]
