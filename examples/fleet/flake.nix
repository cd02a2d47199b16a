{
  description = "Two hosts, their modules and a package";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-24.05";
    home-manager = {
      url = "github:nix-community/home-manager/release-24.05";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    { self, nixpkgs, home-manager }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAllSystems = nixpkgs.lib.genAttrs systems;
      overlay = import ./overlays/default.nix;
      # Left over from the time before `forAllSystems`.
      defaultSystem = "x86_64-linux";
      mkHost =
        name: extra:
        nixpkgs.lib.nixosSystem {
          system = "x86_64-linux";
          specialArgs = { inherit self; };
          modules = [
            ./modules/base.nix
            ./hosts/${name}
            home-manager.nixosModules.home-manager
            { nixpkgs.overlays = [ overlay ]; }
          ] ++ extra ++ [ ];
        };
    in
    {
      overlays.default = overlay;

      nixosConfigurations = {
        web = mkHost "web" [ ./modules/nginx.nix ];
        db = mkHost "db" [ ./modules/postgres.nix ./modules/backups.nix ];
      };

      packages = forAllSystems (
        system:
        let
          pkgs = import nixpkgs { inherit system; overlays = [ overlay ]; };
        in
        {
          inherit (pkgs) motd;
          default = pkgs.motd;
        }
      );

      devShells = forAllSystems (system: {
        default = import ./shell.nix { pkgs = nixpkgs.legacyPackages.${system}; };
      });
    };
}
