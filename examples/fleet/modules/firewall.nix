{ config, lib, ... }:
{
  networking.firewall = {
    enable = true;
    allowedTCPPorts = config.fleet.ports ++ [ 22 ];
  };
  networking.firewall = rec {
    base = 9000;
    allowedUDPPorts = [ base ];
  };
}
