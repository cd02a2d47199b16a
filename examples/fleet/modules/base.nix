# What every host has.
{
  config,
  lib,
  pkgs,
  modulesPath,
  ...
}@args:
let
  inherit (lib) mkDefault mkIf optionals;
  cfg = config.fleet;
  admins = import ../lib/admins.nix;
in
{
  imports = [
    ./options.nix
    ./firewall.nix
  ];

  config = {
    time.timeZone = mkDefault "UTC";
    networking.domain = cfg.domain;
    users.users = admins.users;
    environment.systemPackages = [ pkgs.motd ] ++ optionals cfg.debug [ pkgs.htop ];
    nix.settings.experimental-features = [ "nix-command" "flakes" ];
  };
}
