let
  nixos = import <corpus/nixpkgs-24.05/nixos/lib/eval-config.nix> {
    system = "x86_64-linux";
    modules = [
      <corpus/nixpkgs-24.05/nixos/modules/profiles/hardened.nix>
      <corpus/nixpkgs-24.05/nixos/modules/installer/cd-dvd/installation-cd-minimal.nix>
      {
        services.xserver.enable = true;
        services.desktopManager.plasma6.enable = true;
        services.displayManager.sddm.enable = true;
        services.postgresql.enable = true;
        services.prometheus.enable = true;
        services.prometheus.exporters.node.enable = true;
        services.prometheus.exporters.nginx.enable = true;
        virtualisation.docker.enable = true;
        programs.zsh.enable = true;
        users.users.x.isNormalUser = true;
        containers.inner.config = {
          services.nginx.enable = true;
          system.stateVersion = "24.05";
        };
        system.stateVersion = "24.05";
        nix.enable = false;
        nixpkgs.config.allowUnfree = true;
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
