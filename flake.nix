{
  description = "cim-nix: one program that knows Nix code end to end";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      forEachSystem =
        make:
        lib.genAttrs [
          "aarch64-darwin"
          "aarch64-linux"
          "x86_64-linux"
        ] (system: make nixpkgs.legacyPackages.${system});

      manifest = lib.importTOML ./Cargo.toml;

      cim-nix =
        { rustPlatform }:
        rustPlatform.buildRustPackage {
          pname = "cim-nix";
          inherit (manifest.workspace.package) version;

          # Documents and CI are left out, so that editing them builds nothing again.
          src = lib.fileset.toSource {
            root = ./.;
            fileset = lib.fileset.unions [
              ./Cargo.lock
              ./Cargo.toml
              ./crates
              ./stand-ins
            ];
          };
          cargoLock.lockFile = ./Cargo.lock;

          cargoBuildFlags = [
            "--package=cim-nix-cli"
            "--package=cim-nix-server"
          ];
          # xtask checks the repository, which is not here.
          cargoTestFlags = [
            "--workspace"
            "--exclude=xtask"
          ];

          meta = {
            description = "Check, read and change Nix code";
            homepage = manifest.workspace.package.repository;
            license = [
              lib.licenses.asl20
              lib.licenses.mit
            ];
            mainProgram = "cim-nix";
          };
        };
    in
    {
      packages = forEachSystem (pkgs: {
        default = pkgs.callPackage cim-nix { };
      });

      # The service, as `services.cim-nix-server`.
      nixosModules.default = ./deploy/nixos/module.nix;

      apps = forEachSystem (pkgs: {
        default = {
          type = "app";
          program = lib.getExe self.packages.${pkgs.stdenv.hostPlatform.system}.default;
          meta.description = "Check, read and change Nix code";
        };
      });

      # Building the package runs its tests.
      checks = forEachSystem (pkgs: {
        package = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      });

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ self.packages.${pkgs.stdenv.hostPlatform.system}.default ];
          # What `cargo xtask test` would otherwise install below target/.
          packages = [
            pkgs.cargo-deny
            pkgs.cargo-nextest
            pkgs.clippy
            pkgs.nix
            pkgs.rust-analyzer
            pkgs.rustfmt
            pkgs.typos
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
