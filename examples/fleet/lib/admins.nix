let
  keys = {
    ada = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleExampleExampleExampleExample ada";
  };
  user = name: {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    openssh.authorizedKeys.keys = [ keys.${name} ];
  };
in
let
in
{
  users = {
    ada = user "ada";
  };
}
