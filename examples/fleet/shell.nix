{
  pkgs ? import <nixpkgs> { },
}:
with pkgs.lib;
pkgs.mkShell {
  packages = [
    pkgs.nixfmt-rfc-style
    pkgs.git
  ];
}
