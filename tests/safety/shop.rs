//! Random configurations of a shop, and what a gateway with one does with requests.

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Value, json};
use skew_guard::config::{CurrentConfig, ReleaseConfig, State};
use skew_guard::decision::{Action, LocalReply, Rule};
use skew_guard::rollout::{LoadedConfig, written_time};
use skew_guard::source::Source;
use skew_guard::table::Table;
use skew_guard::version::Version;
use skew_guard_traffic::browsers::Load;

/// When all of this happens.
pub const NOW: u64 = 1_800_000_000;

/// Newest first. Not every version is semver.
pub const VERSIONS: [&str; 6] = ["3.0.0", "2.1.0", "2.0.0", "9f86d08", "1.1.0", "1.0.0"];

/// A configuration that loads.
pub fn configuration() -> impl Strategy<Value = LoadedConfig> {
    let settings = (
        select(vec!["auto", "auto", "current", "reload"]),
        sources(),
        any::<bool>(),
        proptest::option::weighted(0.1, select(VERSIONS.as_slice())),
        unpinned(),
    );
    (releases(), any::<Index>(), 0..4_u8, settings).prop_filter_map(
        "a configuration that makes sense",
        |(releases, chosen, shape, settings)| {
            let (unknown, sources, has_pin, denied, unpinned) = settings;
            let mut root = json!({
                "releases": releases,
                "unknownVersion": unknown,
                "sources": sources,
                "unpinnedPaths": unpinned,
            });
            if has_pin {
                root["pinCookie"] = json!({"name": "pin"});
            }
            if let Some(denied) = denied {
                root["denied"] = json!([denied]);
            }
            let live = live(&releases);
            if shape > 0 && !live.is_empty() {
                root["current"] = current(&live, chosen, shape);
            }
            load(&root)
        },
    )
}

pub fn load(root: &Value) -> Option<LoadedConfig> {
    LoadedConfig::load(root.to_string().as_bytes()).ok()
}

/// Another configuration a few changes away, as a hurried person might make them.
pub fn neighbours() -> impl Strategy<Value = (LoadedConfig, LoadedConfig)> {
    let changes = proptest::collection::vec((any::<Index>(), change()), 1..4);
    (configuration(), changes).prop_filter_map("both make sense", |(old, changes)| {
        let mut root = old.json.clone();
        for (place, change) in changes {
            change.make(&mut root, place);
        }
        Some((old, load(&root)?))
    })
}

#[derive(Clone, Debug)]
enum Change {
    List(&'static str),
    State(Value, u64),
    Remove,
    Current(u8),
    /// Straight into `current` from any state: alone, or with a share.
    GoTo(bool),
    NoCurrent,
    Unknown(&'static str),
    Sources(Value),
    PinCookie(bool),
    Deny(&'static str),
    Accept(&'static str),
    Route(&'static str),
    Unpin(Value),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => select(VERSIONS.as_slice()).prop_map(Change::List),
        6 => (state(), 0..7200_u64).prop_map(|(state, ahead)| Change::State(state, ahead)),
        3 => Just(Change::Remove),
        6 => (1..4_u8).prop_map(Change::Current),
        6 => any::<bool>().prop_map(Change::GoTo),
        1 => Just(Change::NoCurrent),
        1 => select(vec!["auto", "current", "reload"]).prop_map(Change::Unknown),
        1 => sources().prop_map(Change::Sources),
        1 => any::<bool>().prop_map(Change::PinCookie),
        1 => select(VERSIONS.as_slice()).prop_map(Change::Deny),
        1 => select(VERSIONS.as_slice()).prop_map(Change::Accept),
        1 => select(vec!["a", "b"]).prop_map(Change::Route),
        1 => unpinned().prop_map(Change::Unpin),
    ]
}

impl Change {
    fn make(self, root: &mut Value, place: Index) {
        let Some(releases) = root["releases"].as_array().cloned() else {
            return;
        };
        if releases.is_empty() {
            return;
        }
        let at = place.index(releases.len());
        match self {
            Self::List(version) => {
                let mut releases = releases;
                releases.insert(0, json!({"version": version}));
                root["releases"] = json!(releases);
            }
            Self::State(state, ahead) => {
                let release = &mut root["releases"][at];
                release["state"] = state.clone();
                if let Some(release) = release.as_object_mut() {
                    release.remove("until");
                    if state == "draining" {
                        release.insert("until".to_owned(), json!(written_time(NOW + ahead)));
                    }
                }
            }
            Self::Remove => {
                let mut releases = releases;
                releases.remove(at);
                root["releases"] = json!(releases);
            }
            Self::Current(shape) => {
                let live = live(&releases);
                if !live.is_empty() {
                    root["current"] = current(&live, place, shape);
                }
            }
            Self::GoTo(alone) => {
                let chosen = releases[at]["version"].clone();
                let release = &mut root["releases"][at];
                release["state"] = json!("live");
                if let Some(release) = release.as_object_mut() {
                    release.remove("until");
                }
                let others = live(&releases);
                let other = others.iter().find(|version| **version != chosen);
                root["current"] = match other {
                    Some(other) if !alone => json!([
                        {"version": other, "weight": 90},
                        {"version": chosen, "weight": 10},
                    ]),
                    _ => chosen,
                };
            }
            Self::NoCurrent => {
                if let Some(root) = root.as_object_mut() {
                    root.remove("current");
                }
            }
            Self::Unknown(unknown) => root["unknownVersion"] = json!(unknown),
            Self::Sources(sources) => root["sources"] = sources,
            Self::PinCookie(true) => root["pinCookie"] = json!({"name": "pin"}),
            Self::PinCookie(false) => {
                if let Some(root) = root.as_object_mut() {
                    root.remove("pinCookie");
                }
            }
            Self::Deny(version) => root["denied"] = json!([version]),
            Self::Accept(version) => root["releases"][at]["accepts"] = json!([version]),
            Self::Unpin(paths) => root["unpinnedPaths"] = paths,
            Self::Route(route) => root["releases"][at]["route"] = json!(route),
        }
    }
}

fn releases() -> impl Strategy<Value = Vec<Value>> {
    subsequence(VERSIONS.as_slice(), 1..=5).prop_flat_map(|versions| {
        let entries: Vec<_> = versions.into_iter().map(release).collect();
        entries
    })
}

fn release(version: &'static str) -> impl Strategy<Value = Value> {
    let accepts = proptest::option::weighted(0.2, select(vec!["1.*", "1.1.0", ">=2, <3"]));
    (state(), accepts, 0..7200_u64).prop_map(move |(state, accepts, ahead)| {
        let mut release = json!({"version": version, "state": state});
        if state == "draining" {
            release["until"] = json!(written_time(NOW + ahead));
        }
        if let Some(accepts) = accepts {
            release["accepts"] = json!([accepts]);
        }
        release
    })
}

fn state() -> impl Strategy<Value = Value> {
    select(vec![
        json!("staged"),
        json!("live"),
        json!("live"),
        json!("live"),
        json!("draining"),
        json!("retired"),
    ])
}

fn unpinned() -> impl Strategy<Value = Value> {
    select(vec![
        json!([]),
        json!(["/version.json"]),
        json!(["/version.json", "/api"]),
        json!(["/assets"]),
    ])
}

fn sources() -> impl Strategy<Value = Value> {
    select(vec![
        json!([{"header": "x-bundle-version"}, {"query": "dpl"}]),
        json!([{"header": "x-bundle-version"}, {"query": "dpl"}]),
        json!([{"path": "/assets/v-{version}/"}, {"header": "x-bundle-version"}]),
        json!([{"cookie": "own"}, {"baggage": "client-version"}]),
    ])
}

fn live(releases: &[Value]) -> Vec<Value> {
    releases
        .iter()
        .filter(|release| matches!(release["state"].as_str(), None | Some("live")))
        .map(|release| release["version"].clone())
        .collect()
}

fn current(live: &[Value], chosen: Index, shape: u8) -> Value {
    let first = chosen.get(live);
    let other = live.iter().find(|version| *version != first);
    match (shape, other) {
        (3, Some(other)) => json!([
            {"version": first, "weight": 10},
            {"version": other, "weight": 90},
        ]),
        _ => first.clone(),
    }
}

/// A request that a page makes besides navigations.
#[derive(Clone, Debug)]
pub struct Ask {
    pub is_asset: bool,
    pub source: Index,
    pub path: &'static str,
    pub after: u64,
}

pub fn ask() -> impl Strategy<Value = Ask> {
    (
        any::<bool>(),
        any::<Index>(),
        select(vec!["/", "/api/cart", "/version.json"]),
        0..3600_u64,
    )
        .prop_map(|(is_asset, source, path, after)| Ask {
            is_asset,
            source,
            path,
            after,
        })
}

impl Ask {
    /// The request of a page of this version that was loaded under a configuration, which knows where it
    /// says its version.
    pub fn of(&self, page: &str, got_under: &LoadedConfig) -> Table {
        let load = if self.is_asset {
            Load::Script
        } else {
            Load::Fetch
        };
        let table = Table::new("GET", "shop.example.com", self.path, NOW + self.after);
        let table = loaded_as(load, table);
        match self.source.get(&places(got_under)) {
            Source::Header(name) => table.with(name, page),
            Source::Baggage(key) => table.with("baggage", format!("other=1,{key}={page}")),
            Source::Query(name) => table.to(&format!("{}?a=b&{name}={page}", self.path)),
            Source::Path(_) => table.to(&format!("/assets/v-{page}/main.js")),
            Source::Cookie(name) | Source::Pin(name) => {
                table.with("cookie", format!("other=1; {name}={page}"))
            }
        }
    }
}

fn places(loaded: &LoadedConfig) -> Vec<Source> {
    let pin = loaded.config.pin_cookie.as_ref();
    let pin = pin.map(|cookie| Source::Pin(cookie.name.clone()));
    loaded.config.sources.iter().cloned().chain(pin).collect()
}

/// Which release answers a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Release(String),
    Reload,
    AnyPod,
    /// On a path that any release may answer.
    Unpinned,
}

pub fn answer(loaded: &LoadedConfig, request: &Table) -> Answer {
    let decision = request
        .decided_by(&loaded.policy)
        .expect("the shop guards all requests");
    let is_unpinned = decision.rule == Rule::UnpinnedPath;
    match decision.action {
        _ if is_unpinned => Answer::Unpinned,
        Action::Reply(LocalReply::Gone { .. }) => Answer::Reload,
        Action::Reply(other) => panic!("{other:?} to a page"),
        Action::Forward(forward) => match forward.release {
            Some(release) => Answer::Release(release.version.to_string()),
            None => Answer::AnyPod,
        },
    }
}

/// Whether an answer is from the page's own release, or from one that accepts it.
pub fn is_right(
    loaded: &LoadedConfig,
    page: &str,
    answer: &Answer,
    is_asset: bool,
    pods: &[String],
) -> bool {
    match answer {
        Answer::Release(version) => version == page || !is_asset && accepts(loaded, version, page),
        Answer::Unpinned => true,
        Answer::AnyPod => pods
            .iter()
            .all(|pod| pod == page || !is_asset && accepts(loaded, pod, page)),
        Answer::Reload => false,
    }
}

fn accepts(loaded: &LoadedConfig, version: &str, page: &str) -> bool {
    let page = Version::parse(page.as_bytes()).expect("a version");
    loaded
        .config
        .releases
        .iter()
        .filter(|release| release.version.as_str() == version)
        .any(|release| release.accepts.iter().any(|pattern| pattern.matches(&page)))
}

/// The releases that have pods while gateways learn what comes after this configuration.
pub fn pods(old: &LoadedConfig) -> Vec<String> {
    versions(old, |release| release.state != State::Retired)
}

pub fn versions(loaded: &LoadedConfig, which: impl Fn(&ReleaseConfig) -> bool) -> Vec<String> {
    loaded
        .config
        .releases
        .iter()
        .filter(|release| which(release))
        .map(|release| release.version.to_string())
        .collect()
}

/// The same request with the Fetch Metadata of such a load.
pub fn loaded_as(load: Load, request: Table) -> Table {
    let metadata = load.fetch_metadata().into_iter();
    metadata.fold(request, |request, (name, value)| request.with(name, value))
}

/// The versions whose pages a gateway with this configuration may serve.
pub fn pages(loaded: &LoadedConfig, pods: &[String]) -> Vec<String> {
    match &loaded.config.current {
        None => pods.to_vec(),
        Some(CurrentConfig::One(version)) => vec![version.to_string()],
        Some(CurrentConfig::Weighted(shares)) => shares
            .iter()
            .filter(|share| share.weight > 0)
            .map(|share| share.version.to_string())
            .collect(),
    }
}

/// The page for a visitor at this position among weights, and among pods.
pub fn open(loaded: &LoadedConfig, visitor: u32, pods: &[String], pod: Index) -> String {
    let request = Table::new("GET", "shop.example.com", "/", NOW)
        .with("accept", "text/html")
        .drawing(visitor);
    match answer(loaded, &loaded_as(Load::Navigation, request)) {
        Answer::Release(version) => version,
        _ => pod.get(pods).clone(),
    }
}
