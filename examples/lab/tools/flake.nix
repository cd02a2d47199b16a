{
  description = "What the flake beside it builds with";

  outputs =
    { self }:
    {
      lib.script =
        name: text:
        derivation {
          inherit name;
          system = "x86_64-linux";
          builder = "/bin/sh";
          args = [
            "-c"
            text
          ];
        };
    };
}
