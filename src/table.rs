//! A request as a table of headers: one that a person describes, or that a model makes up.

use crate::request::Incoming;

/// A request, and the moment at which it arrives.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headers: Vec<(String, Vec<u8>)>,
    now: u64,
    drawn: u32,
}

impl Table {
    /// A request for a path of a host, at a time in seconds since 1970.
    #[must_use]
    pub fn new(method: &str, host: &str, target: &str, now: u64) -> Self {
        Self {
            headers: Vec::new(),
            now,
            drawn: 0,
        }
        .with(":method", method)
        .with(":authority", host)
        .with(":path", target)
    }

    /// The same with one more header line.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// The same with another path and query.
    #[must_use]
    pub fn to(mut self, target: &str) -> Self {
        self.headers.retain(|(name, _)| name != ":path");
        self.with(":path", target)
    }

    /// The same where this number would be drawn at random.
    #[must_use]
    pub fn drawing(self, drawn: u32) -> Self {
        Self { drawn, ..self }
    }

    /// The lines of a header, in order.
    fn lines<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t Vec<u8>> {
        self.headers
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value)
    }
}

impl Incoming for Table {
    fn first(&self, name: &str) -> Option<Vec<u8>> {
        self.lines(name).next().cloned()
    }

    fn every(&self, name: &str) -> Vec<Vec<u8>> {
        self.lines(name).cloned().collect()
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn draw(&self) -> u32 {
        self.drawn
    }
}
