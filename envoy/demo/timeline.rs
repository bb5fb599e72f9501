//! How a roll-out went, moment by moment.

use std::convert::Infallible;
use std::time::Duration;

use skew_guard_lab::load::Load;

use crate::site::Site;

/// Often enough for a curve, rarely enough not to disturb the measurement.
const PAUSE: Duration = Duration::from_millis(250);

/// A roll-out from beginning to end.
#[derive(Debug)]
pub struct Timeline {
    /// What was answered so far, at regular intervals.
    pub answers: Vec<Answers>,
    /// The pods, each time they changed.
    pub pods: Vec<Pods>,
}

/// What was answered up to a moment.
#[derive(Debug, Clone, Copy)]
pub struct Answers {
    /// Since the load began.
    pub elapsed: Duration,
    /// All answers.
    pub all: u64,
    /// Those from a release other than the page's.
    pub skewed: u64,
}

/// The pods from a moment on.
#[derive(Debug, Clone, Copy)]
pub struct Pods {
    /// Since the load began.
    pub elapsed: Duration,
    /// Pods of the first release.
    pub old: usize,
    /// Pods of the release that is rolled out.
    pub new: usize,
}

impl Pods {
    /// The pods that the gateway knows now.
    pub fn of(site: &Site, load: &Load) -> Self {
        let (old, new) = site.pods();
        Self {
            elapsed: load.tally().elapsed,
            old,
            new,
        }
    }
}

/// Records the answers until it is dropped.
pub async fn follow(load: &Load, answers: &mut Vec<Answers>) -> Infallible {
    loop {
        let tally = load.tally();
        answers.push(Answers {
            elapsed: tally.elapsed,
            all: tally.requests,
            skewed: tally.skewed,
        });
        tokio::time::sleep(PAUSE).await;
    }
}
