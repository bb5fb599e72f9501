//! What no host can show of a decision, or what depends on a moment that only a test can set.

use serde_json::{Value, json};
use skew_guard::decision::{Action, Decision, Forward, GoneReply, LocalReply, Rule};
use skew_guard::policy::{GoneReason, Policy};
use skew_guard_behaviour::{Request, call, fetch, navigation, plain, policy, shop, with};

fn policy_of(keys: Value) -> Policy {
    policy(&with(shop(), keys).to_string())
}

#[track_caller]
fn decide(policy: &Policy, request: &Request) -> Decision {
    request
        .decided_by(policy)
        .expect("the request is within the scope")
}

/// How a forwarded request goes on.
#[track_caller]
fn forwarded(policy: &Policy, request: &Request) -> Forward {
    match decide(policy, request).action {
        Action::Forward(forward) => forward,
        Action::Reply(answer) => panic!("the filter answers: {answer:?}"),
    }
}

/// Why it is gone, if it is.
fn gone(decision: &Decision) -> Option<GoneReason> {
    match decision.action {
        Action::Reply(LocalReply::Gone { why, .. }) => Some(why),
        _ => None,
    }
}

/// Envoy removes a `Referer` with a fragment before any filter sees it.
#[test]
fn a_server_action_is_redirected_to_its_page_without_the_fragment() {
    let action = call("1.3.0")
        .method("POST")
        .with("next-action", "7f")
        .with("referer", "https://shop.example.com/cart?step=2#pay");
    let Action::Reply(LocalReply::Gone { reply, .. }) =
        decide(&policy_of(json!({})), &action).action
    else {
        panic!("it goes on");
    };
    let GoneReply::Reload { action_from, .. } = reply else {
        panic!("it is not a reload: {reply:?}");
    };
    assert_eq!(
        action_from.as_deref(),
        Some("https://shop.example.com/cart?step=2")
    );
}

/// Envoy refuses such a request itself.
#[test]
fn a_request_without_a_host_is_outside_every_scope_with_hosts() {
    let policy = policy_of(json!({ "hosts": ["shop.example.com", "*.shops.example.com"] }));
    assert!(plain("/").host("").decided_by(&policy).is_none());
}

/// Envoy refuses such a request itself.
#[test]
fn a_fragment_is_not_part_of_the_query() {
    let policy = policy_of(json!({}));
    for (target, route) in [
        ("/api?dpl=1.4.2#dpl=2.0.0", "v1-4-2"),
        ("/api#?dpl=1.4.2", "v2-0-0"),
    ] {
        let release = forwarded(&policy, &fetch(target)).release;
        assert_eq!(release.expect("a release").route, route, "{target}");
    }
}

#[test]
fn a_draining_release_is_retired_at_its_time_to_the_second() {
    const DRAINED: u64 = 1_796_083_200;
    let policy = policy_of(json!({ "releases": [
        { "version": "2.0.0" },
        { "version": "1.4.2", "state": "draining", "until": "2026-12-01T00:00:00Z" },
    ] }));
    let decided = |now| gone(&decide(&policy, &call("1.4.2").at(now)));
    assert_eq!(decided(DRAINED - 1), None);
    assert_eq!(decided(DRAINED), Some(GoneReason::Retired));
}

#[test]
fn a_denied_version_is_refused_by_its_own_rule() {
    let policy = policy_of(json!({ "denied": ["1.4.2"] }));
    assert_eq!(decide(&policy, &call("1.4.2")).rule, Rule::Refused);
}

/// No proxy lets a header of that length through.
#[test]
fn a_preview_key_of_a_megabyte_is_not_even_hashed() {
    let sha256 = "1ff2e6fd7a187a0e5338106edcfda2a1133860b1a6273fc30b89cc6e8fdb5193";
    let policy = policy_of(json!({ "preview": { "sha256": sha256 } }));
    let request = call("2.1.0").with("x-preview-key", "k".repeat(1 << 20));
    assert_eq!(gone(&decide(&policy, &request)), Some(GoneReason::Unknown));
}

#[test]
fn a_form_post_pins_its_visitor_and_draws_no_bucket() {
    let policy = policy_of(json!({ "pinCookie": { "name": "pin" } }));
    let form = skew_guard_behaviour::form("/order");
    let visitor = forwarded(&policy, &form).visitor.expect("a visitor");
    assert_eq!((visitor.is_new, visitor.bucket), (false, None));
}

mod weights {
    use super::*;

    fn weighted(old: u64, new: u64) -> Policy {
        let configuration = json!({
            "releases": [{ "version": "2.0.0", "route": "new" }, { "version": "1.4.2", "route": "old" }],
            "current": [{ "version": "1.4.2", "weight": old }, { "version": "2.0.0", "weight": new }],
            "pinCookie": { "name": "pin" },
        });
        policy(&configuration.to_string())
    }

    fn route_by(policy: &Policy, bucket: u32) -> String {
        let page = navigation("/").cookie(&format!("pin={bucket:08x}~1.4.2"));
        let release = forwarded(policy, &page).release;
        release.expect("there is a current").route.clone()
    }

    #[test]
    fn a_navigation_without_a_bucket_draws_one_and_goes_where_it_belongs() {
        let policy = weighted(50, 50);
        for drawn in 0..64 {
            let forward = forwarded(&policy, &navigation("/").drawing(drawn));
            let visitor = forward.visitor.expect("a navigation has a visitor");
            assert!(visitor.is_new);
            assert_eq!(visitor.bucket.expect("it was drawn").0, drawn);
            let release = forward.release.expect("there is a current");
            assert_eq!(release.route, route_by(&policy, drawn));
        }
    }

    #[test]
    fn a_release_without_weight_gets_no_visitor() {
        let policy = weighted(100, 0);
        assert!((0..1000).all(|bucket| route_by(&policy, bucket) == "old"));
    }
}
