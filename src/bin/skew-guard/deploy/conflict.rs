//! How Helm says that someone else has upgraded first.

/// Words that say so: those of the chart, which refuses another revision than the expected one; and Helm's own, where an
/// upgrade is under way (`errPending` in its `pkg/action`), or has just stored the same revision (`ErrReleaseExists` in
/// its `pkg/storage/driver`).
const WORDS: [&str; 3] = [
    "expectedRevision: revision",
    "another operation (install/upgrade/rollback) is in progress",
    "release: already exists",
];

/// Whether Helm failed because of that: the list is looked at again, and the step is chosen anew.
pub fn is_conflict(complaint: &str) -> bool {
    WORDS.iter().any(|words| complaint.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_exists_is_a_conflict_and_an_object_that_exists_is_not() {
        for (complaint, expected) in [
            ("UPGRADE FAILED: release: already exists", true),
            (
                "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
                true,
            ),
            (
                "UPGRADE FAILED: failed to create resource: destinationrules.networking.istio.io \"api\" already exists",
                false,
            ),
            (
                "UPGRADE FAILED: Unable to continue with update: VirtualService \"shop\" in namespace \"shop\" exists and cannot be imported into the current release",
                false,
            ),
        ] {
            assert_eq!(is_conflict(complaint), expected, "{complaint}");
        }
    }
}
