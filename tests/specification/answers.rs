//! What happens to answers that no real host gives on demand.

use std::rc::Rc;

use skew_guard::decision::Action;
use skew_guard::filter::{Exchange, Installation};
use skew_guard::reply::failure::NO_HEALTHY_UPSTREAM;
use skew_guard::reply::local::Reply;
use skew_guard_behaviour::{call, policy};
use skew_guard_invariants::host::FakeHost;

use crate::fake_host::answer;

fn shop(keys: &str) -> String {
    format!(
        r#"{{"releases":[{{"version":"2.0.0"}},{{"version":"1.4.2","state":"draining"}},
            {{"version":"1.3.0","state":"retired"}}],"current":"2.0.0",{keys}}}"#
    )
}

/// The original text of the configuration, which parsing and writing the JSON would lose.
#[test]
fn the_body_of_the_reload_answer_is_exactly_that_of_the_configuration() {
    let policy = policy(&shop(
        r#""reload":{"status":410,"body":{"code":"OLD", "n":1.10}}"#,
    ));
    let decision = call("1.3.0").decided_by(&policy).expect("it is in scope");
    let Action::Reply(answer) = &decision.action else {
        panic!("the request goes on");
    };
    let reply = Reply::of(&policy, decision.client.as_ref(), answer);
    assert_eq!(reply.status, 410);
    assert_eq!(reply.body, br#"{"code":"OLD", "n":1.10}"#);
}

/// As Envoy's own CORS filter leaves it, if there is one.
#[test]
fn cors_headers_are_never_duplicated() {
    const APP: &str = "https://app.example.com";
    let host = FakeHost::default();
    let cors = shop(&format!(r#""cors":{{"allowOrigins":["{APP}"]}}"#));
    let installation = Rc::new(Installation::configure(&host, cors.as_bytes()));
    host.attribute_is("response.flags", &NO_HEALTHY_UPSTREAM.to_le_bytes());
    host.attribute_is("xds.cluster_name", b"shop-1.4.2");
    host.receive(&call("1.4.2").origin(APP).lines());
    let mut exchange = Exchange::new(host.clone(), installation);
    exchange.on_request_headers();
    let by_envoy = [
        (":status", "503"),
        ("access-control-allow-origin", APP),
        ("vary", "Origin"),
    ];
    answer(&host, &mut exchange, &by_envoy, "no healthy upstream");
    assert_eq!(host.response_lines(":status"), ["409"]);
    assert_eq!(host.response_lines("access-control-allow-origin"), [APP]);
    assert_eq!(host.response_lines("vary"), ["Origin"]);
}
