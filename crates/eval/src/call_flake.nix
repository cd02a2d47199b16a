# What the outputs of a flake are, given its lock file.
#
# lock: the lock file; source: the flake's own source; dir: its folder in that; fetch: gives the
# source of a locked node.
{ lock, source, dir, fetch }:
let
  inherit (builtins) head isList mapAttrs removeAttrs substring tail;

  # The key of the node that an input stands for: a key, or a path of inputs from the root.
  resolve = input: if isList input then walk lock.root input else input;
  walk = key: path:
    if path == [ ] then key else walk (resolve lock.nodes.${key}.inputs.${head path}) (tail path);

  load = key: node:
    let
      isRoot = key == lock.root;
      isRelative = !isRoot && node.locked.type == "path" && substring 0 1 node.locked.path != "/";
      parent = nodes.${walk lock.root (node.parent or [ ])};
      sourceInfo =
        if isRoot then source
        else if isRelative then parent.sourceInfo
        else fetch (removeAttrs ((node.info or { }) // node.locked) [ "dir" ]);
      start = if isRelative then "${parent.outPath}/${node.locked.path}" else sourceInfo.outPath;
      subdir = if isRoot then dir else node.locked.dir or "";
      outPath = if subdir == "" then start else "${start}/${subdir}";
      inputs = mapAttrs (_: input: nodes.${resolve input}.result) (node.inputs or { });
      outputs = (import "${outPath}/flake.nix").outputs (inputs // { self = flake; });
      flake = outputs // sourceInfo // {
        inherit inputs outPath outputs sourceInfo;
        _type = "flake";
      };
    in
    {
      inherit outPath sourceInfo;
      result = if node.flake or true then flake else sourceInfo // { inherit outPath sourceInfo; };
    };

  nodes = mapAttrs load lock.nodes;
in
nodes.${lock.root}.result
