//! What holds for every request, for all bytes, and for every step in a file; `skew_guard_invariants` judges.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use arbitrary::{Arbitrary, Unstructured};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use skew_guard_invariants::edits::{Asked, File, Made, make};
use skew_guard_invariants::visit::{Seen, Visit};
use skew_guard_invariants::{bytes, invariants};

/// Cases made of bytes; fewer and smaller bytes are simpler cases.
fn made_of_bytes<T: for<'b> Arbitrary<'b> + std::fmt::Debug>(
    most: usize,
) -> impl Strategy<Value = T> {
    proptest::collection::vec(any::<u8>(), most / 2..most)
        .prop_filter_map("enough bytes", |bytes| {
            T::arbitrary(&mut Unstructured::new(&bytes)).ok()
        })
}

/// The outcomes of visits under valid configurations.
fn seen() -> impl Strategy<Value = Seen> {
    made_of_bytes::<Visit>(600).prop_filter_map("a right configuration", |visit| visit.make())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_as_route_is_always_a_configured_one(seen in seen()) {
        invariants::route_is_a_configured_one(&seen);
    }

    #[test]
    fn the_clients_own_route_header_never_survives_in_scope(seen in seen()) {
        invariants::own_route_header_never_survives(&seen);
    }

    #[test]
    fn nothing_outside_the_scope_changes(seen in seen()) {
        invariants::outside_the_scope_nothing_changes(&seen);
    }

    #[test]
    fn a_pinned_request_is_never_sent_to_a_release_that_does_not_serve_it(seen in seen()) {
        invariants::a_pinned_request_is_served(&seen);
    }

    #[test]
    fn an_answer_never_holds_bytes_of_the_client_outside_their_escaped_place(seen in seen()) {
        invariants::own_answers_hold_nothing_of_the_client(&seen);
        invariants::changed_answers_hold_nothing_of_the_client(&seen);
    }

    #[test]
    fn no_client_adds_a_time_series(seen in seen()) {
        invariants::metrics_name_what_is_configured(&seen);
    }

    #[test]
    fn no_header_value_misleads_a_reader(value in made_of_bytes::<Visit>(600)) {
        bytes::readers(format!("{value:?}").as_bytes());
    }

    #[test]
    fn a_step_made_in_a_file_means_what_was_asked_and_keeps_every_other_byte(
        file in made_of_bytes::<File>(200),
        asked in proptest::collection::vec(made_of_bytes::<Asked>(8), 1..4),
    ) {
        let mut text = file.text().to_owned();
        for asked in &asked {
            match make(&text, asked) {
                Made::File(after) => text = after,
                Made::NoStep => {}
                Made::NoFile => panic!("the file is right:\n{text}"),
                // On the line of a removed key.
                Made::Declined(why) if why.contains("a comment would be lost") => {}
                Made::Declined(why) => panic!("{why}: {asked:?} in\n{text}"),
            }
        }
    }
}

/// Otherwise the invariants would say little.
#[test]
fn the_random_cases_cover_every_kind() {
    let mut runner = TestRunner::deterministic();
    let mut kinds = BTreeMap::<String, usize>::new();
    for _ in 0..2_000 {
        let seen = seen().new_tree(&mut runner).expect("a case").current();
        let own = seen.reply.as_ref().map(|reply| reply.details.to_owned());
        let counted = seen.outcomes().map(|(outcome, _)| outcome.to_owned());
        let is_amended = seen.reply.is_none() && seen.received != seen.answered;
        for kind in counted
            .chain(own)
            .chain(is_amended.then(|| "amended".to_owned()))
        {
            *kinds.entry(kind).or_default() += 1;
        }
        if seen.outcomes().next().is_none() {
            *kinds.entry("untouched".to_owned()).or_default() += 1;
        }
    }
    for kind in [
        "amended",
        "compatible",
        "current",
        "gone",
        "invalid",
        "pinned",
        "preview",
        "uncovered",
        "unknown",
        "unversioned",
        "skew_guard_denied",
        "skew_guard_preview",
        "skew_guard_retired",
        "skew_guard_unknown",
        "untouched",
    ] {
        assert!(
            kinds.get(kind).is_some_and(|count| *count > 0),
            "{kind}: {kinds:?}"
        );
    }
}

/// The cases that libFuzzer found interesting, and those that once failed.
#[test]
fn no_case_that_the_fuzzers_keep_fails() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut judged = 0;
    for (target, judge) in skew_guard_invariants::TARGETS {
        let folder = corpora.join(target);
        let cases = fs::read_dir(&folder).expect("a corpus of each target");
        for case in cases {
            let path = case.expect("a file").path();
            let bytes = fs::read(&path).expect("a file");
            assert!(
                std::panic::catch_unwind(|| judge(&bytes)).is_ok(),
                "{}",
                path.display()
            );
            judged += 1;
        }
    }
    assert!(judged >= skew_guard_invariants::TARGETS.len());
}
