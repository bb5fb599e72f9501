//! A cluster that cannot be queried: one clear error for each reason. A cluster's answers are tried in a real one, by
//! `tests/istio`; the kubectl here is a stub.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::tool::{Run, Workspace};

/// kubectl's version; if it was built as a Go module, `major` and `minor` are empty.
const VERSION: &str =
    r#"{"clientVersion": {"major": "", "minor": "", "gitVersion": "v1.MINOR.0-eks-1a2b3c"}}"#;

const ROUTES: &str = r#"{"items": [{
    "metadata": {"name": "shop-skew-guard", "annotations": {
        "skew-guard/plugin": "WasmPlugin/ingress/shop-skew-guard",
        "skew-guard/stat-prefix": "skew-guard-shop-shop-r7"
    }},
    "spec": {"hosts": ["shop.example.com"], "gateways": ["ingress/shop"]}
}]}"#;

const PLUGIN: &str = r#"{"metadata": {"name": "shop-skew-guard"}, "spec": {
    "selector": {"matchLabels": {"istio": "ingressgateway"}},
    "pluginConfig": {"releases": [{"version": "1.0.0"}], "revision": 7}
}}"#;

/// A folder with a kubectl whose answers depend on its arguments, and a command that uses it.
pub struct Cluster(Workspace);

impl Cluster {
    /// `cases` are the branches of a shell's `case "$*" in`.
    fn answering(cases: &str) -> Self {
        let workspace = Workspace::new();
        let script = format!("#!/bin/sh\ncase \"$*\" in\n{cases}\nesac\n");
        workspace.write("kubectl", &script);
        fs::set_permissions(workspace.path("kubectl"), Permissions::from_mode(0o755))
            .expect("an executable");
        Self(workspace)
    }

    /// One with a kubectl that is new enough.
    pub fn new(cases: &str) -> Self {
        let version = VERSION.replace("MINOR", "34");
        Self::answering(&format!("*version*) echo '{version}';;\n{cases}"))
    }

    /// One in which the chart is installed.
    fn with_chart(cases: &str) -> Self {
        Self::new(&format!(
            "*virtualservices*) echo '{ROUTES}';;\n*wasmplugins*) echo '{PLUGIN}';;\n{cases}"
        ))
    }

    /// Adds another program beside kubectl.
    pub fn with_program(self, name: &str, script: &str) -> Self {
        self.0.write(name, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.0.path(name), Permissions::from_mode(0o755))
            .expect("an executable");
        self
    }

    /// The tool with nothing else on its PATH.
    pub fn run(&self, arguments: &[&str]) -> Run {
        self.0.run_with_path(&self.0.path(""), arguments)
    }

    fn probe(&self) -> Run {
        let release = ["--helm-release", "shop", "--namespace", "shop"];
        self.run(&[&["probe", "1.0.0", "--timeout", "1s"], &release[..]].concat())
    }

    fn wait(&self) -> Run {
        self.wait_with(&[])
    }

    fn wait_with(&self, arguments: &[&str]) -> Run {
        let folder = self.0.path("");
        let waiting = ["wait", "--helm-release", "shop", "--timeout", "1s"];
        let arguments = [&waiting[..], &["--namespace", "shop"], arguments].concat();
        self.0.run_with_path(&folder, &arguments)
    }
}

impl Run {
    /// Expects the tool to give up with these words.
    #[track_caller]
    fn gives_up(self, words: &str) {
        assert_eq!(self.code, 2, "{self:?}");
        assert!(self.err.contains(words), "{words:?} in {self:?}");
        assert_eq!(self.err.lines().count(), 1, "one error: {self:?}");
    }
}

fn failing(with: &str, saying: &str) -> String {
    format!("*{with}*) echo '{saying}' >&2; exit 1;;")
}

#[test]
fn without_kubectl_it_is_said_what_is_missing() {
    let workspace = Workspace::new();
    let arguments = ["wait", "--helm-release", "shop"];
    workspace
        .run_with_path(&workspace.path(""), &arguments)
        .gives_up("kubectl, which asks the cluster, is not on the PATH");
}

#[test]
fn a_kubectl_that_is_too_old_is_refused() {
    let version = VERSION.replace("MINOR", "27");
    Cluster::answering(&format!("*version*) echo '{version}';;"))
        .wait()
        .gives_up("kubectl is v1.27.0-eks-1a2b3c; 1.28 or later is needed");
}

#[test]
fn a_kubectl_that_says_nothing_sensible_is_named() {
    Cluster::answering("*) echo sorry;;")
        .wait()
        .gives_up("cannot understand the answer of `kubectl version`");
}

#[test]
fn a_cluster_that_cannot_be_reached_is_said_so() {
    for complaint in [
        "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?",
        "error: You must be logged in to the server (Unauthorized)",
        "error: context \"nowhere\" does not exist",
        "Unable to connect to the server: dial tcp: lookup nowhere: no such host",
    ] {
        Cluster::new(&failing("virtualservices", complaint))
            .wait()
            .gives_up("the cluster cannot be reached: ");
    }
}

#[test]
fn what_the_cluster_forbids_is_said_in_its_words() {
    let complaint = "Error from server (Forbidden): virtualservices.networking.istio.io is forbidden: User \"ci\" cannot list resource \"virtualservices\"";
    Cluster::new(&failing("virtualservices", complaint))
        .wait()
        .gives_up("the cluster forbids it: Error from server (Forbidden): virtualservices.networking.istio.io is forbidden: User \"ci\" cannot list");
    let complaint = "Error from server (Forbidden): pods is forbidden: User \"ci\" cannot list resource \"pods\"";
    Cluster::with_chart(&failing("pods", complaint))
        .wait()
        .gives_up("the cluster forbids it: Error from server (Forbidden): pods is forbidden");
}

#[test]
fn a_helm_release_that_is_not_there_is_named_with_its_namespace() {
    Cluster::new("*virtualservices*) echo '{\"items\": []}';;")
        .wait()
        .gives_up("no Helm release shop of the skew-guard chart in namespace shop");
}

#[test]
fn a_chart_without_a_plugin_is_nothing_to_wait_for() {
    let plain = r#"{"items": [{"metadata": {"name": "shop"}, "spec": {"hosts": ["a"]}}]}"#;
    Cluster::new(&format!("*virtualservices*) echo '{plain}';;"))
        .wait()
        .gives_up("has no plugin: it was installed either with enabled: false");
    Cluster::new(&format!(
        "*virtualservices*) echo '{ROUTES}';;\n{}",
        failing(
            "wasmplugins",
            "Error from server (NotFound): wasmplugins.extensions.istio.io \"shop-skew-guard\" not found"
        )
    ))
    .wait()
    .gives_up("there is no WasmPlugin shop-skew-guard in namespace ingress");
}

#[test]
fn where_there_is_no_gateway_nothing_is_in_force() {
    Cluster::with_chart("*pods*) echo '{\"items\": []}';;")
        .wait()
        .ends(1)
        .says("there are no pods with the labels istio=ingressgateway in namespace ingress");
}

#[test]
fn a_gateway_that_cannot_be_asked_is_named_with_the_reason_until_it_is_skipped() {
    let pods = r#"{"items": [{"metadata": {"name": "gateway-1", "namespace": "ingress"}}]}"#;
    let cluster = Cluster::with_chart(&format!(
        "*port-forward*) echo 'error: unable to forward port because pod is not running' >&2; exit 1;;\n*raw*) echo 'Error from server (ServiceUnavailable): dial tcp 10.0.0.1:15090: connect: connection refused' >&2; exit 1;;\n*pods*) echo '{pods}';;"
    ));
    cluster
        .wait()
        .ends(1)
        .says("ingress/gateway-1 cannot be reached: by port-forward: kubectl failed: unable to forward port")
        .says("by the API server: the cluster cannot be reached: Error from server (ServiceUnavailable)");
    cluster
        .wait_with(&["--skip-gateway", "gateway-1"])
        .ends(1)
        .says("ingress/gateway-1 skipped, as you said");
}

/// The metrics of a gateway that has the revision, plugin and routes.
const METRICS: &str = r#"skew_guard_config_revision{plugin="ingress.shop-skew-guard"} 7
envoy_vhost_route_upstream_rq_total{envoy_virtual_host="shop.example.com:80",envoy_route="skew-guard-shop-shop-r7"} 0"#;

const POD: &str = r#"{"items": [{"metadata": {"name": "gateway-1", "namespace": "edge", "labels": {"istio": "ingressgateway"}}}]}"#;

#[test]
fn a_gateway_without_port_forward_is_asked_by_the_api_servers_proxy_at_either_port() {
    let refused = "*port-forward*) echo 'error: pods \"gateway-1\" is forbidden: no portforward' >&2; exit 1;;";
    let proxy = "*--raw*/api/v1/namespaces/edge/pods/gateway-1";
    let envoy = format!("{proxy}:15090/proxy/stats/prometheus*filter=*) echo '{METRICS}';;");
    let agent = format!(
        "{proxy}:15090*) echo 'Error from server (NotFound): no such port' >&2; exit 1;;\n{proxy}:15020/proxy/stats/prometheus) echo '{METRICS}';;"
    );
    for shown in [envoy, agent] {
        let cluster = Cluster::with_chart(&format!("{refused}\n{shown}\n*pods*) echo '{POD}';;"));
        cluster
            .run(&["wait", "--helm-release", "shop", "--namespace", "shop"])
            .ends(0)
            .says("revision 7 is in force in 1 gateways");
    }
}

#[test]
fn the_gateways_of_a_plugin_in_the_root_namespace_are_everywhere_or_where_it_is_said() {
    let routes = ROUTES.replace("WasmPlugin/ingress/", "WasmPlugin/istio-system/");
    let cluster = Cluster::new(&format!(
        "*virtualservices*) echo '{routes}';;\n*wasmplugins*) echo '{PLUGIN}';;\n\
         *pods*--namespace=edge*) echo '{POD}';;\n*pods*) echo '{{\"items\": []}}';;\n{}",
        failing("port-forward", "error: no")
    ));
    cluster
        .wait()
        .ends(1)
        .says("there are no pods with the labels istio=ingressgateway in all namespaces");
    cluster
        .wait_with(&["--gateway-namespace", "edge"])
        .ends(1)
        .says("edge/gateway-1 shows no skew_guard_config_revision");
    // A namespace that is not the root namespace contains its gateways.
    cluster
        .wait_with(&["--root-namespace", "mesh"])
        .ends(1)
        .says("in namespace istio-system");
}

#[test]
fn an_entrance_is_the_port_of_the_pod_that_the_service_leads_to() {
    let gateway = r#"{"metadata": {"name": "shop"}, "spec": {"selector": {"istio": "ingressgateway"}, "servers": [
        {"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["shop.example.com"]},
        {"port": {"number": 443, "protocol": "HTTPS"}, "hosts": ["shop.example.com"], "tls": {"mode": "SIMPLE"}},
        {"port": {"number": 9000, "protocol": "HTTP"}, "hosts": ["shop.example.com"]}
    ]}}"#;
    let pod = r#"{"items": [{"metadata": {"name": "gateway-1", "namespace": "edge", "labels": {"istio": "ingressgateway"}},
        "spec": {"containers": [{"ports": [{"name": "secure", "containerPort": 8443}]}]}}]}"#;
    let services = r#"{"items": [
        {"metadata": {"name": "other"}, "spec": {"selector": {"istio": "other"}, "ports": [{"port": 80, "targetPort": 1}]}},
        {"metadata": {"name": "none"}, "spec": {"ports": [{"port": 80, "targetPort": 2}]}},
        {"metadata": {"name": "gateway"}, "spec": {"selector": {"istio": "ingressgateway"}, "ports": [
            {"port": 80, "targetPort": 8080}, {"port": 443, "targetPort": "secure"}
        ]}}
    ]}"#;
    let routes = ROUTES.replace(
        "\"skew-guard/stat-prefix\"",
        r#""skew-guard/probe-paths": "[\"/api\", {\"path\": \"/cart\", \"releases\": [\"2.0.0\"]}]", "skew-guard/stat-prefix""#,
    );
    let cluster = Cluster::new(&format!(
        "*virtualservices*) echo '{routes}';;\n*wasmplugins*) echo '{PLUGIN}';;\n*gateways.networking*) echo '{gateway}';;\n\
         *services*) echo '{services}';;\n{}\n*pods*) echo '{pod}';;",
        failing("port-forward", "error: no")
    ));
    let run = cluster.probe();
    assert!(
        !run.out.contains("/cart"),
        "this release has no such service: {run:?}"
    );
    run.ends(1)
        .says("edge/gateway-1 port 8080 http://shop.example.com/api cannot be asked")
        .says("edge/gateway-1 port 8443 https://shop.example.com/api cannot be asked")
        // No service maps another port to it.
        .says("edge/gateway-1 port 9000 http://shop.example.com/api cannot be asked");
}

#[test]
fn a_release_that_has_no_versioned_service_cannot_be_probed() {
    let routes = ROUTES.replace(
        "\"skew-guard/stat-prefix\"",
        r#""skew-guard/probe-paths": "[{\"path\": \"/cart\", \"releases\": [\"2.0.0\"]}]", "skew-guard/stat-prefix""#,
    );
    Cluster::new(&format!(
        "*virtualservices*) echo '{routes}';;\n*wasmplugins*) echo '{PLUGIN}';;"
    ))
    .probe()
    .gives_up("no versioned service of the chart has 1.0.0");
}

#[test]
fn a_cluster_and_urls_are_two_ways_and_not_one() {
    let cluster = Cluster::new("");
    let both = cluster.wait_with(&["http://127.0.0.1:1/"]).ends(2);
    assert!(both.err.contains("cannot be used with"), "{both:?}");
    let neither = cluster.0.run(&["wait"]).ends(2);
    assert!(neither.err.contains("--helm-release"), "{neither:?}");
    let without = cluster.0.run(&["wait", "http://127.0.0.1:1/"]).ends(2);
    assert!(without.err.contains("--revision"), "{without:?}");
}
