//! The head of an HTTP/1.1 message: its first line, and its header lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};

/// What differs from one message to the next, whatever the filters do.
const VOLATILE: [&str; 3] = ["date", "x-envoy-upstream-service-time", "x-request-id"];

/// Where the head ends, if all of it is there.
pub fn end_of(bytes: &[u8]) -> Option<usize> {
    let start = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(start + 4)
}

/// A message's head. Names are in lower case; a name may come several times.
#[derive(Default)]
pub struct Head {
    first_line: String,
    lines: BTreeMap<String, Vec<String>>,
}

impl Head {
    /// Parses it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let first_line = lines.next().context("an empty message")?.to_owned();
        let mut head = Self {
            first_line,
            lines: BTreeMap::new(),
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').context("a line without a colon")?;
            let values = head.lines.entry(name.to_ascii_lowercase()).or_default();
            values.push(value.trim().to_owned());
        }
        Ok(head)
    }

    /// The status, of an answer.
    pub fn status(&self) -> Option<u16> {
        self.first_line.split(' ').nth(1)?.parse().ok()
    }

    /// The first value of a header.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }

    /// Every value of a header.
    pub fn values(&self, name: &str) -> &[String] {
        self.lines.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The names of the headers that differ between this one and the other.
    pub fn differences(&self, other: &Self) -> BTreeSet<String> {
        self.lines
            .keys()
            .chain(other.lines.keys())
            .filter(|name| !VOLATILE.contains(&name.as_str()))
            .filter(|name| self.values(name) != other.values(name))
            .cloned()
            .collect()
    }
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.first_line)?;
        for (name, values) in &self.lines {
            for value in values {
                write!(formatter, "\n{name}: {value}")?;
            }
        }
        Ok(())
    }
}
