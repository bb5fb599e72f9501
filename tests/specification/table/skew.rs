//! Answers from another release than the one asked.

use serde_json::{Value, json};
use skew_guard::telemetry::AnswerKind::Skewed;
use skew_guard_behaviour::{
    answer, behaviours, call, fetch, json, mesh, navigation, script, shop, with,
};

fn named(keys: Value) -> Value {
    with(
        with(
            shop(),
            json!({ "upstreamVersion": { "responseHeader": "x-app-version" } }),
        ),
        keys,
    )
}

behaviours! {
    an_answer_of_another_release_is_counted_and_not_changed {
        under(named(json!({}))) {
            call("1.4.2"), json().of("2.0.0") => answer(200).body("{}").counted_answer("v1-4-2", Skewed);
            call("1.4.2"), json().of("1.4.2") => answer(200).no_counted_answer();
            call("1.4.2"), json().of("") => answer(200).no_counted_answer();
        }
    }

    a_release_that_accepts_the_version_is_no_skew {
        under(named(json!({}))) {
            call("1.9.1"), json().of("2.0.0") => answer(200).no_counted_answer();
            call("1.9.1"), json().of("1.4.2") => answer(200).counted_answer("v2-0-0", Skewed);
        }
        under(with(mesh(), json!({
            "releases": [{ "version": "2.0.0", "route": "v2", "accepts": ["1.4.*"] }, { "version": "1.4.2", "route": "v1" }],
            "upstreamVersion": { "responseHeader": "x-app-version" },
            "enforce": false,
        }))) {
            fetch("/a?dpl=1.4.2"), json().of("2.0.0") => answer(200).no_counted_answer();
            // Only API calls are accepted.
            script("/a.js?dpl=1.4.2"), json().of("2.0.0") => answer(200).counted_answer("v1", Skewed);
        }
    }

    a_page_from_another_release_than_current_is_counted_as_skewed {
        under(named(json!({}))) {
            navigation("/"), json().of("1.4.2") => answer(200).counted_answer("v2-0-0", Skewed);
            navigation("/?dpl=1.4.2"), json().of("2.0.0") => answer(200).no_counted_answer();
        }
    }

    an_observer_counts_the_skew_that_enforcing_prevents {
        under(named(json!({ "enforce": false }))) {
            call("1.4.2"), json().of("2.0.0") => answer(200).counted_answer("v1-4-2", Skewed);
            call("1.3.0"), json().of("2.0.0") => answer(200).counted_answer("none", Skewed);
            navigation("/"), json().of("1.4.2") => answer(200).no_counted_answer();
        }
    }
}
