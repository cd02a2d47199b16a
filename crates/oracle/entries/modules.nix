let
  lib = import <corpus/nixpkgs.lib/lib>;
  module = { config, lib, ... }: {
    options.services.one = {
      enable = lib.mkEnableOption "one";
      port = lib.mkOption { type = lib.types.port; default = 1; };
      env = lib.mkOption { type = lib.types.attrsOf lib.types.str; default = { }; };
    };
    config.services.one.env.SELF = lib.mkIf config.services.one.enable "one";
  };
  evaluated = lib.evalModules { modules = [ module { services.one.enable = true; } ]; };
in
builtins.deepSeq evaluated.config (lib.optionAttrSetToDocList evaluated.options)
