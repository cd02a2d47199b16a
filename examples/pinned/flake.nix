{
  description = "Inputs of inputs, some of them twice";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-24.05";
    flake-utils.url = "github:numtide/flake-utils";
    home-manager = {
      url = "github:nix-community/home-manager/release-24.05";
      inputs.nixpkgs.follows = "nixpkgs";
    };
    rust-overlay.url = "github:oxalica/rust-overlay";
  };

  outputs =
    { self, nixpkgs, flake-utils, home-manager, rust-overlay }:
    flake-utils.lib.eachDefaultSystem (system: {
      packages.default = nixpkgs.legacyPackages.${system}.hello;
      devShells.default = rust-overlay.packages.${system}.rust;
      apps.default = {
        type = "app";
        program = "${home-manager.packages.${system}.default}/bin/home-manager";
      };
    });
}
