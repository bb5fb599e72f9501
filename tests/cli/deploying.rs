//! `deploy`, `tidy` and `rollback` of a Helm release before the cluster is changed: what they need, and what they
//! refuse. Their effect is tried in real clusters, by `tests/istio`; kubectl and helm here are stubs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::tool::{Run, Workspace};

const KUBECTL: &str = "*version*) echo '{\"clientVersion\": {\"major\": \"1\", \"minor\": \"34\", \"gitVersion\": \"v1.34.0\"}}';;";
const HELM: &str = "version*) echo v3.19.0;;";

const VALUES: &str = r#"{"releases": [{"version": "1.4.2"}], "current": "1.4.2", "services": [
    {"host": "api.shop.svc.cluster.local", "port": 8080, "paths": ["/api"]},
    {"host": "web.shop.svc.cluster.local", "port": 80, "paths": ["/"]}
], "plugin": {"url": "oci://registry.example.com/skew-guard"}}"#;

/// A folder with a kubectl and a helm whose answers depend on their arguments.
struct Machine(Workspace);

impl Machine {
    /// `cases` are the branches of a shell's `case "$*" in`.
    fn with(kubectl: &str, helm: &str) -> Self {
        let machine = Self(Workspace::new());
        machine.program("kubectl", &format!("{KUBECTL}\n{kubectl}"));
        machine.program("helm", &format!("{helm}\n{HELM}"));
        machine
    }

    /// One in which that chart is installed.
    fn with_chart(chart: &str) -> Self {
        let history = format!(
            r#"[{{"revision": 1, "status": "deployed", "chart": "{chart}", "description": "Install complete"}}]"#
        );
        let services = ["api", "web"].map(|name| {
            format!("*'service {name} '*) echo '{{\"spec\": {{\"selector\": {{\"app\": \"{name}\"}}}}}}';;")
        });
        Self::with(
            &format!(
                "{}\n*deployments*) echo '{{\"items\": []}}';;\n*Deployment*) echo 'Error from server (NotFound): not there' >&2; exit 1;;",
                services.join("\n")
            ),
            &format!("history*) echo '{history}';;\n'get values'*) echo '{VALUES}';;"),
        )
    }

    fn program(&self, name: &str, cases: &str) {
        let script = format!("#!/bin/sh\ncase \"$*\" in\n{cases}\nesac\n");
        self.0.write(name, &script);
        fs::set_permissions(self.0.path(name), Permissions::from_mode(0o755))
            .expect("an executable");
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let release = ["--helm-release", "shop", "--namespace", "shop"];
        self.0
            .run_with_path(&self.0.path(""), &[arguments, &release].concat())
    }

    /// The manifests of a Deployment for each service, in `k8s`.
    fn write_manifests(&self, version: &str) {
        fs::create_dir_all(self.0.path("k8s")).expect("a folder");
        for name in ["api", "web"] {
            let manifest = format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}-{version}}}\nspec:\n  template:\n    metadata: {{labels: {{app: {name}, version: {version}}}}}\n    spec: {{containers: [{{name: a}}]}}\n"
            );
            self.0.write(&format!("k8s/{name}.yaml"), &manifest);
        }
    }
}

#[track_caller]
fn assert_gives_up(run: &Run, words: &str) {
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains(words), "{words:?} in {run:?}");
}

#[track_caller]
fn assert_refuses(run: &Run, words: &str) {
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.out.contains(words), "{words:?} in {run:?}");
}

#[test]
fn a_helm_that_is_missing_or_too_old_is_said_so() {
    let machine = Machine::with("", "");
    machine.program("helm", "version*) echo v3.17.4;;");
    assert_gives_up(
        &machine.run(&["tidy"]),
        "helm is 3.17.4; 3.18.0 or later is needed",
    );
    machine.program("helm", "version*) echo pardon;;");
    assert_gives_up(
        &machine.run(&["tidy"]),
        "helm says that its version is \"pardon\"",
    );
    fs::remove_file(machine.0.path("helm")).expect("removed");
    assert_gives_up(
        &machine.run(&["tidy"]),
        "helm, which makes the upgrades, is not on the PATH",
    );
}

#[test]
fn a_first_installation_is_told_how() {
    let machine = Machine::with(
        "",
        "history*) echo 'Error: release: not found' >&2; exit 1;;",
    );
    assert_refuses(
        &machine.run(&["deploy", "2.0.0", "--dry-run"]),
        "there is no Helm release shop in namespace shop. Make the first installation by hand",
    );
}

#[test]
fn a_chart_of_another_version_or_of_somebody_else_is_refused_with_the_way_out() {
    let run = |chart: &str| Machine::with_chart(chart).run(&["tidy", "--dry-run"]);
    assert_refuses(
        &run("skew-guard-0.0.7"),
        "was installed from version 0.0.7 of the chart, and this tool has 0.1.0. Use the tool of version 0.0.7, or name the chart to upgrade with: --chart oci://REGISTRY/skew-guard --chart-version 0.0.7",
    );
    assert_refuses(
        &run("platform-3.1.0"),
        "was installed from the chart platform-3.1.0, which is not skew-guard's.",
    );
    let named = Machine::with_chart("skew-guard-0.0.7");
    let named = named.run(&["tidy", "--dry-run", "--chart", "./chart"]);
    assert_eq!(named.code, 0, "{named:?}");
}

#[test]
fn the_plan_names_every_step_and_makes_none() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    machine.write_manifests("v2-0-0");
    let run = machine.run(&["deploy", "2.0.0", "--apply", "k8s", "--dry-run"]);
    assert_eq!(run.code, 0, "{run:?}");
    let steps: Vec<_> = run.out.lines().collect();
    let begin = [
        "1. wait until every gateway has revision 1",
        "2. helm upgrade to revision 2: list 2.0.0 as live",
        "3. wait until every gateway has revision 2",
        "4. apply the manifests",
        "5. wait until the pods are ready in every versioned service",
        "6. ask the pods through every gateway",
    ];
    assert_eq!(steps.get(..6), Some(&begin[..]), "{run:?}");
    assert!(
        steps[6].starts_with("7. helm upgrade to revision 3: 1.4.2: live becomes draining until")
    );
    assert!(
        steps[6].ends_with("current: 1.4.2 becomes 2.0.0"),
        "{run:?}"
    );
    assert_eq!(steps[7], "8. wait until every gateway has revision 3");
    assert_eq!(steps.len(), 8, "{run:?}");
}

#[test]
fn the_pods_of_a_release_that_has_visitors_are_left_alone_and_it_is_said() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    machine.write_manifests("v1-4-2");
    for (what, said) in [
        (["--apply", "k8s"], "k8s is not applied"),
        (["--run", "make pods"], "`make pods` is not run"),
    ] {
        let run = machine.run(&[&["deploy", "1.4.2", "--dry-run"], &what[..]].concat());
        assert_eq!(run.code, 0, "{run:?}");
        let lines: Vec<_> = run.out.lines().collect();
        let note = format!(
            "{said}: 1.4.2 already has visitors, and a release keeps its pods. To change them, deploy a new version, or use kubectl"
        );
        assert_eq!(
            lines,
            ["1. wait until every gateway has revision 1", &note],
            "{run:?}"
        );
    }
}

#[test]
fn the_list_of_an_earlier_revision_is_not_planned_where_its_pods_are_gone() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    let revision = |number: u64| {
        format!(
            r#"{{"revision": {number}, "status": "deployed", "chart": "skew-guard-0.1.0", "description": ""}}"#
        )
    };
    let helm = fs::read_to_string(machine.0.path("helm")).expect("helm");
    let history = format!("history*) echo '[{}, {}]';;", revision(1), revision(2));
    machine.0.write(
        "helm",
        &helm.replace("case \"$*\" in", &format!("case \"$*\" in\n{history}")),
    );
    let kubectl = fs::read_to_string(machine.0.path("kubectl")).expect("kubectl");
    let none = "case \"$*\" in\n*endpointslices*|*pods*) echo '{\"items\": []}';;";
    machine
        .0
        .write("kubectl", &kubectl.replace("case \"$*\" in", none));
    assert_refuses(
        &machine.run(&["tidy", "--dry-run", "--list-of", "1"]),
        "in that list 1.4.2 is current, and service api has no ready pod of 1.4.2. Nothing was changed",
    );
    assert_gives_up(
        &machine.run(&["tidy", "--dry-run", "--list-of", "7"]),
        "Helm keeps no revision 7 of Helm release shop",
    );
}

#[test]
fn a_lease_that_is_deleted_is_not_said_to_be_taken_over() {
    let not_found = "echo 'Error from server (NotFound): leases.coordination.k8s.io \"skew-guard-shop\" not found' >&2; exit 1;;";
    let machine = Machine::with(
        &format!(
            "*create*) echo '{{\"metadata\": {{\"name\": \"skew-guard-shop\"}}, \"spec\": {{}}}}';;\n*replace*|*leases*) {not_found}"
        ),
        &format!(
            "history*) echo '[{{\"revision\": 1, \"status\": \"failed\", \"chart\": \"skew-guard-0.1.0\"}}]';;\n'get values'*) echo '{VALUES}';;"
        ),
    );
    let run = machine.run(&["tidy"]);
    assert_refuses(&run, "someone has deleted the Lease that was held by tidy");
    assert!(!run.out.contains("taken"), "{run:?}");
}

#[test]
fn manifests_that_would_not_make_the_releases_pods_are_refused_before_anything_is_changed() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    let deploy = ["deploy", "2.0.0", "--apply", "k8s", "--dry-run"];
    machine.write_manifests("v1-9-9");
    assert_refuses(
        &machine.run(&deploy),
        "k8s: the pods of Deployment api-v1-9-9 lack the labels of 2.0.0, version=v2-0-0. Nothing was applied",
    );
    machine
        .0
        .write("k8s/api.yaml", "kind: ConfigMap\nmetadata: {name: a}\n");
    machine
        .0
        .write("k8s/web.yaml", "kind: ConfigMap\nmetadata: {name: b}\n");
    assert_refuses(
        &machine.run(&deploy),
        "k8s: nothing in it makes pods of a versioned service with the labels of 2.0.0, version=v2-0-0",
    );
    machine.0.write("k8s/api.yaml", "replicas: 3\n");
    assert_gives_up(&machine.run(&deploy), "it has no kind, or no metadata.name");
    let nowhere = ["deploy", "2.0.0", "--apply", "nowhere", "--dry-run"];
    assert_gives_up(&machine.run(&nowhere), "cannot read nowhere");
}

#[test]
fn a_deployment_of_a_release_that_is_served_is_not_overwritten() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    machine.write_manifests("v2-0-0");
    let there = r#"{"kind": "Deployment", "metadata": {"name": "api-v2-0-0"}, "spec": {"template": {
        "metadata": {"labels": {"app": "api", "version": "v1-4-2"}}, "spec": {"containers": []}}}}"#;
    let services = "*'service api '*) echo '{\"spec\": {\"selector\": {\"app\": \"api\"}}}';;\n*'service web '*) echo '{\"spec\": {\"selector\": {\"app\": \"web\"}}}';;";
    machine.program(
        "kubectl",
        &format!("{KUBECTL}\n{services}\n*Deployment*) echo '{there}';;"),
    );
    assert_refuses(
        &machine.run(&["deploy", "2.0.0", "--apply", "k8s", "--dry-run"]),
        "Deployment api-v2-0-0 exists already and has the pods of 1.4.2, which is live",
    );
}

#[test]
fn a_service_that_would_lose_the_pods_of_other_releases_is_not_applied() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    machine.write_manifests("v2-0-0");
    let deploy = ["deploy", "2.0.0", "--apply", "k8s", "--dry-run"];
    let service = |selector: &str| {
        let service =
            format!("kind: Service\nmetadata: {{name: api}}\nspec: {{selector: {selector}}}\n");
        machine.0.write("k8s/service.yaml", &service);
        machine.run(&deploy)
    };
    let run = service("{app: api}");
    assert_eq!(run.code, 0, "{run:?}");
    assert_refuses(
        &service("{app: api, version: v2-0-0}"),
        "k8s: Service api gets another selector: applying it would take away the pods of the other releases",
    );
}

#[test]
fn what_another_helm_release_of_the_same_name_has_applied_is_not_deleted() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    let deployment = |name: &str, namespace: &str| {
        format!(
            r#"{{"metadata": {{"name": "{name}", "annotations": {{"skew-guard/helm-release": "shop", "skew-guard/release-namespace": "{namespace}", "skew-guard/version": "1.0.0"}}}}, "spec": {{"template": {{"metadata": {{"labels": {{"version": "v1-0-0"}}}}, "spec": {{"containers": []}}}}}}}}"#
        )
    };
    let deployments = [deployment("ours", "shop"), deployment("theirs", "staging")];
    let kubectl = fs::read_to_string(machine.0.path("kubectl")).expect("kubectl");
    machine.0.write(
        "kubectl",
        &kubectl.replace(
            "*deployments*) echo '{\"items\": []}';;",
            &format!(
                "*deployments*) echo '{{\"items\": [{}]}}';;",
                deployments.join(", ")
            ),
        ),
    );
    let run = machine.run(&["tidy", "--dry-run"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("delete Deployment ours"), "{run:?}");
    assert!(!run.out.contains("theirs"), "{run:?}");
}

/// What the chart renders from its values.
const RENDERED: &str = "---\nkind: WasmPlugin\nmetadata: {name: shop, namespace: ingress}\nspec: {url: oci://registry.example.com/skew-guard:2}\n";

/// A deployment before its first change, if the registry answers this.
fn with_registry(said: &str) -> Run {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    machine.write_manifests("v2-0-0");
    let helm = fs::read_to_string(machine.0.path("helm")).expect("helm");
    let rendering = format!("case \"$*\" in\ntemplate*) echo '{RENDERED}';;");
    machine
        .0
        .write("helm", &helm.replace("case \"$*\" in", &rendering));
    if !said.is_empty() {
        machine.program("skopeo", said);
    }
    machine.run(&["deploy", "2.0.0", "--apply", "k8s", "--dry-run"])
}

#[test]
fn an_image_that_the_registry_does_not_have_is_refused_before_anything_is_changed() {
    assert_refuses(
        &with_registry(
            "*docker://registry.example.com/skew-guard:2*) echo 'level=fatal msg=\"reading manifest 2: manifest unknown\"' >&2; exit 1;;",
        ),
        "oci://registry.example.com/skew-guard:2 cannot be pulled: reading manifest 2: manifest unknown. A gateway that starts would go without the plugin",
    );
}

#[test]
fn where_nobody_can_know_whether_an_image_is_there_it_is_said_and_gone_on() {
    for (registry, words) in [
        ("", "skopeo, which asks the registry, is not on the PATH"),
        (
            "*) echo 'dial tcp: connection refused' >&2; exit 1;;",
            "connection refused",
        ),
        (
            "*) echo 'requested access to the resource is denied' >&2; exit 1;;",
            "the registry wants credentials, and the plugin names no imagePullSecret",
        ),
    ] {
        let run = with_registry(registry);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(
            run.err
                .contains("oci://registry.example.com/skew-guard:2 was not looked for"),
            "{run:?}"
        );
        assert!(run.err.contains(words), "{words:?} in {run:?}");
        assert!(run.out.contains("helm upgrade to revision 2"), "{run:?}");
    }
    let run = with_registry("*) echo '{}';;");
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
}

#[test]
fn a_chart_that_is_named_is_the_one_that_is_used() {
    let machine = Machine::with_chart("skew-guard-0.0.7");
    machine.write_manifests("v2-0-0");
    let helm = fs::read_to_string(machine.0.path("helm")).expect("helm");
    machine.0.write(
        "helm",
        &helm.replace("#!/bin/sh", "#!/bin/sh\necho \"$*\" >> asked"),
    );
    let chart = [
        "--chart",
        "oci://registry.example.com/charts/skew-guard",
        "--chart-version",
        "0.0.7",
    ];
    let deploy = ["deploy", "2.0.0", "--apply", "k8s", "--dry-run"];
    let run = machine.run(&[&deploy[..], &chart].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let asked = machine.0.read("asked");
    let rendering = asked.lines().find(|line| line.starts_with("template "));
    let rendering = rendering.expect("the chart is rendered");
    assert!(
        rendering
            .starts_with("template shop oci://registry.example.com/charts/skew-guard --values"),
        "{rendering}"
    );
    assert!(rendering.contains(" --version 0.0.7 "), "{rendering}");
}

#[test]
fn a_kustomization_is_built_before_it_is_looked_through() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    machine.write_manifests("v2-0-0");
    let built = ["api", "web"].map(|name| machine.0.read(&format!("k8s/{name}.yaml")));
    fs::create_dir(machine.0.path("overlay")).expect("a folder");
    machine
        .0
        .write("overlay/kustomization.yaml", "resources: [../k8s]\n");
    machine.0.write("built.yaml", &built.join("---\n"));
    let kubectl = fs::read_to_string(machine.0.path("kubectl")).expect("kubectl");
    let building = "case \"$*\" in\n'kustomize overlay') while read -r line; do echo \"$line\"; done < built.yaml;;";
    machine.0.write(
        "kubectl",
        &kubectl
            .replace("case \"$*\" in", building)
            .replace("read -r", "IFS= read -r"),
    );
    let deploy = |version| machine.run(&["deploy", version, "--apply", "overlay", "--dry-run"]);
    let run = deploy("2.0.0");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("4. apply the manifests"), "{run:?}");
    assert_refuses(
        &deploy("2.1.0"),
        "overlay: the pods of Deployment api-v2-0-0 lack the labels of 2.1.0, version=v2-1-0. Nothing was applied",
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let machine = Machine::with_chart("skew-guard-0.1.0");
    for arguments in [
        &["deploy", "2.0.0", "--preview", "--percent", "10"][..],
        &["deploy", "2.0.0", "--apply", "a", "--run", "b"],
        &["deploy", "2.0.0", "--rolling"],
        &["deploy", "2.0.0", "--percent", "0"],
        &["deploy", "undefined"],
        &["tidy", "--chart-version", "1.0.0"],
    ] {
        let run = machine.run(arguments);
        assert_eq!(run.code, 2, "{run:?}");
    }
    machine.write_manifests("v2-0-0");
    assert_refuses(
        &machine.run(&[
            "deploy",
            "2.0.0",
            "--rolling",
            "--apply",
            "k8s",
            "--dry-run",
        ]),
        "a rolling update is for a list without current",
    );
}

/// The commands in the pipelines are valid commands of this tool: each gets as far as looking for kubectl.
#[test]
fn the_pipelines_in_the_charts_folder_call_the_tool_rightly() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("istio/pipelines");
    let workspace = Workspace::new();
    let mut calls = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("a text");
        let read: Result<Vec<serde_json::Value>, _> = serde_saphyr::from_multiple(&text);
        assert!(read.is_ok(), "{}: {read:?}", path.display());
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        for line in lines {
            let Some((_, call)) = line.split_once("skew-guard ") else {
                continue;
            };
            let words = call.split_whitespace().map(|word| match word {
                version if version.contains("k8s/") => "k8s/2.1.0/".to_owned(),
                version if version.contains("${") => "2.1.0".to_owned(),
                word => word.trim_matches('"').to_owned(),
            });
            let words: Vec<_> = words.collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let run = workspace.run_with_path(&workspace.path(""), &words);
            assert_gives_up(&run, "kubectl, which asks the cluster, is not on the PATH");
            calls += 1;
        }
    }
    assert!(calls >= 3, "{calls}");
}

/// What Flux holds in git, two commits of a release.
#[test]
fn the_list_in_a_helm_release_of_flux_takes_its_steps() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("istio/pipelines");
    let flux = fs::read_to_string(folder.join("flux.yaml")).expect("a text");
    let workspace = Workspace::new();
    workspace.write("flux.yaml", &flux);
    for step in ["list 2.1.0 as live", "current: 2.0.0 becomes 2.1.0"] {
        let run = workspace.run(&["release", "flux.yaml", "2.1.0"]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.out.contains(step), "{run:?}");
    }
    assert!(workspace.read("flux.yaml").contains("revision: 9"));
}
