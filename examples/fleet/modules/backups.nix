{ config, lib, ... }:
let
  # cim-nix: ignore[DEAD001] the retention policy is decided next month
  retentionDays = 30;
  # cim-nix: ignore[DEAD001] used below since the last release
  target = "backup.${config.fleet.domain}";
in
{
  imports = [ ./restic.nix ];

  services.borgbackup.jobs.db = {
    paths = [ "/var/lib/postgresql" ];
    repo = "borg@${target}:db";
    encryption.mode = "none";
    startAt = "daily";
    extraArgs = concatStringsSep " " [ "--remote-path" "borg1" ];
  };
}
