{
  lib,
  stdenvNoCC,
  figlet,
  fetchurl,
  ...
}:

stdenvNoCC.mkDerivation rec {
  pname = "motd";
  version = "1.2.0";

  src = ./.;

  nativeBuildInputs = [ figlet ];

  buildPhase = ''
    figlet "fleet ${version}" > motd
  '';

  installPhase = ''
    install -D motd $out/share/motd
  '';

  meta = {
    description = "Greeting of the fleet's hosts";
    license = lib.licenses.mit;
    license = lib.licenses.asl20;
  };
}
