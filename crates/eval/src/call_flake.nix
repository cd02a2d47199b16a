# What the outputs of a flake are, given its lock file.
#
# lock: the lock file; known: of some of its nodes, the source that was fetched and the folder in
# it, that of the flake itself among them; fetch: gives the source of any other node.
{ lock, known, fetch }:
let
  inherit (builtins) head isFunction isList mapAttrs removeAttrs substring tail;

  # The key of the node that an input stands for: a key, or a path of inputs from the root.
  resolve = input: if isList input then walk lock.root input else input;
  walk = key: path:
    if path == [ ] then key else walk (resolve lock.nodes.${key}.inputs.${head path}) (tail path);

  load = key: node:
    let
      isKnown = known ? ${key};
      isRelative =
        !isKnown && node.locked.type or null == "path" && substring 0 1 node.locked.path != "/";
      parent = nodes.${walk lock.root node.parent};
      sourceInfo =
        if isKnown then known.${key}.sourceInfo
        else if isRelative then parent.sourceInfo
        else fetch (removeAttrs ((node.info or { }) // node.locked) [ "dir" ]);
      below = folder: path: if path == "" then folder else folder + "/" + path;
      start = if isRelative then below parent.outPath node.locked.path else sourceInfo.outPath;
      outPath = below start (known.${key}.dir or node.locked.dir or "");
      inputs = mapAttrs (_: input: nodes.${resolve input}.result) (node.inputs or { });
      file = import (outPath + "/flake.nix");
      outputs = file.outputs (inputs // { self = flake; });
      flake = outputs // sourceInfo // {
        inherit inputs outPath outputs sourceInfo;
        _type = "flake";
      };
    in
    {
      inherit outPath sourceInfo;
      result =
        if node.flake or true then assert isFunction file.outputs; flake
        else sourceInfo // { inherit outPath sourceInfo; };
    };

  nodes = mapAttrs load lock.nodes;
in
nodes.${lock.root}.result
