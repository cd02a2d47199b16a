final: prev: {
  motd = final.callPackage ../pkgs/motd { };

  # Newer than the release's.
  nginx = prev.nginx.overrideAttrs (old: rec {
    pname = "nginx";
    patches = old.patches or [ ] ++ [ ./nginx-quiet.patch ];
  });
}
