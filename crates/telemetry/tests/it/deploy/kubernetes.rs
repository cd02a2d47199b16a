//! The manifests for Kubernetes.

use super::*;

const FOLDER: &str = "deploy/kubernetes";

/// The manifests that a cluster gets, by file name.
fn manifests() -> Vec<(String, String)> {
    let kustomization = read("deploy/kubernetes/kustomization.yaml");
    let (_, resources) = kustomization.split_once("resources:\n").unwrap();
    let names = resources.lines().filter_map(|line| line.trim().strip_prefix("- "));
    names.map(|name| (name.to_owned(), read(&format!("{FOLDER}/{name}")))).collect()
}

/// The judge is a module of Python, which is told where it was unpacked.
fn validate(file: &Path) -> Option<Command> {
    let python = judge("CIM_NIX_PYTHON", "python3")?;
    let mut command = Command::new(python);
    if let Some(folder) = std::env::var_os("CIM_NIX_KUBERNETES_VALIDATE") {
        command.env("PYTHONPATH", folder);
    }
    let is_there = {
        let mut ask = Command::new(command.get_program());
        ask.args(["-c", "import kubernetes_validate"]);
        ask.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        ask.output().unwrap().status.success()
    };
    if !is_there {
        let why = "there is no `kubernetes_validate`; `CIM_NIX_KUBERNETES_VALIDATE` is its folder";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        eprintln!("skipped: {why}");
        return None;
    }
    command.args(["-m", "kubernetes_validate", "--strict", "-k", "1.37"]).arg(file);
    Some(command)
}

#[test]
fn every_manifest_is_applied() {
    let listed: BTreeSet<String> = manifests().into_iter().map(|(name, _)| name).collect();
    let there: BTreeSet<String> = fs::read_dir(root().join(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "kustomization.yaml")
        .collect();
    assert_eq!(listed, there);
}

#[test]
fn the_schemas_accept_the_manifests() {
    for (name, _) in manifests() {
        let Some(mut command) = validate(&root().join(FOLDER).join(&name)) else { return };
        let output = command.output().unwrap();
        let said = text(&output);
        assert!(output.status.success() && said.contains(" passed "), "{name}:\n{said}");
    }
    let folder = Folder::new("manifests");
    for (name, right, wrong) in [
        ("deployment.yaml", "replicas: 2", "replicas: two"),
        ("deployment.yaml", "readinessProbe:", "readynessProbe:"),
        ("networkpolicy.yaml", "policyTypes:", "policyType:"),
        ("poddisruptionbudget.yaml", "policy/v1", "policy/v1beta9"),
    ] {
        let manifest = read(&format!("{FOLDER}/{name}"));
        assert!(manifest.contains(right), "{name}");
        let path = folder.write(name, &manifest.replace(right, wrong));
        let Some(mut command) = validate(&path) else { return };
        let said = text(&command.output().unwrap());
        assert!(!said.contains(" passed "), "{name} with {wrong} was accepted:\n{said}");
    }
}

/// What no schema knows: that names in one file lead to those in another.
#[test]
fn names_lead_to_each_other() {
    let manifests = manifests();
    let of = |name: &str| &manifests.iter().find(|(it, _)| it == name).unwrap().1;
    let deployment = of("deployment.yaml");
    for line in [
        "runAsNonRoot: true",
        "readOnlyRootFilesystem: true",
        "allowPrivilegeEscalation: false",
        "drop: [\"ALL\"]",
        "automountServiceAccountToken: false",
        "path: /health/ready",
        "path: /health/live",
        "serviceAccountName: cim-nix-server",
        "containerPort: 8480",
    ] {
        assert!(deployment.contains(line), "{line} is missing");
    }
    let selector = "app.kubernetes.io/name: cim-nix-server";
    for name in ["service.yaml", "poddisruptionbudget.yaml", "networkpolicy.yaml"] {
        assert!(of(name).contains(selector), "{name} selects something else");
    }
    // Files that the configuration names lie where the deployment puts them.
    let config = of("configmap.yaml");
    let mounts: Vec<&str> =
        deployment.lines().filter_map(|line| line.trim().strip_prefix("mountPath: ")).collect();
    let quoted = config.split('"').filter(|text| text.starts_with('/'));
    for path in quoted {
        assert!(mounts.iter().any(|mount| path.starts_with(mount)), "{path} is nowhere");
    }
}

/// What no schema knows, either: that there is time and memory for what is in the configuration.
#[test]
fn there_is_time_and_memory_enough() {
    let (deployment, config) =
        (read("deploy/kubernetes/deployment.yaml"), read("deploy/kubernetes/configmap.yaml"));
    let pause = deployment.split("\"/bin/sleep\", \"").nth(1).unwrap();
    let pause: u32 = pause.split('"').next().unwrap().parse().unwrap();
    let drain = number(&config, "drain-seconds = ");
    assert!(pause + drain + 15 <= number(&deployment, "terminationGracePeriodSeconds: "));
    // It lives as soon as its stores are open, which takes two minutes for a million events.
    let startup = deployment.split("startupProbe:").nth(1).unwrap();
    assert!(number(startup, "periodSeconds: ") * number(startup, "failureThreshold: ") >= 600);
    let limits = deployment.split("limits:").nth(1).unwrap();
    let limit: u32 =
        limits.split("memory: ").nth(1).unwrap().split("Gi").next().unwrap().parse().unwrap();
    let workers = number(&config, "effects-at-once = ") * number(&config, "memory-mib = ");
    assert!(workers + 512 <= limit * 1024, "{workers} MiB of {limit} GiB");
}

fn number(text: &str, head: &str) -> u32 {
    text.lines().find_map(|line| line.trim().strip_prefix(head)).unwrap().parse().unwrap()
}
