# The last of them fails in this copy, which lacks the list of Haskell packages; what was evaluated
# before counts.
let
  pkgs = import <corpus/nixpkgs-24.05> {
    system = "x86_64-linux";
    config.allowUnfree = true;
    overlays = [ ];
  };
in
map (package: package.drvPath) [
  pkgs.vlc
  pkgs.vim
  pkgs.neovim
  pkgs.docker
  pkgs.qemu
  pkgs.gimp
  pkgs.thunderbird-unwrapped
  pkgs.terraform
  pkgs.kdePackages.kate
  pkgs.gnome.nautilus
  pkgs.flutter
  pkgs.deno
  pkgs.clang
  pkgs.openmpi
  pkgs.freecad
  pkgs.blender
  pkgs.chromium
  pkgs.vscodium
]
