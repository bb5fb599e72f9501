//! Visitors divided among several current releases.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Pinned, Uncovered};
use skew_guard_behaviour::{Load, behaviours, fetch, load, script, to};

fn weighted(old: u64, new: u64) -> Value {
    json!({
        "releases": [{ "version": "2.0.0", "route": "new" }, { "version": "1.4.2", "route": "old" }],
        "current": [{ "version": "1.4.2", "weight": old }, { "version": "2.0.0", "weight": new }],
        "pinCookie": { "name": "pin" },
    })
}

behaviours! {
    only_a_navigation_moves_a_visitor {
        under(weighted(100, 0)) {
            for kind in [Load::Fetch, Load::Script, Load::Frame, Load::FormPost] {
                load(kind, "/api").cookie("pin=00000007~1.4.2") => to("old").counted(Pinned);
            }
        }
        under(weighted(0, 100)) {
            for kind in [Load::Fetch, Load::Script, Load::Frame, Load::FormPost] {
                load(kind, "/api").cookie("pin=00000007~1.4.2") => to("old").counted(Pinned);
            }
            for kind in [Load::Navigation, Load::Reload] {
                load(kind, "/").cookie("pin=00000007~1.4.2") => to("new");
            }
        }
    }

    a_request_with_neither_version_nor_bucket_goes_to_the_heaviest_release_or_the_first_of_equals {
        under(weighted(50, 50)) {
            for kind in [Load::Fetch, Load::Script, Load::Frame] {
                load(kind, "/api") => to("old").counted(Uncovered);
            }
        }
        under(weighted(49, 51)) {
            fetch("/api") => to("new").counted(Uncovered);
            script("/a.js") => to("new").counted(Uncovered);
        }
    }
}
