let
  nixos = import <corpus/nixpkgs-24.05/nixos/lib/eval-config.nix> {
    system = "x86_64-linux";
    modules = [
      {
        networking.hostName = "anchor";
        services.openssh.enable = true;
        services.nginx.enable = true;
        boot.loader.grub.device = "/dev/sda";
        fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; };
        system.stateVersion = "24.05";
        nix.enable = false;
        # This copy lacks the list of Haskell packages.
        nixpkgs.overlays = [
          (final: prev: {
            shellcheck = prev.hello // { compiler = prev.hello; };
            shellcheck-minimal = prev.hello // { compiler = prev.hello; };
          })
        ];
      }
    ];
  };
in
nixos.config.system.build.toplevel.drvPath
