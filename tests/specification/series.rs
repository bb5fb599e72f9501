//! How many time series there can be: clients cannot add any, and every release adds a few.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::LazyLock;

use skew_guard::decision::Outcome;
use skew_guard::filter::{Exchange, Flow, Installation};
use skew_guard::reply::failure::NO_CLUSTER_FOUND;
use skew_guard::request::Class;
use skew_guard::telemetry::{AnswerKind, MAX_SERIES_OF_A_RELEASE, max_series};
use skew_guard_behaviour::{Load, Request, load, plain};
use skew_guard_invariants::host::FakeHost;

/// SHA-256 of `key`.
const KEY: &str = "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683";
const ROUTES: [&str; 3] = ["v3", "v2", "v1"];

/// Configurations that lead to every outcome; the first one is invalid, when there is no other yet.
fn configurations() -> [String; 6] {
    let with = |keys: &str, releases: &str| {
        format!(
            r#"{{"sources":[{{"header":"x-bundle-version"}},{{"query":"dpl"}},{{"path":"/assets/v-{{version}}/"}}],
            "releases":[{releases},{{"version":"1.3.0","state":"retired"}}],
            "pinnedNavigation":["/checkout"],"unpinnedPaths":["/sw.js"],"pinCookie":{{"name":"pin"}},
            "preview":{{"sha256":"{KEY}"}},"upstreamVersion":{{"responseHeader":"x-app-version"}}{keys}}}"#
        )
    };
    let staged = r#"{"version":"2.1.0","route":"v3","state":"staged"},{"version":"2.0.0","route":"v2","accepts":["1.9.*"]},
        {"version":"1.4.2","route":"v1","state":"draining"}"#;
    let live = r#"{"version":"2.1.0","route":"v3"},{"version":"2.0.0","route":"v2"},{"version":"1.4.2","route":"v1","accepts":["1.9.*"]}"#;
    let weights = r#","current":[{"version":"2.0.0","weight":1},{"version":"1.4.2","weight":2},{"version":"2.1.0","weight":3}]"#;
    [
        r#"{"releases":[{"version":1}]}"#.to_owned(),
        with(r#","current":"2.0.0""#, staged),
        with(r#","current":"2.0.0","unknownVersion":"current""#, staged),
        with(r#","current":"2.0.0","enforce":false"#, staged),
        with(weights, live),
        with("", live),
    ]
}

type Header = (&'static str, &'static str);

const LOADS: [Load; 5] = [
    Load::FormPost,
    Load::Navigation,
    Load::Frame,
    Load::Script,
    Load::Fetch,
];
const VERSIONS: [&str; 8] = [
    "",
    "undefined",
    "2.1.0",
    "2.0.0",
    "1.9.3",
    "1.4.2",
    "1.3.0",
    "6.6.6",
];
const CARRIERS: [&str; 4] = ["header", "query", "path", "cookie"];
const PATHS: [&str; 4] = ["/", "/checkout", "/sw.js", "/api/cart"];
const MORE: [&[Header]; 5] = [
    &[],
    &[("sec-fetch-site", "same-origin")],
    &[("sec-purpose", "prefetch"), ("accept", "text/html")],
    &[("x-preview-key", "key")],
    &[("upgrade", "websocket"), ("x-release", "forged")],
];

/// Every combination of these as a request.
fn requests() -> impl Iterator<Item = Request> {
    let preflight = plain("/")
        .method("OPTIONS")
        .with("access-control-request-method", "GET");
    let post = plain("/").method("POST").with("accept", "text/html");
    let kinds = LOADS.map(|kind| load(kind, "/")).into_iter();
    let kinds = kinds.chain([plain("/"), post, preflight]);
    kinds.flat_map(|kind| {
        VERSIONS.into_iter().flat_map(move |version| {
            let kind = kind.clone();
            CARRIERS.into_iter().flat_map(move |carrier| {
                let kind = kind.clone();
                PATHS.into_iter().flat_map(move |path| {
                    let request = carrying(kind.clone(), version, carrier, path);
                    MORE.map(|more| request.clone().with_all(more))
                })
            })
        })
    })
}

fn carrying(kind: Request, version: &str, carrier: &str, path: &str) -> Request {
    let to = |target: &str| kind.clone().but(":path", target);
    match carrier {
        "header" => to(path).version(version),
        "query" => to(&format!("{path}?dpl={version}")),
        "path" => to(&format!("/assets/v-{version}/main.js")),
        _ => to(path).cookie(&format!("pin={version}")),
    }
}

/// The series of one gateway after all of these requests, each answered by a pod and by Envoy itself.
static COUNTED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let host = FakeHost::default();
    for configuration in configurations() {
        let installation = Rc::new(Installation::configure(&host, configuration.as_bytes()));
        for request in requests() {
            answer(&host, &installation, &request, "9.9.9", 0);
            answer(&host, &installation, &request, "", NO_CLUSTER_FOUND);
        }
    }
    host.defined()
});

fn answer(
    host: &FakeHost,
    installation: &Rc<Installation>,
    request: &Request,
    pod: &str,
    flags: u64,
) {
    host.receive(&request.lines());
    host.attribute_is("response.flags", &flags.to_le_bytes());
    host.attribute_is("xds.route_name", b"skew-guard-absent");
    let mut exchange = Exchange::new(host.clone(), Rc::clone(installation));
    if exchange.on_request_headers() == Flow::Continue {
        host.respond(
            &[
                (":status", b"200"),
                ("x-app-version", pod.as_bytes()),
                ("content-type", b"text/html"),
            ],
            b"",
        );
        exchange.on_response_headers(false);
    }
}

/// The values of a tag.
fn values<'n>(names: &'n [String], tag: &str) -> BTreeSet<&'n str> {
    let parts = names.iter().flat_map(|name| name.split(";.;"));
    parts
        .filter_map(|part| part.strip_prefix(tag)?.strip_prefix("=.="))
        .collect()
}

#[test]
fn a_release_adds_as_many_as_documented_and_a_client_none() {
    let names = &*COUNTED;
    assert_eq!(values(names, "plugin"), BTreeSet::from([""]));
    let releases: BTreeSet<_> = ROUTES.into_iter().chain(["none"]).collect();
    assert_eq!(values(names, "release"), releases);
    assert_eq!(
        values(names, "outcome"),
        Outcome::ALL.map(Outcome::name).into()
    );
    assert_eq!(values(names, "class"), Class::ALL.map(Class::name).into());
    assert_eq!(
        values(names, "answer"),
        AnswerKind::ALL.map(AnswerKind::name).into()
    );
    for route in ROUTES {
        let of = |name: &&String| name.contains(&format!("release=.={route};.;"));
        let series = names.iter().filter(of).count();
        assert!(series <= MAX_SERIES_OF_A_RELEASE, "{series} of {route}");
    }
    assert!(names.len() <= max_series(ROUTES.len()), "{}", names.len());
}

#[test]
fn a_release_in_current_comes_close_to_the_documented_limit() {
    let names = &*COUNTED;
    let of_current = names.iter().filter(|name| name.contains("release=.=v2;.;"));
    let series = of_current.count();
    assert!(
        series * 4 > MAX_SERIES_OF_A_RELEASE * 3,
        "{series} of {MAX_SERIES_OF_A_RELEASE}"
    );
}
