//! Which options there are, and whose they are.
//!
//! The lists were gathered from the option declarations of nixpkgs 24.05 and Home Manager 26.05.
//! They need not be whole: a name that is missing only makes an answer less certain.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::ModuleSystem;

/// A list of names, split when it is first needed.
type Words = LazyLock<HashSet<&'static str>>;

fn words(list: &'static str) -> HashSet<&'static str> {
    list.split_ascii_whitespace().collect()
}

/// First parts of option names, those of well-known modules outside of nixpkgs last.
static ROOTS: Words = LazyLock::new(|| {
    words(
        "\
    accounts appstream assertions boot console containers dconf documentation editorconfig \
    environment fileSystems fonts gtk hardware home homebrew i18n image isoImage launchd \
    location manual networking news nix nixpkgs power powerManagement programs qt sdImage \
    security services sound specialisation swapDevices system systemd targets time users \
    virtualisation warnings wayland xdg xresources xsession zramSwap age catppuccin clan \
    colorScheme devshell disko flake hercules-ci home-manager impermanence languages microvm \
    nixos-shell nixvim nmt perSystem pre-commit proxmox sops stylix treefmt wsl",
    )
});

/// Whether an option's name can begin with `name`.
pub(super) fn is_root(name: &str) -> bool {
    ROOTS.contains(name)
}

/// Whose option `first.second` is, and how sure that is: 2 where only one system has it.
pub(super) fn owner(first: &str, second: &str) -> Option<(ModuleSystem, u8)> {
    use ModuleSystem::{Darwin, HomeManager, NixOs};
    let sure = |system| Some((system, 2));
    let likely = |system| Some((system, 1));
    match (first, second) {
        ("nmt" | "accounts" | "xsession" | "xresources" | "targets", _)
        | ("wayland", "windowManager")
        | ("dconf", "settings")
        | ("fonts", "fontconfig")
        | ("gtk", "enable" | "theme" | "font" | "gtk2" | "gtk3" | "gtk4")
        | ("launchd", "agents") => sure(HomeManager),
        ("home-manager", _) => sure(NixOs),
        ("home", _) if HOME.contains(second) => sure(HomeManager),
        (
            "xdg",
            "portal" | "mime" | "autostart" | "icons" | "menus" | "sounds" | "terminal-exec",
        ) => None,
        ("xdg", _) => sure(HomeManager),
        ("homebrew", _)
        | ("launchd", "daemons" | "user" | "envVariables")
        | ("system", "defaults" | "primaryUser" | "keyboard")
        | ("networking", "computerName" | "knownNetworkServices" | "localHostName") => sure(Darwin),
        (
            "appstream" | "boot" | "console" | "containers" | "fileSystems" | "hardware"
            | "isoImage" | "location" | "powerManagement" | "sdImage" | "sound" | "swapDevices"
            | "virtualisation" | "zramSwap",
            _,
        )
        | (
            "systemd",
            "services" | "tmpfiles" | "timers" | "network" | "sockets" | "mounts" | "paths",
        )
        | (
            "networking",
            "firewall" | "interfaces" | "useDHCP" | "hostId" | "networkmanager" | "nftables"
            | "nat" | "wireless" | "wireguard" | "useNetworkd",
        )
        | ("users", "mutableUsers" | "extraUsers" | "extraGroups" | "defaultUserShell")
        | ("security", "acme" | "polkit" | "rtkit" | "wrappers" | "apparmor")
        | ("system", "autoUpgrade" | "nixos" | "switch") => sure(NixOs),
        (
            "environment" | "networking" | "security" | "users" | "system" | "time"
            | "documentation",
            _,
        ) => likely(NixOs),
        ("services", _) if BOTH_SERVICES.contains(second) => None,
        ("services", _) if HOME_SERVICES.contains(second) => sure(HomeManager),
        ("services", _) => likely(NixOs),
        ("programs", _) if NIXOS_PROGRAMS.contains(second) => sure(NixOs),
        ("programs", _) if BOTH_PROGRAMS.contains(second) => None,
        ("programs", _) => likely(HomeManager),
        _ => None,
    }
}

/// What Home Manager has below `home`.
static HOME: Words = LazyLock::new(|| {
    words(
        "\
    activation enableNixpkgsReleaseCheck extraOutputsToInstall file homeDirectory keyboard language \
    packages persistence pointerCursor preferXdgDirectories profileDirectory sessionPath \
    sessionSearchVariables sessionVariables sessionVariablesExtra shell shellAliases stateVersion \
    username",
    )
});

/// Programs that NixOS configures and Home Manager does not.
static NIXOS_PROGRAMS: Words = LazyLock::new(|| {
    words(
        "\
    adb alvr appimage atop bandwhich bash-completion bcc benchexec blesh captive-browser ccache \
    clash-verge coolercontrol corectrl criu darling ecryptfs evince extra-container feedbackd \
    file-roller firejail flashrom fuse gamemode gamescope geary gnome-disks gnupg gphoto2 i3lock \
    iftop iotop k3b light mininet mosh mtr nano nbd nix-ld nm-applet noisetorch \
    partition-manager proxychains qt5ct regreet rog-control-center seahorse singularity slock \
    sniffnet soundmodem steam streamdeck-ui sysdig system-config-printer systemtap thunar \
    traceroute udevil usbtop virt-manager wavemon weylus wireshark xfconf xonsh xwayland ydotool \
    yubikey-touch-detector zmap",
    )
});

/// Programs that both configure.
static BOTH_PROGRAMS: Words = LazyLock::new(|| {
    words(
        "\
    autojump bash browserpass chromium command-not-found dconf direnv evolution firefox fish fzf \
    git gnome-terminal gpaste htop hyprland hyprlock java kdeconnect kubeswitch labwc lazygit \
    less mango msmtp neovim nh niri nix-index npm oh-my-zsh river screen skim ssh starship sway \
    thefuck thunderbird tmux trippy uwsm vim vscode waybar wayfire xss-lock yazi zoxide zsh",
    )
});

/// Services that Home Manager configures and NixOS does not.
static HOME_SERVICES: Words = LazyLock::new(|| {
    words(
        "\
    activitywatch amberol arrpc autotiling avizo awww batsignal betterlockscreen blanket \
    blueman-applet caffeine cbatticon cliphist clipman clipse colima comodoro conky copyq \
    darkman devilspie2 dropbox dunst easyeffects flameshot fluidsynth fnott fusuma gammastep \
    getmail git-sync grobi gromit-mpx home-manager hyprlauncher hyprpanel hyprpaper \
    hyprpolkitagent hyprsunset imapnotify kanshi keynav lieer lxqt-policykit-agent mako mbsync \
    megasync mpd-discord-rpc mpd-mpris mpdris2 mpris-proxy muchsync network-manager-applet \
    nextcloud-client notify-osd owncloud-client parcellite pasystray pimsync pizauth playerctld \
    plex-mpv-shim polkit-gnome polybar poweralertd protonmail-bridge pueue pulseeffects \
    random-background recoll remmina rsibreak screen-locker sctd shikane skhd snixembed \
    stalonetray status-notifier-watcher swayidle swaync swayosd swww sxhkd syshud taffybar \
    tldr-update trayer trayscale twmn udiskie volnoti walker way-displays wl-clip-persist \
    wlsunset wluma wob wpaperd xcape xembed-sni-proxy xidlehook xsettingsd xsuspender",
    )
});

/// Services that both configure.
static BOTH_SERVICES: Words = LazyLock::new(|| {
    words(
        "\
    aria2 autorandr borgmatic cachix-agent clipcat clipmenu davmail dwm-status emacs espanso \
    etesync-dav gnome-keyring gpg-agent hound hypridle kbfs kdeconnect keybase lorri mopidy mpd \
    mpdscribble nix-gc ollama pantalaimon pass-secret-service picom pipewire podman psd radicle \
    redshift restic safeeyes spotifyd ssh-agent syncthing systembus-notify tahoe-lafs unclutter \
    unison vdirsyncer window-managers xscreensaver yubikey-agent",
    )
});
