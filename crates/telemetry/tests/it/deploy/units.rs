//! The unit for systemd, and the image.

use super::*;

const UNIT: &str = "deploy/systemd/cim-nix-server.service";
const IMAGE: &str = "deploy/container/Containerfile";

/// The unit, with programs that are there.
fn unit(folder: &Folder, text: &str) -> PathBuf {
    let here = text.replace("/usr/bin/cim-nix-server", "/bin/true");
    folder.write("cim-nix-server.service", &here)
}

fn analyze(systemd: &Path, unit: &Path) -> Command {
    let mut command = Command::new(systemd);
    command.args(["verify", "--man=no", "--recursive-errors=no"]).arg(unit);
    command
}

#[test]
fn systemd_accepts_the_unit() {
    let Some(systemd) = judge("CIM_NIX_SYSTEMD_ANALYZE", "systemd-analyze") else { return };
    let folder = Folder::new("unit");
    let text = read(UNIT);
    let output = analyze(&systemd, &unit(&folder, &text)).output().unwrap();
    let about_ours = |said: &str| {
        said.lines().filter(|line| line.contains("cim-nix-server")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(about_ours(&self::text(&output)), "");
    // A misspelt key is what `verify` is for.
    let broken = unit(&folder, &text.replace("ProtectSystem=", "ProtectSystems="));
    let said = self::text(&analyze(&systemd, &broken).output().unwrap());
    assert!(said.contains("Unknown key") && said.contains("ProtectSystems"), "{said}");
}

#[test]
fn the_unit_is_hardly_exposed() {
    let Some(systemd) = judge("CIM_NIX_SYSTEMD_ANALYZE", "systemd-analyze") else { return };
    let folder = Folder::new("exposure");
    let exposure = |text: &str| {
        let mut command = Command::new(&systemd);
        // In tenths: at most 1.5 of 10.
        command.args(["security", "--offline=true", "--threshold=15", "--no-pager"]);
        command.arg(unit(&folder, text));
        command
    };
    let text = read(UNIT);
    accepts(&mut exposure(&text));
    refuses(&mut exposure(&text.replace("CapabilityBoundingSet=", "#")), "exposure level");
}

/// systemd copies credentials when it starts a service, and not when it reloads one: a token that is
/// taken away would go on being good.
#[test]
fn what_a_reload_reads_is_no_credential() {
    let config = read("deploy/server.toml");
    let tokens = config.lines().find_map(|line| line.strip_prefix("tokens-file = ")).unwrap();
    assert_eq!(tokens, "\"/etc/cim-nix/tokens.toml\"");
    let page = read("docs/operations.md");
    let (_, section) = page.split_once("**On a machine with systemd.**").unwrap();
    let (section, _) = section.split_once("**On NixOS.**").unwrap();
    assert!(section.contains(">> /etc/cim-nix/tokens.toml"), "{section}");
    let handed_over: BTreeSet<&str> =
        section.lines().filter_map(|line| line.strip_prefix("LoadCredential=")).collect();
    // What the service logs in with is read when it starts.
    assert_eq!(handed_over, BTreeSet::from(["nats.creds:/etc/cim-nix/nats.creds"]));
    let named = config.split('"').filter_map(|text| text.strip_prefix("/run/credentials/"));
    for name in named {
        let name = name.strip_prefix("cim-nix-server.service/").unwrap();
        assert!(handed_over.iter().any(|it| it.starts_with(&format!("{name}:"))), "{name}");
    }
}

#[test]
fn the_image_is_built_with_care() {
    let Some(hadolint) = judge("CIM_NIX_HADOLINT", "hadolint") else { return };
    let folder = Folder::new("image");
    let lint = |path: &Path| {
        let mut command = Command::new(&hadolint);
        command.arg("--no-color").arg(path);
        command
    };
    accepts(&mut lint(&root().join(IMAGE)));
    let broken = read(IMAGE).replace("debian:bookworm-slim", "debian:latest");
    refuses(&mut lint(&folder.write("Containerfile", &broken)), "DL3007");
}

#[test]
fn the_image_does_not_run_as_root_and_says_how_it_is() {
    let image = read(IMAGE);
    let last_stage = image.rsplit("\nFROM ").next().unwrap();
    for line in ["USER 10001:10001", "EXPOSE 8480/tcp", "STOPSIGNAL SIGTERM", "HEALTHCHECK "] {
        assert!(last_stage.lines().any(|it| it.starts_with(line)), "{line} is missing");
    }
    assert!(last_stage.contains("[\"/usr/bin/cim-nix-server\", \"healthcheck\"]"));
    // Images of the other format have no health checks, and podman leaves them out.
    for text in [image, read("docs/operations.md")] {
        let builds: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_once("podman build "))
            .map(|it| it.1)
            .collect();
        assert!(!builds.is_empty() && builds.iter().all(|it| it.starts_with("--format docker ")));
    }
}
