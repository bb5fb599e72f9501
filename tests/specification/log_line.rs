//! What the debug log says about a request.

use skew_guard::headers::{self, Headers};
use skew_guard::policy::Policy;
use skew_guard::request;
use skew_guard::telemetry::log_line::LogLine;

use skew_guard_behaviour::{Request, fetch, navigation, policy};

/// SHA-256 of `key`.
const KEY: &str = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";

fn shop(keys: &str) -> Policy {
    policy(&format!(
        r#"{{"releases":[{{"version":"2.0.0","route":"v2"}},{{"version":"1.4.2","route":"v1"}},
            {{"version":"1.3.0","state":"retired"}}],"current":"2.0.0",
            "preview":{{"sha256":"{KEY}"}}{keys}}}"#
    ))
}

fn log_line(policy: &Policy, sent: &Request) -> String {
    let decision = sent.decided_by(policy).expect("it is in scope");
    let map = headers::serialize(&sent.lines());
    let request = request::Request::new(Headers::new(&map), sent);
    LogLine {
        request: &request,
        decision: &decision,
        enforced: policy.enforce,
    }
    .to_string()
}

#[test]
fn it_says_what_was_asked_what_was_decided_and_by_which_rule() {
    let shop = shop("");
    for (sent, said) in [
        (
            fetch("/api/cart?q=1").version("1.4.2"),
            "GET shop.example.com/api/cart (api), version 1.4.2: pinned, to v1; rule 8: a release has this version",
        ),
        (
            fetch("/api/cart").version("1.3.0"),
            "GET shop.example.com/api/cart (api), version 1.3.0: gone, answered here; rule 10: no release serves this version",
        ),
        (
            navigation("/"),
            "GET shop.example.com/ (navigation), no version: unversioned, to v2; rule 6: a navigation, or a request without a usable version, goes to current",
        ),
    ] {
        assert_eq!(log_line(&shop, &sent), said);
    }
}

#[test]
fn it_says_where_a_decision_was_only_observed_and_where_the_mesh_chooses() {
    let observed = policy(r#"{"releases":[{"version":"2.0.0"}],"enforce":false}"#);
    let said = log_line(&observed, &fetch("/api/cart"));
    let end = ": uncovered, left to the mesh; rule 6: a navigation, or a request without a usable version, goes to current; observed only";
    assert!(said.ends_with(end), "{said}");
}

#[test]
fn what_a_client_sent_is_escaped_and_cut_off() {
    let shop = shop("");
    let hostile = fetch("/a\r\n[critical] \"x\\\u{1b}[31m\u{fc}").version("1\n2");
    let said = log_line(&shop, &hostile);
    assert!(
        said.contains(r#"/a\r\n[critical] \"x\\\x1b[31m\xc3\xbc (api), no version: invalid"#),
        "{said}"
    );
    assert!(
        said.bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "{said}"
    );
    let long = log_line(&shop, &fetch(&format!("/{}", "x".repeat(9000))));
    assert!(long.len() < 500 && long.contains("xxx... (api)"), "{long}");
}

#[test]
fn it_holds_no_cookie_and_no_preview_key() {
    let shop = shop(r#","pinCookie":{"name":"pin"},"sources":[{"cookie":"session"}]"#);
    for sent in [
        navigation("/?preview=key:1.4.2"),
        fetch("/")
            .with("x-preview-key", "key")
            .cookie("session=1.4.2"),
        fetch("/").cookie("__preview=key:1.4.2"),
        fetch("/").cookie("pin=1.4.2"),
        fetch("/").cookie("session=secret"),
    ] {
        let said = log_line(&shop, &sent);
        for secret in ["key:", "=", "secret", "1.4.2"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
