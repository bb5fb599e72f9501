//! Answers from pods of another release than the one asked for.

use crate::decision::{Action, Decision, Outcome};
use crate::policy::Policy;
use crate::request::Class;
use crate::version::Version;

/// The version that the answer to a request should have if the decision was carried out: the
/// client's if that was followed, otherwise the release's.
pub fn expected(decision: &Decision) -> Option<&Version> {
    let release = decision.release().map(|release| &release.version);
    match decision.outcome {
        Outcome::Pinned | Outcome::Compatible | Outcome::Preview => decision.client_version(),
        Outcome::Unknown => release.or(decision.client_version()),
        _ => release,
    }
}

/// The same where the decision is only counted: the mesh chose, and only a client that would have been
/// followed, or told to reload, is skewed.
pub fn expected_unenforced(decision: &Decision) -> Option<&Version> {
    let would_count = match decision.outcome {
        Outcome::Pinned | Outcome::Compatible | Outcome::Preview | Outcome::Unknown => true,
        Outcome::Gone => matches!(decision.action, Action::Reply(_)),
        _ => false,
    };
    decision.client_version().filter(|_| would_count)
}

/// Whether a pod of this version is neither the expected one nor accepts the expected version.
pub fn is_skewed(policy: &Policy, decision: &Decision, expected: &Version, pod: &Version) -> bool {
    let is_release = decision
        .release()
        .is_some_and(|release| release.version == *pod);
    pod != expected && !is_release && !accepts(policy, decision.class, pod, expected)
}

fn accepts(policy: &Policy, class: Class, pod: &Version, expected: &Version) -> bool {
    class != Class::Asset
        && policy
            .named(pod)
            .is_some_and(|release| release.accepts(expected))
}
