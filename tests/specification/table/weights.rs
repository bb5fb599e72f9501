//! Visitors divided among several current releases.

use serde_json::{Value, json};
use skew_guard::decision::Outcome::{Pinned, Uncovered};
use skew_guard_behaviour::{Load, behaviours, fetch, load, navigation, script, to};

fn weighted(old: u64, new: u64) -> Value {
    json!({
        "releases": [{ "version": "2.0.0", "route": "new" }, { "version": "1.4.2", "route": "old" }],
        "current": [{ "version": "1.4.2", "weight": old }, { "version": "2.0.0", "weight": new }],
        "pinCookie": { "name": "pin" },
    })
}

behaviours! {
    nobody_moves_but_at_a_navigation {
        under(weighted(100, 0)) {
            for kind in [Load::Fetch, Load::Script, Load::Frame, Load::FormPost] {
                load(kind, "/api").cookie("pin=00000007~1.4.2") => to("old").counted(Pinned);
            }
        }
        under(weighted(0, 100)) {
            for kind in [Load::Fetch, Load::Script, Load::Frame, Load::FormPost] {
                load(kind, "/api").cookie("pin=00000007~1.4.2") => to("old").counted(Pinned);
            }
            navigation("/").cookie("pin=00000007~1.4.2") => to("new");
        }
    }

    what_has_neither_version_nor_bucket_takes_the_heaviest_the_first_on_a_tie {
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
