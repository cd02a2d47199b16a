# What `derivation` gives: the attributes it was called with, and for each output a set of its own
# that knows the others.
#
# It is lazy where it can be. A set has all its names at once, so that one can look at the name of
# a derivation, at its inputs or at its `meta` for nothing. Only a path makes `derivationStrict`
# compute what all of the attributes come to: once, for all outputs together.
#
#     derivation { name = "a"; outputs = [ "out" "doc" ]; … }
#
# gives the set of `out`, in which
#
#   * `out` and `doc` are the sets of the outputs; so `a.doc.out` is `a` again,
#   * `all` is the list of them,
#   * `drvAttrs` are the attributes as they were given,
#   * `outputName` is the name of this output,
#   * `outPath` is its store path, and makes `"${a}"` that path,
#   * `drvPath` is the store path of the derivation,
#   * `type` says what it is: other code asks for that.
#
# The set of an output is made when somebody asks for that output.
#
# What was given comes first, so that the attributes above cannot be faked, and the derivation's
# own attributes can be read from the set: `a.name`.
#
# The lines count. When a derivation fails to evaluate, the trace names a place in this file, and
# people and tests compare traces with those of Nix, which has such a file, too. So what can fail
# here stands where it stands there: the function, the call of `derivationStrict`, the choice of an
# output's path, the walk over the outputs, and the choice of the first of them. A test says where.
#
attrs@{
  outputs ? [ "out" ],
  ...
}:
let

  # The paths, by the names of the outputs.
  stored = derivationStrict attrs;

  shared =
    attrs
    // builtins.listToAttrs outputItems
    // {
      all = map (item: item.value) outputItems;
      drvAttrs = attrs;
    };

  toItem = outputName: {
    name = outputName;
    value = shared // {
      outPath = builtins.getAttr outputName stored;
      drvPath = stored.drvPath;
      type = "derivation";
      inherit outputName;
    };
  };

  outputItems = map toItem outputs;

in
(builtins.head outputItems).value
