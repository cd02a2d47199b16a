{
  description = "A flake that needs nothing from elsewhere";

  inputs.tools.url = "./tools";

  outputs =
    { self, tools }:
    {
      packages.x86_64-linux.default = tools.lib.script "hello" "echo hello > $out";

      apps.x86_64-linux.default = {
        type = "app";
        program = "${self.packages.x86_64-linux.default}";
      };

      overlays.default = final: prev: { hello = self.packages.x86_64-linux.default; };
    };
}
