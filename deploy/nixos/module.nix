# The service on NixOS:
#
#   {
#     imports = [ ./deploy/nixos/module.nix ];
#     services.cim-nix-server = {
#       enable = true;
#       package = inputs.cim-nix.packages.${pkgs.system}.default;
#       credentials."nats.creds" = "/run/keys/nats.creds";
#       settings = {
#         nats.login.credentials-file = "/run/credentials/cim-nix-server.service/nats.creds";
#         tenant = [ { name = "main"; } ];
#       };
#     };
#   }
#
# What the unit may do is said in ../systemd/cim-nix-server.service, with reasons; both say the same.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.cim-nix-server;
  format = pkgs.formats.toml { };
  file = format.generate "server.toml" (
    cfg.settings
    // {
      state = cfg.settings.state or "/var/lib/cim-nix";
      http = {
        listen = "${cfg.address}:${toString cfg.port}";
      } // (cfg.settings.http or { });
    }
  );
  program = "${cfg.package}/bin/cim-nix-server --config /etc/cim-nix/server.toml";
  isInStore = path: builtins.substring 0 (builtins.stringLength builtins.storeDir) path == builtins.storeDir;
  isAbsolute = path: builtins.substring 0 1 path == "/";
  secrets = builtins.attrValues cfg.credentials;
in
{
  options.services.cim-nix-server = {
    enable = lib.mkEnableOption "cim-nix, the Nix domain on NATS and HTTP";
    package = lib.mkOption {
      type = lib.types.package;
      example = lib.literalExpression "inputs.cim-nix.packages.\${pkgs.system}.default";
      description = "The package with the programs `cim-nix-server` and `cim-nix`.";
    };
    address = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1";
      example = "[::]";
      description = "Where HTTP is served.";
    };
    port = lib.mkOption {
      type = lib.types.port;
      default = 8480;
      description = "The port that HTTP is served on.";
    };
    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether others may reach the port.";
    };
    settings = lib.mkOption {
      type = format.type;
      default = { };
      example = lib.literalExpression ''
        {
          nats.servers = [ "nats://127.0.0.1:4222" ];
          tenant = [ { name = "main"; } ];
          log.filter = "info,cim_nix_nats=debug";
        }
      '';
      description = ''
        What `server.toml` says. Everybody can read it: secrets are named there by the files that
        they are in, see `credentials`.
      '';
    };
    credentials = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example = {
        "nats.creds" = "/run/keys/nats.creds";
      };
      description = ''
        Files with secrets, by the names that they get in the folder
        `/run/credentials/cim-nix-server.service`, which only the service can read. They are read
        when the service starts; tokens, which are taken away by reloading, belong to `settings`,
        where they are hashes.
      '';
    };
    projects = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [ "/srv/projects" ];
      description = "Folders that the service may change.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = builtins.all (path: isAbsolute path && !isInStore path) secrets;
        message = "services.cim-nix-server.credentials: secrets are absolute paths outside of the store, which everybody can read";
      }
      {
        assertion = builtins.all isAbsolute cfg.projects;
        message = "services.cim-nix-server.projects: folders are absolute paths";
      }
    ];

    environment.etc."cim-nix/server.toml".source = file;
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall [ cfg.port ];

    systemd.services.cim-nix-server = {
      description = "cim-nix, the Nix domain on NATS and HTTP";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nss-lookup.target"
        "nats.service"
        "nix-daemon.service"
      ];
      # Builds and fetches are done by programs.
      path = [
        config.nix.package
        pkgs.git
      ];
      environment = {
        XDG_STATE_HOME = "/var/lib/cim-nix";
        XDG_CACHE_HOME = "/var/cache/cim-nix";
      };
      # What can be changed while it runs, is.
      reloadTriggers = [ file ];
      unitConfig = {
        StartLimitIntervalSec = 300;
        StartLimitBurst = 10;
      };
      serviceConfig = {
        Type = "notify";
        TimeoutStartSec = "infinity";
        ExecStartPre = "${program} check-config";
        ExecStart = "${program} serve";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        Restart = "on-failure";
        RestartSec = 2;
        KillMode = "mixed";
        TimeoutStopSec = 90;
        OOMPolicy = "continue";
        LoadCredential = builtins.attrValues (builtins.mapAttrs (name: path: "${name}:${path}") cfg.credentials);
        ReadWritePaths = cfg.projects;

        DynamicUser = true;
        StateDirectory = "cim-nix";
        StateDirectoryMode = "0700";
        CacheDirectory = "cim-nix";
        WorkingDirectory = "/var/lib/cim-nix";
        UMask = if cfg.projects == [ ] then "0077" else "0022";
        LimitNOFILE = 65536;
        TasksMax = 4096;

        AmbientCapabilities = "";
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        SecureBits = "noroot-locked";
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        PrivateDevices = true;
        PrivateUsers = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        RemoveIPC = true;
        DevicePolicy = "closed";
        SystemCallArchitectures = "native";
        SystemCallFilter = [
          "@system-service"
          "~@privileged"
        ];
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
