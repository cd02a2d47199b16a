{ config, ... }:
{
  services.nginx = {
    enable = true;
    virtualHosts.${config.fleet.domain} = {
      root = ../pkgs/motd/;
      locations."/".index = "index.html";
    };
  };
  fleet.ports = [ 80 443 ];
}
