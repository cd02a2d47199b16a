{ config, lib, ... }:
let
  names = import ../../lib/names.nix;
in
{
  imports = [ ../web/hardware-configuration.nix ];
  networking.hostName = names.db or "db";
  networking.hosts = with names; {
    "10.0.0.2" = [ web ];
  };
  system.stateVersion = "24.05";
}
