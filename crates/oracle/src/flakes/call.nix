# What a flake declares and gives, without fetching anything: `outputs` is called with stubs, or with
# flakes that lie below the folder `real` under the names of the inputs. `probe` asks for the names of
# what lies at a path of the outputs, or of what lies in that.
{ file, folder, real ? null, aliases ? { }, probe ? null }:
let
  inherit (builtins) attrNames foldl' functionArgs isAttrs isFunction isList isPath listToAttrs map mapAttrs pathExists removeAttrs;

  systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
  perSystem = value: listToAttrs (map (name: { inherit name value; }) systems);

  # The names that Nix passes to `outputs`.
  namesOf = flake:
    let
      formals = if isFunction flake.outputs then functionArgs flake.outputs else { };
    in
    attrNames (removeAttrs ((flake.inputs or { }) // formals) [ "self" ]);

  meta = {
    _type = "flake";
    rev = "0000000000000000000000000000000000000000";
    shortRev = "0000000";
    lastModified = 0;
    lastModifiedDate = "19700101000000";
    narHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  };

  hasReal = name: real != null && pathExists (real + "/${name}");

  lib = if hasReal "nixpkgs" then (inputOf "nixpkgs").lib else { };

  stub = meta // {
    outPath = folder;
    inherit lib;
    inputs = { };
    overlay = final: prev: { };
    overlays.default = final: prev: { };
    packages = perSystem { default = { type = "derivation"; name = "stub"; }; };
    legacyPackages = perSystem { };
    nixosModules.default = { };
    homeModules.default = { };
    homeManagerModules.default = { };
    darwinModules.default = { };
  };

  inputOf = name:
    let
      path = real + "/${name}";
    in
    if !hasReal name then stub
    else if pathExists (path + "/flake.nix") then call { flake = import (path + "/flake.nix"); folder = path; }
    else meta // { outPath = path; };

  call = { flake, folder, aliases ? { } }:
    let
      inputs = listToAttrs (map (name: { inherit name; value = inputOf (aliases.${name} or name); }) (namesOf flake));
      outputs = flake.outputs (inputs // { inherit self; });
      self = outputs // meta // {
        outPath = folder;
        inputs = inputs // { inherit self; };
        inherit outputs;
      };
    in
    self;

  plain = value:
    if isAttrs value then mapAttrs (name: plain) value
    else if isList value then map plain value
    else if isPath value then toString value
    else value;

  flake = import file;
  outputs = (call { inherit flake folder aliases; }).outputs;

  probed = { path, deep }:
    let
      step = value: name: if isAttrs value && value ? ${name} then value.${name} else null;
      at = foldl' step outputs path;
      names = value: if isAttrs value then attrNames value else null;
    in
    if deep && isAttrs at then mapAttrs (name: names) at else names at;
in
{
  inputs = plain (flake.inputs or { });
  names = attrNames outputs;
  probed = if probe == null then null else probed probe;
}
