{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.fleet = {
    domain = mkOption {
      type = types.str;
      default = "fleet.example";
      description = "Domain of all hosts.";
    };
    debug = mkOption {
      type = types.bool;
      default = false;
      description = "Whether to install tools for looking around.";
    };
    ports = mkOption {
      type = types.listOf types.port;
      default = [ ];
      apply = ports: map (port:port) ports;
      description = "Ports to open.";
    };
  };
}
