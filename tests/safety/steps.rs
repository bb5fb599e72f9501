//! A step that is called safe is safe: between random neighbours, with random pages and requests.

use proptest::prelude::*;
use proptest::sample::Index;
use skew_guard::config::State;
use skew_guard::rollout::{LoadedConfig, assess, safe_path};

use crate::shop::{
    Answer, Ask, NOW, answer, ask, is_right, neighbours, open, pages, pods, versions,
};

/// What goes wrong with a page that was loaded under one configuration at a gateway that has the other;
/// a flaw of the old one alone is not the step's.
pub fn harm(
    old: &LoadedConfig,
    new: &LoadedConfig,
    visitor: u32,
    pod: Index,
    ask: &Ask,
) -> Option<String> {
    let pods = pods(old);
    if pods.is_empty() {
        return None;
    }
    let moved = (&new, &old);
    for (got_under, asked) in [(&old, &new), moved] {
        let page = open(got_under, visitor, &pods, pod);
        let request = ask.of(&page, got_under);
        let given = answer(asked, &request);
        let is_old_flaw = if std::ptr::eq(*asked, old) {
            pages(old, &pods).contains(&page)
        } else {
            let before = answer(old, &request);
            before != Answer::Reload && !is_right(old, &page, &before, ask.is_asset, &pods)
        };
        let is_final_reload = given == Answer::Reload && answer(new, &request) == Answer::Reload;
        if !is_old_flaw && !is_final_reload && !is_right(asked, &page, &given, ask.is_asset, &pods)
        {
            return Some(format!(
                "a page of {page} is answered {given:?}: {request:?}"
            ));
        }
        if let Answer::Release(version) = &given
            && !is_routed_alike(old, new, asked, version)
        {
            return Some(format!(
                "the route of {version} leads elsewhere: {request:?}"
            ));
        }
    }
    None
}

/// Whether the route that a gateway writes leads to this release in a mesh that has the routes of
/// either configuration: no gateway learns plugin and routes at the same moment.
fn is_routed_alike(
    old: &LoadedConfig,
    new: &LoadedConfig,
    asked: &LoadedConfig,
    version: &str,
) -> bool {
    let routed = |loaded: &LoadedConfig| -> Vec<(String, String)> {
        let releases = loaded.config.releases.iter();
        releases
            .filter(|release| release.state != State::Retired)
            .map(|release| (release.version.to_string(), release.route.clone()))
            .collect()
    };
    let mut written = routed(asked).into_iter();
    let Some((_, route)) = written.find(|(routed, _)| routed == version) else {
        return true;
    };
    [old, new]
        .into_iter()
        .flat_map(routed)
        .all(|(other, its_route)| (other == version) == (its_route == route))
}

/// A tab of a version that the old configuration told to reload, and that another release answers
/// under the new one.
fn comes_back(old: &LoadedConfig, new: &LoadedConfig, tab: &str, ask: &Ask) -> Option<String> {
    let pods = pods(old);
    let request = ask.of(tab, old);
    let after = answer(new, &request);
    let is_harm = answer(old, &request) == Answer::Reload
        && after != Answer::Reload
        && !is_right(new, tab, &after, ask.is_asset, &pods);
    is_harm.then(|| format!("a tab of {tab} comes back: {after:?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn between_neighbours_that_diff_calls_safe_no_page_is_skewed(
        (old, new) in neighbours(),
        visits in proptest::collection::vec((any::<u32>(), any::<Index>(), ask()), 24),
    ) {
        prop_assume!(assess(&old, &new, NOW).is_safe());
        for (visitor, pod, ask) in &visits {
            let harm = harm(&old, &new, *visitor, *pod, ask);
            prop_assert!(harm.is_none(), "{harm:?}\nfrom {}\nto {}", old.json, new.json);
        }
    }

    #[test]
    fn what_was_gone_stays_gone_where_diff_calls_a_step_safe(
        (old, new) in neighbours(),
        asks in proptest::collection::vec((any::<Index>(), ask()), 24),
    ) {
        prop_assume!(assess(&old, &new, NOW).is_safe());
        let listed = versions(&old, |_| true);
        for (tab, ask) in &asks {
            // The clock settles the rest: what drains during the step was not gone before it.
            let ask = Ask { after: 0, ..ask.clone() };
            let harm = comes_back(&old, &new, tab.get::<String>(&listed), &ask);
            prop_assert!(harm.is_none(), "{harm:?}\nfrom {}\nto {}", old.json, new.json);
        }
    }

    #[test]
    fn the_steps_that_diff_names_are_safe_and_lead_to_the_new_configuration(
        (old, new) in neighbours(),
    ) {
        prop_assume!(!assess(&old, &new, NOW).is_safe());
        if let Some(path) = safe_path(&old, &new, NOW) {
            let mut before = &old;
            for after in &path {
                let assessment = assess(before, after, NOW);
                prop_assert!(assessment.is_safe(), "{assessment:?}\nfrom {}\nto {}", before.json, after.json);
                before = after;
            }
            prop_assert_eq!(&before.json, &new.json);
        }
    }

    #[test]
    fn a_new_release_straight_into_current_is_never_called_safe(
        (old, _) in neighbours(),
    ) {
        prop_assume!(old.config.current.is_some() && old.config.denied.is_empty());
        let mut root = old.json.clone();
        if let Some(releases) = root["releases"].as_array_mut() {
            releases.insert(0, serde_json::json!({"version": "4.0.0"}));
        }
        root["current"] = "4.0.0".into();
        let new = crate::shop::load(&root).expect("a right configuration");
        let accepts_it = old.config.releases.iter().any(|release| {
            release.state != State::Retired && release.accepts.iter().any(|pattern| {
                pattern.matches(&new.config.releases[0].version)
            })
        });
        prop_assert!(accepts_it || !assess(&old, &new, NOW).is_safe());
    }
}
