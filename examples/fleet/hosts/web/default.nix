{ lib, ... }:
{
  imports = [ ./hardware-configuration.nix ];
  networking.hostName = "web";
  system.stateVersion = "24.05";
}
