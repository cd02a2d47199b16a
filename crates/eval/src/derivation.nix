# What `derivation` gives: the attributes it was called with, and for each output a set of its own
# that knows the others. `derivationStrict` runs when a path is asked for, not before.
#
# Errors name lines and columns of the file that Nix has for this, and the function in it, so what
# can be named stands here in the same places.
























attrs@{
  outputs ? [ "out" ],
  ...
}:

let

  paths = derivationStrict attrs;

  shared =
    attrs
    // (builtins.listToAttrs members)
    // {
      all = map (p: p.value) members;
      drvAttrs = attrs;
    };

  outputToAttrListElement = outputName: {
    name = outputName;
    value = shared // {
      outPath = paths.${outputName};
      drvPath = paths.drvPath;
      type = "derivation";
      inherit outputName;
    };
  };

  members     = map outputToAttrListElement outputs;

in
(builtins.head members).value
