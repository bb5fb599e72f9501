//! Weighted releases: who goes where, and who moves when a weight changes.

use proptest::prelude::*;

use skew_guard_behaviour::{navigation, policy};

/// The version for the visitor of a bucket when these releases have these weights.
fn release_of(bucket: u32, weights: &[(usize, u64)]) -> Option<String> {
    let releases: Vec<_> = weights
        .iter()
        .map(|(release, _)| format!(r#"{{"version":"{release}.0.0"}}"#))
        .collect();
    let shares: Vec<_> = weights
        .iter()
        .map(|(release, weight)| format!(r#"{{"version":"{release}.0.0","weight":{weight}}}"#))
        .collect();
    let policy = policy(&format!(
        r#"{{"releases":[{}],"current":[{}],"pinCookie":{{"name":"pin"}}}}"#,
        releases.join(","),
        shares.join(",")
    ));
    let page = navigation("/").cookie(&format!("pin={bucket:08x}~1.0.0"));
    let release = page.decided_by(&policy)?.release().cloned()?;
    Some(release.version.to_string())
}

/// Two to five releases with weights, of which the first has one above 0.
fn weights() -> impl Strategy<Value = Vec<(usize, u64)>> {
    (1..=100_u64, prop::collection::vec(0..=100_u64, 1..5))
        .prop_map(|(first, others)| std::iter::once(first).chain(others).enumerate().collect())
}

proptest! {
    #[test]
    fn raising_a_weight_moves_visitors_only_towards_that_release(
        before in weights(),
        raised in any::<prop::sample::Index>(),
        by in 1..=1000_u64,
        bucket in any::<u32>(),
    ) {
        let raised = raised.index(before.len());
        let mut after = before.clone();
        after[raised].1 += by;
        let (from, to) = (release_of(bucket, &before), release_of(bucket, &after));
        let raised = Some(format!("{raised}.0.0"));
        prop_assert!(from == to || to == raised);
    }

    #[test]
    fn lowering_a_weight_moves_visitors_only_away_from_that_release(
        after in weights(),
        lowered in any::<prop::sample::Index>(),
        by in 1..=1000_u64,
        bucket in any::<u32>(),
    ) {
        let lowered = lowered.index(after.len());
        let mut before = after.clone();
        before[lowered].1 += by;
        let (from, to) = (release_of(bucket, &before), release_of(bucket, &after));
        let lowered = Some(format!("{lowered}.0.0"));
        prop_assert!(from == to || from == lowered);
    }

    #[test]
    fn the_order_of_the_list_moves_no_visitor(weights in weights(), bucket in any::<u32>()) {
        let reversed: Vec<_> = weights.iter().rev().copied().collect();
        prop_assert_eq!(release_of(bucket, &weights), release_of(bucket, &reversed));
    }
}

#[test]
fn shares_of_ten_thousand_visitors_are_within_two_points_of_the_weights() {
    let weights = [(1, 10), (2, 30), (3, 60)];
    let mut visitors = [0_i64; 4];
    // Buckets as drawn: spread over all numbers, by a sequence that is not one of our hashes.
    for bucket in (0..10_000_u32).map(|visitor| visitor.wrapping_mul(0x9e37_79b9)) {
        let release = release_of(bucket, &weights).expect("there is a current");
        visitors[usize::from(release.as_bytes()[0] - b'0')] += 1;
    }
    for (release, weight) in weights {
        let share = visitors[release] / 100;
        assert!(
            (share - weight as i64).abs() <= 2,
            "release {release} has {share} of {weight} points"
        );
    }
}
