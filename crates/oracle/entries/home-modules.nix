# `services-modular` needs a nixpkgs that is newer than this copy.
let
  pkgs = import <corpus/nixpkgs-24.05> { system = "x86_64-linux"; config = { }; overlays = [ ]; };
  lib = import <corpus/home-manager/modules/lib/stdlib-extended.nix>
    (import <corpus/nixpkgs.lib/lib>);
  all = import <corpus/home-manager/modules/modules.nix> { inherit pkgs lib; check = false; };
  is-old-enough = module: !(builtins.isPath module && baseNameOf module == "services-modular");
  configuration = {
    home.username = "a";
    home.homeDirectory = "/home/a";
    home.stateVersion = "24.05";
    programs.git.enable = true;
    programs.zsh.enable = true;
    programs.firefox.enable = true;
    services.gpg-agent.enable = true;
  };
  home = lib.evalModules {
    modules = [ configuration ] ++ builtins.filter is-old-enough all;
    class = "homeManager";
    specialArgs.modulesPath = toString <corpus/home-manager/modules>;
  };
in
[
  (builtins.attrNames home.options.programs)
  (map (file: file.target) (builtins.attrValues home.config.home.file))
  (map (package: package.name) home.config.home.packages)
]
