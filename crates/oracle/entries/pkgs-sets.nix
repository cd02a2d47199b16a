let
  pkgs = import <corpus/nixpkgs-24.05> {
    system = "x86_64-linux";
    config.allowUnfree = true;
    overlays = [ ];
  };
in
map (set: builtins.length (builtins.attrNames set)) [
  pkgs.vimPlugins
  pkgs.terraform-providers
  pkgs.kodiPackages
  pkgs.texlive.pkgs
  pkgs.nodePackages
  pkgs.rubyPackages
  pkgs.emacsPackages
  pkgs.luaPackages
  pkgs.beamPackages
  pkgs.dotnetCorePackages
  pkgs.gnome
  pkgs.libsForQt5
  pkgs.kdePackages
  pkgs.python3Packages
  pkgs.perlPackages
  pkgs.cudaPackages
  pkgs.llvmPackages
  pkgs.rPackages
]
