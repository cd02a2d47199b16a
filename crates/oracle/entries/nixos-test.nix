let
  pkgs = import <corpus/nixpkgs-24.05> { system = "x86_64-linux"; };
  test = import <corpus/nixpkgs-24.05/nixos/tests/nginx.nix> { inherit pkgs; inherit (pkgs) system; };
in
test.nodes.webserver.services.nginx.package.drvPath
