//! Somebody interrupts a command that queries gateways: nothing that it started keeps running. kubectl is a stub.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::Duration;

use crate::tool::Workspace;

const ROUTES: &str = r#"{"items": [{
    "metadata": {"name": "shop-skew-guard", "annotations": {
        "skew-guard/plugin": "WasmPlugin/ingress/shop-skew-guard",
        "skew-guard/stat-prefix": "skew-guard-shop-shop-r7",
        "skew-guard/probe-paths": "[\"/api\"]"
    }},
    "spec": {"hosts": ["shop.example.com"], "gateways": ["ingress/shop"]}
}]}"#;

const PLUGIN: &str = r#"{"metadata": {"name": "shop-skew-guard"}, "spec": {
    "selector": {"matchLabels": {"app": "gateway"}},
    "pluginConfig": {"releases": [{"version": "1.4.2"}], "current": "1.4.2", "revision": 7}
}}"#;

const POD: &str = r#"{"items": [{"metadata": {"name": "gateway-1", "namespace": "ingress", "labels": {"app": "gateway"}}}]}"#;

const GATEWAY: &str = r#"{"metadata": {"name": "shop"}, "spec": {"selector": {"app": "gateway"}, "servers": [
    {"port": {"number": 80, "protocol": "HTTP"}, "hosts": ["shop.example.com"]}
]}}"#;

const HELM: &str = r#"#!/bin/sh
case "$*" in
version*) echo v3.19.0;;
history*) echo '[{"revision": 7, "status": "deployed", "chart": "skew-guard-CHART", "description": ""}]';;
*) echo '{"releases": [{"version": "1.4.2"}], "current": "1.4.2", "config": {"revision": 7}, "services": []}';;
esac
"#;

/// A folder with a cluster's kubectl and helm, whose port-forward leads to that port of this machine.
fn workspace(port: u16) -> Workspace {
    let workspace = Workspace::new();
    let version = r#"{"clientVersion": {"gitVersion": "v1.34.0"}}"#;
    let kubectl = format!(
        "#!/bin/sh\ncase \"$*\" in\n*version*--client*) echo '{version}';;\n*virtualservices*) echo '{ROUTES}';;\n\
         *wasmplugins*) echo '{PLUGIN}';;\n*gateways.networking*) echo '{GATEWAY}';;\n*services*|*destinationrules*) echo '{{\"items\": []}}';;\n\
         *port-forward*) echo $$ > forward; echo 'Forwarding from 127.0.0.1:{port} -> 15090'; exec /bin/sleep 600;;\n\
         *get*leases*) echo 'Error from server (NotFound): not there' >&2; exit 1;;\n*filename=-*) /bin/cat;;\n\
         *pods*) echo '{POD}';;\nesac\n"
    );
    let helm = HELM.replace("CHART", env!("CARGO_PKG_VERSION"));
    for (name, script) in [("kubectl", &kubectl), ("helm", &helm)] {
        workspace.write(name, script);
        fs::set_permissions(workspace.path(name), Permissions::from_mode(0o755))
            .expect("an executable");
    }
    workspace
}

/// The first connection; none if the tool ends without one.
fn asked(gateway: &TcpListener, running: &mut Child) -> Option<TcpStream> {
    gateway.set_nonblocking(true).expect("not blocking");
    loop {
        if let Ok((asking, _)) = gateway.accept() {
            asking.set_nonblocking(false).expect("blocking");
            return Some(asking);
        }
        if running.try_wait().expect("its state").is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, process: &str) -> bool {
    let sent = Command::new("kill").args(["-s", name, process]).status();
    sent.expect("kill runs").success()
}

#[test]
fn a_command_that_is_interrupted_leaves_no_port_forward_behind() {
    for (command, name, number) in [
        (&["wait"][..], "TERM", 15),
        (&["wait"], "INT", 2),
        (&["probe", "1.4.2"], "TERM", 15),
        (&["deploy", "2.0.0"], "TERM", 15),
        (&["status", "--watch"], "TERM", 15),
    ] {
        // A gateway that does not answer.
        let gateway = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let workspace = workspace(gateway.local_addr().expect("an address").port());
        let release = ["--helm-release", "shop", "--namespace", "shop"];
        let mut running =
            workspace.start_with_path(&workspace.path(""), &[command, &release].concat());
        let mut asking = match asked(&gateway, &mut running) {
            Some(asking) => asking,
            None => panic!("{command:?} asks nothing: {:?}", running.wait_with_output()),
        };
        let mut line = String::new();
        BufReader::new(&mut asking)
            .read_line(&mut line)
            .expect("a request");
        assert!(line.starts_with("GET "), "{command:?}: {line}");

        let forward = workspace.read("forward");
        let forward = forward.trim();
        assert!(signal("0", forward), "{command:?}: it runs");
        assert!(signal(name, &running.id().to_string()));
        let status = running.wait().expect("the tool ends");
        let mut said = String::new();
        let errors = running.stderr.as_mut().expect("errors");
        errors.read_to_string(&mut said).expect("text");
        assert_eq!(status.signal(), Some(number), "{command:?}: {said}");
        assert!(
            !signal("0", forward),
            "{command:?} left process {forward} behind"
        );
    }
}
