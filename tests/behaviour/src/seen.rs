//! What a host shows of a request and its answer.

use std::collections::BTreeMap;

/// Header lines in order.
pub type Lines = Vec<(String, Vec<u8>)>;

/// Counters by their tags, as in `v1-4-2 pinned api` and `v1-4-2 skewed`.
pub type Counts = BTreeMap<String, u64>;

/// What was seen of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request as it went on; none if the filter answered.
    pub received: Option<Lines>,
    /// The answer's status.
    pub status: u16,
    /// The answer's header lines.
    pub answer: Lines,
    /// The answer's body.
    pub body: Vec<u8>,
    /// The reason, for the access log.
    pub details: String,
    /// The tags of the counters that rose.
    pub counted: Vec<String>,
}

impl Seen {
    /// The tags of the counters that rose between these.
    #[must_use]
    pub fn risen(before: &Counts, after: &Counts) -> Vec<String> {
        let risen = after.iter().flat_map(|(tags, count)| {
            let before = before.get(tags).copied().unwrap_or_default();
            let by = usize::try_from(count - before).unwrap_or(usize::MAX);
            std::iter::repeat_n(tags.clone(), by)
        });
        risen.collect()
    }
}
