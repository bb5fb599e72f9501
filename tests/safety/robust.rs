//! Nothing that anybody sends or writes causes a panic, and a configuration that loads leads only to served releases.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use skew_guard::config::{Config, State, load_partial};
use skew_guard::decision::{Action, Outcome};
use skew_guard::headers::{self, Headers};
use skew_guard::reply::amend::{amend, observe};
use skew_guard::reply::failure::{NO_CLUSTER_FOUND, NO_HEALTHY_UPSTREAM};
use skew_guard::reply::local::Reply;
use skew_guard::reply::response::Response;
use skew_guard::request::Environment;
use skew_guard::table::Table;
use skew_guard_invariants::visit::NAMES;
use skew_guard_traffic::browsers::Load;

use crate::shop::{NOW, ask, configuration, loaded_as};

/// Values that mean something, nearly mean something, or mean nothing.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        select(vec![
            "GET",
            "POST",
            "HEAD",
            "OPTIONS",
            "/",
            "/assets/v-2.0.0/x.js",
            "/?dpl=2.0.0&dpl=%zz",
            "/%2?dpl=",
            "//?preview=key:2.0.0",
            "/?preview=off",
            "navigate",
            "cors",
            "no-cors",
            "same-origin",
            "document",
            "script",
            "iframe",
            "empty",
            "text/html",
            "cross-site",
            "2.0.0",
            "1.0.0",
            "pin=2.0.0; pin",
            "pin=00000000~2.0.0",
            "pin=~",
            "=;=;",
            "own=1.1.0",
            "client-version=2.0.0;p=1",
            "application/grpc",
            "application/grpc-web+proto",
            "https://shop.example.com/sw.js",
            "[::1]:80",
            ":",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

fn request() -> impl Strategy<Value = Table> {
    let names = [&[":method"][..], &NAMES].concat();
    let headers = proptest::collection::vec((select(names), value()), 0..12);
    (headers, any::<u32>(), 0..7200_u64).prop_map(|(headers, drawn, after)| {
        let table = Table::new("GET", "shop.example.com", "/", NOW + after).drawing(drawn);
        // The first one counts, so half of the requests start without method, host and path, for random ones to count.
        let is_bare = drawn % 2 == 0;
        let start = if is_bare { Table::default() } else { table };
        headers
            .into_iter()
            .fold(start, |table, (name, value)| table.with(name, value))
    })
}

/// An answer of any shape.
#[derive(Clone, Debug)]
struct Upstream {
    headers: Vec<u8>,
    attribute: Option<Vec<u8>>,
    has_body: bool,
}

impl Response for Upstream {
    fn headers(&self) -> Headers<'_> {
        Headers::new(&self.headers)
    }

    fn attribute(&self, _: &[&str]) -> Option<Vec<u8>> {
        self.attribute.clone()
    }

    fn has_body(&self) -> bool {
        self.has_body
    }
}

fn upstream() -> impl Strategy<Value = Upstream> {
    let names = vec![
        ":status",
        "cache-control",
        "content-type",
        "vary",
        "x-app-version",
        "access-control-expose-headers",
    ];
    let attribute = prop_oneof![
        Just(None),
        Just(Some(NO_HEALTHY_UPSTREAM.to_le_bytes().to_vec())),
        Just(Some(NO_CLUSTER_FOUND.to_le_bytes().to_vec())),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Some),
    ];
    let headers = proptest::collection::vec((select(names), value()), 0..6);
    (headers, attribute, any::<bool>()).prop_map(|(headers, attribute, has_body)| Upstream {
        headers: headers::serialize(&headers),
        attribute,
        has_body,
    })
}

proptest! {
    #[test]
    fn no_request_and_no_answer_causes_a_panic(
        loaded in configuration(),
        request in request(),
        upstream in upstream(),
    ) {
        let decision = request.decided_by(&loaded.policy).expect("the shop guards all requests");
        if let Action::Reply(answer) = &decision.action {
            let reply = Reply::of(&loaded.policy, decision.client.as_ref(), answer);
            prop_assert!((200..600).contains(&reply.status));
        }
        let observation = observe(&loaded.policy, &decision, &upstream);
        prop_assert!(observation.changes.is_empty());
        let amendment = amend(&loaded.policy, &decision, &upstream);
        prop_assert!(amendment.skewed_to.is_none() || loaded.policy.upstream_version.is_some());
    }

    #[test]
    fn a_request_is_only_ever_sent_to_a_release_that_is_served(
        loaded in configuration(),
        request in request(),
        client in select(crate::shop::VERSIONS.as_slice()),
        ask in ask(),
    ) {
        for request in [&request, &ask.of(client, &loaded)] {
            let decision = request.decided_by(&loaded.policy).expect("the shop guards all requests");
            prop_assert_ne!(decision.outcome, Outcome::Unconfigured);
            let Some(release) = decision.release() else { continue };
            let mut listed = loaded.config.releases.iter();
            let entry = listed.find(|entry| entry.version == release.version).expect("a listed release");
            // A release whose own pages are denied may still serve pages of versions that it accepts.
            let is_denied = decision.client.as_ref().is_some_and(|client| loaded.config.denied.contains(&client.version));
            let is_followed = matches!(decision.outcome, Outcome::Pinned | Outcome::Compatible | Outcome::Preview);
            prop_assert!(!(is_denied && is_followed), "{decision:?}");
            prop_assert!(
                match entry.state {
                    State::Live => true,
                    State::Draining => entry.until.is_none_or(|until| request.now() < until),
                    State::Staged | State::Retired => false,
                },
                "{decision:?}"
            );
        }
    }

    #[test]
    fn a_navigation_always_reaches_a_release_that_is_live_where_there_is_a_current(
        loaded in configuration().prop_filter("a current", |loaded| loaded.policy.current.is_some()),
        carried in select(crate::shop::VERSIONS.as_slice()),
        visitor in any::<u32>(),
    ) {
        let request = Table::new("GET", "shop.example.com", "/", NOW)
            .with("cookie", format!("pin={carried}; own={carried}"))
            .drawing(visitor);
        let request = loaded_as(Load::Navigation, request);
        let decision = request.decided_by(&loaded.policy).expect("the shop guards all requests");
        let release = decision.release().expect("a release");
        let mut listed = loaded.config.releases.iter();
        prop_assert!(listed.any(|entry| entry.version == release.version && entry.state == State::Live));
    }

    #[test]
    fn loading_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let loaded = Config::load(&bytes);
        prop_assert!(loaded.is_err());
        prop_assert!(load_partial(&bytes).is_none());
    }

    #[test]
    fn a_damaged_configuration_never_panics_and_every_refusal_says_why(
        loaded in configuration(),
        damage in proptest::collection::vec((any::<Index>(), damage()), 1..6),
    ) {
        let mut bytes = loaded.json.to_string().into_bytes();
        for (place, damage) in damage {
            if bytes.is_empty() {
                break;
            }
            damage.do_to(&mut bytes, place);
        }
        match Config::load(&bytes) {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(_) => prop_assert!(load_partial(&bytes).is_some()),
        }
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Byte(u8),
    Cut,
    Repeat,
    Token(&'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<u8>().prop_map(Damage::Byte),
        Just(Damage::Cut),
        Just(Damage::Repeat),
        select(vec![
            "null",
            "1e999",
            "-1",
            "\"\"",
            "[]",
            "{}",
            "\"\\ud800\"",
            "18446744073709551616",
            "1.10",
            "\"9999-12-31T23:59:59Z\"",
            "\"0000-01-01T00:00:00Z\"",
            "true",
            "[[[[[[",
            "\"*.\"",
        ])
        .prop_map(Damage::Token),
    ]
}

impl Damage {
    fn do_to(&self, bytes: &mut Vec<u8>, place: Index) {
        let at = place.index(bytes.len());
        match self {
            Self::Byte(byte) => bytes[at] = *byte,
            Self::Cut => bytes.truncate(at),
            Self::Repeat => {
                let again = bytes[at..].to_vec();
                bytes.extend(again);
            }
            // Mostly where a value belongs: after a colon or a comma.
            Self::Token(token) => {
                let from = bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, b':' | b','));
                let from = from.map_or(at, |from| at + from + 1);
                let rest = bytes[from..]
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}' | b']'));
                let to = rest.map_or(bytes.len(), |rest| from + rest);
                bytes.splice(from..to, token.bytes());
            }
        }
    }
}
