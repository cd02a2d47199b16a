{ config, pkgs, lib, ... }:
let
  port = 5432;
  port' = config.services.postgresql.settings.port or port;
  package = package;
in
{
  services.postgresql = {
    enable = true;
    inherit package;
    settings = {
      inherit port;
      log_connections = true;
    } // { };
  };
  fleet.ports = [ port' ];
  systemd.services.postgresql.serviceConfig.TimeoutSec = lib.mkForce tiemout;
}
