//! `skew-guard check --cluster`: what only the cluster knows. The kubectl and the skopeo here are stubs; `tests/istio` asks a
//! real cluster.

use crate::cluster::Cluster;

const ROUTES: &str = r#"{"metadata": {"name": "shop-skew-guard", "namespace": "shop",
    "creationTimestamp": "2026-02-01T00:00:00Z", "labels": LABELS, "annotations": {
        "skew-guard/plugin": "WasmPlugin/ingress/shop.shop-skew-guard",
        "skew-guard/stat-prefix": "skew-guard-shop-shop-r7",
        "skew-guard/rule-namespaces": "shop"
    }},
    "spec": {"hosts": ["shop.example.com"], "gateways": ["ingress/shop"]}}"#;

const LABELS: &str = r#"{"app.kubernetes.io/name": "skew-guard", "app.kubernetes.io/instance": "shop",
    "skew-guard/release-namespace": "shop"}"#;

const PLUGIN: &str = r#"{"metadata": {"name": "shop.shop-skew-guard"}, "spec": {
    "selector": {"matchLabels": {"istio": "ingressgateway"}},
    "url": "oci://registry.example.com/skew-guard:0.1.0@sha256:DIGEST",
    "pluginConfig": {"current": "2.0.0", "revision": 7, "releases": [
        {"version": "2.0.0", "route": "v2-0-0"}, {"version": "1.4.2", "route": "v1-4-2", "state": "draining"}
    ]}
}}"#;

const RULE: &str = r#"{"metadata": {"name": "shop-skew-guard-api.shop", "namespace": "shop", "labels": LABELS},
    "spec": {"host": "api.shop.svc.cluster.local", "subsets": [
        {"name": "v2-0-0", "labels": {"version": "v2-0-0"}}, {"name": "v1-4-2", "labels": {"version": "v1-4-2"}}
    ]}}"#;

const GATEWAY: &str = r#"{"metadata": {"name": "shop"}, "spec": {"selector": {"istio": "ingressgateway"}, "servers": [
    {"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["*"], "tls": {"httpsRedirect": true}},
    {"port": {"number": 443, "protocol": "HTTPS"}, "hosts": ["shop.example.com"], "tls": {"mode": "SIMPLE"}}
]}}"#;

const SERVICE: &str = r#"{"metadata": {"name": "gateway"}, "spec": {"selector": {"istio": "ingressgateway"}, "ports": [
    {"port": 80, "targetPort": 8080}, {"port": 443, "targetPort": 8443}
]}}"#;

const MESH: &str = r#"{"data": {"mesh": "defaultConfig: {extraStatTags: [release, outcome, class, answer, plugin]}"}}"#;

/// The stubs' answers, without any problem.
struct Answers {
    own_routes: String,
    routes: String,
    plugin: String,
    mesh: String,
    rules: String,
    covered: String,
    serving: String,
    slices: String,
    istiods: String,
    skopeo: String,
}

impl Answers {
    fn good() -> Self {
        let gateway = pod("ingress", "gateway-a", "ingressgateway");
        Self {
            own_routes: ROUTES.to_owned(),
            routes: ROUTES.to_owned(),
            plugin: PLUGIN.replace("DIGEST", &"a".repeat(64)),
            mesh: MESH.to_owned(),
            rules: RULE.to_owned(),
            covered: gateway.clone(),
            serving: gateway,
            slices: slices(&["api-2", "api-1"]),
            istiods: istiod("1.31.1"),
            skopeo: "echo '{}'".to_owned(),
        }
    }

    fn checked(&self) -> (i32, String) {
        let list =
            |items: &str| format!("echo '{{\"items\": [{items}]}}'").replace("LABELS", LABELS);
        let backs = [
            pod("shop", "api-2", "v2-0-0"),
            pod("shop", "api-1", "v1-4-2"),
        ]
        .join(",");
        let cases = [
            ("*' services '--namespace=ingress*", list(SERVICE)),
            ("*virtualservices*--namespace=shop*", list(&self.own_routes)),
            ("*virtualservices*", list(&self.routes)),
            ("*wasmplugins*", format!("echo '{}'", self.plugin)),
            ("*gateways.networking*", format!("echo '{GATEWAY}'")),
            ("*destinationrules*--namespace=shop*", list(RULE)),
            ("*destinationrules*", list(&self.rules)),
            ("*endpointslices*", list(&self.slices)),
            ("*app=istiod*", list(&self.istiods)),
            ("*pods*--namespace=ingress*", list(&self.covered)),
            ("*pods*--namespace=shop*", list(&backs)),
            ("*pods*--all-namespaces*", list(&self.serving)),
            ("*configmaps*", format!("echo '{}'", self.mesh)),
        ]
        .map(|(pattern, answer)| format!("{pattern}) {answer};;"));
        let cluster = Cluster::new(&cases.join("\n")).with_program("skopeo", &self.skopeo);
        let run = cluster.run(&[
            "check",
            "--cluster",
            "--release",
            "shop",
            "--namespace",
            "shop",
        ]);
        (run.code, format!("{}{}", run.out, run.err))
    }

    /// Expects this finding; the exit status says whether it is a problem.
    #[track_caller]
    fn found(&self, code: i32, words: &str) {
        let (exit, said) = self.checked();
        assert!(said.contains(words), "{words:?} is not in\n{said}");
        assert_eq!(exit, code, "{said}");
    }
}

fn pod(namespace: &str, name: &str, label: &str) -> String {
    format!(
        r#"{{"metadata": {{"name": "{name}", "namespace": "{namespace}", "labels": {{"istio": "{label}", "version": "{label}"}}}}, "spec": {{}}}}"#
    )
}

fn slices(pods: &[&str]) -> String {
    let endpoints: Vec<_> = pods
        .iter()
        .map(|pod| format!(r#"{{"targetRef": {{"name": "{pod}"}}}}"#))
        .collect();
    format!(r#"{{"endpoints": [{}]}}"#, endpoints.join(","))
}

fn istiod(version: &str) -> String {
    format!(
        r#"{{"metadata": {{"name": "istiod"}}, "spec": {{"containers": [{{"image": "docker.io/istio/pilot:{version}-distroless"}}]}}}}"#
    )
}

#[test]
fn a_good_installation_is_ok_and_nothing_else() {
    assert_eq!(Answers::good().checked(), (0, "shop/shop: ok\n".to_owned()));
}

#[test]
fn a_gateway_without_the_plugin_is_a_problem() {
    let mut answers = Answers::good();
    answers.serving += &format!(",{}", pod("intranet", "gateway-b", "ingressgateway"));
    answers.found(
        1,
        "problem: intranet/gateway-b serves Gateway ingress/shop without the plugin: old tabs are skewed there",
    );
    answers.covered = String::new();
    answers.found(
        1,
        "problem: no gateway runs the plugin: there are no pods with the labels istio=ingressgateway in namespace ingress",
    );
}

#[test]
fn a_rule_beside_the_gateways_wins_over_ours() {
    let other = |namespace: &str, host: &str| {
        format!(
            r#",{{"metadata": {{"name": "theirs", "namespace": "{namespace}"}}, "spec": {{"host": "{host}"}}}}"#
        )
    };
    for host in ["api.shop.svc.cluster.local", "*.svc.cluster.local"] {
        let mut answers = Answers::good();
        answers.rules += &other("ingress", host);
        answers.found(1, "problem: DestinationRule ingress/theirs is for api.shop.svc.cluster.local and is in the gateways' namespace, where it wins over the chart's");
    }
    let mut answers = Answers::good();
    answers.rules += &other("shop", "api");
    answers.found(0, "warning: DestinationRule shop/theirs is for api.shop.svc.cluster.local, too, and is merged with the chart's");
    let mut answers = Answers::good();
    answers.rules += &other("ingress", "api");
    assert_eq!(
        answers.checked().0,
        0,
        "a short name is of its own namespace"
    );
}

#[test]
fn a_virtual_service_of_others_for_our_host_is_told_with_its_age() {
    for (created, words) in [
        ("2026-01-31T00:00:00Z", "is older: where it has a path"),
        (
            "2026-02-02T00:00:00Z",
            "is newer: requests for the chart's paths",
        ),
    ] {
        let mut answers = Answers::good();
        answers.routes += &format!(
            r#",{{"metadata": {{"name": "theirs", "namespace": "ingress", "creationTimestamp": "{created}"}}, "spec": {{"hosts": ["*.example.com"], "gateways": ["shop"]}}}}"#
        );
        answers.found(
            0,
            &format!(
                "warning: VirtualService ingress/theirs is for shop.example.com, too, and {words}"
            ),
        );
    }
}

#[test]
fn a_release_without_pods_is_told_and_a_current_one_is_a_problem() {
    let mut answers = Answers::good();
    answers.slices = slices(&["api-1"]);
    answers.found(
        1,
        "problem: 2.0.0 has no pods of service api, and it is current: every visitor gets 503",
    );
    answers.slices = slices(&["api-2"]);
    answers.found(
        0,
        "warning: 1.4.2 has no pods of service api: its tabs are told to reload",
    );
}

#[test]
fn an_image_that_the_registry_does_not_give_out_is_a_problem() {
    let mut answers = Answers::good();
    answers.skopeo = "echo 'level=fatal msg=\"manifest unknown\"' >&2; exit 1".to_owned();
    answers.found(
        1,
        "cannot be pulled: manifest unknown. A gateway that starts now runs without it",
    );
    answers.skopeo = "echo 'dial tcp: connection refused' >&2; exit 1".to_owned();
    answers.found(0, "not seen: plugin ingress.shop.shop-skew-guard: ");
    answers.skopeo = format!(
        "case \"$*\" in *docker://registry.example.com/skew-guard@sha256:{}) ;; *) echo \"$*: denied\" >&2; exit 1;; esac",
        "a".repeat(64)
    );
    assert_eq!(answers.checked().0, 0, "skopeo takes tag or digest");
}

#[test]
fn an_istio_that_was_never_tried_is_told() {
    let mut answers = Answers::good();
    answers.istiods = istiod("1.20.3");
    answers.found(
        0,
        "warning: istiod is 1.20.3; nothing before 1.24.0 has been tested",
    );
    answers.istiods = String::new();
    answers.found(0, "not seen: the version of Istio: no app=istiod pod");
}

#[test]
fn tags_that_a_gateway_does_not_know_are_told_unless_prometheus_makes_the_labels() {
    let words = "does not know the tags answer, plugin: rules and dashboards cannot tell its counters apart";
    let mut answers = Answers::good();
    answers.mesh = MESH.replace(", answer, plugin", "");
    answers.found(0, &format!("warning: ingress/gateway-a {words}"));
    let monitored = r#""skew-guard/pod-monitor": "true", "skew-guard/stat-prefix""#;
    answers.own_routes = ROUTES.replace(r#""skew-guard/stat-prefix""#, monitored);
    assert_eq!(answers.checked(), (0, "shop/shop: ok\n".to_owned()));

    // A plugin in the root namespace runs in gateways of all namespaces.
    let mut answers = Answers::good();
    answers.own_routes = ROUTES.replace("WasmPlugin/ingress/", "WasmPlugin/istio-system/");
    answers.mesh = MESH.replace(", answer, plugin", "");
    answers.serving = pod("intranet", "gateway-b", "ingressgateway");
    answers.found(0, &format!("warning: intranet/gateway-b {words}"));
}

#[test]
fn a_port_at_which_the_plugin_does_not_run_is_a_problem() {
    let kept_to = |port: u16| {
        let mut answers = Answers::good();
        let ports = format!(r#""spec": {{"match": [{{"ports": [{{"number": {port}}}]}}],"#);
        answers.plugin = answers.plugin.replace(r#""spec": {"#, &ports);
        answers
    };
    kept_to(443).found(
        1,
        "problem: ingress/gateway-a port 8443 https://shop.example.com is served without the plugin, which is kept to other ports",
    );
    assert_eq!(kept_to(8443).checked(), (0, "shop/shop: ok\n".to_owned()));
}
