# What `derivation` gives: the attributes it was called with, and for each output a set of its own
# that knows the others. `derivationStrict` runs when a path is asked for, not before.
attrs@{
  outputs ? [ "out" ],
  ...
}:
let
  paths = derivationStrict attrs;
  shared =
    attrs
    // builtins.listToAttrs members
    // {
      all = map (member: member.value) members;
      drvAttrs = attrs;
    };
  member = outputName: {
    name = outputName;
    value = shared // {
      outPath = paths.${outputName};
      drvPath = paths.drvPath;
      type = "derivation";
      inherit outputName;
    };
  };
  members = map member outputs;
in
(builtins.head members).value
