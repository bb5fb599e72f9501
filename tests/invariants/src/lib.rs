//! What must hold for skew-guard whatever anybody sends, types or edits.
//!
//! A case is made of bytes ([`arbitrary`]), and judged by what is in the configuration's JSON, in the request and
//! in the file: never by what the code under test made of them. `tests/safety` tries random cases in every run of the
//! tests, and the cases that `fuzz/corpus` keeps; `fuzz/` has libFuzzer look for more.
//!
//! A judge panics if a case is wrong.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "an invariant that does not hold is to end there"
)]

use arbitrary::{Arbitrary, Unstructured};

pub mod bytes;
pub mod edits;
pub mod host;
pub mod invariants;
pub mod setup;
pub mod visit;

pub use bytes::{configuration, readers};

/// Judges the case that is made of these bytes, if one can be made.
pub type FuzzTarget = fn(&[u8]);

/// What is fuzzed, by target name.
pub const TARGETS: [(&str, FuzzTarget); 4] = [
    ("configuration", configuration),
    ("readers", readers),
    ("visit", visit),
    ("edits", edits),
];

/// A request under a configuration, and its answer.
pub fn visit(bytes: &[u8]) {
    let visit = visit::Visit::arbitrary(&mut Unstructured::new(bytes));
    if let Some(seen) = visit.ok().and_then(|visit| visit.make()) {
        invariants::judge(&seen);
    }
}

/// A step in a file: the first bytes are the step, the others the file.
pub fn edits(bytes: &[u8]) {
    const STEP: usize = 8;
    let Some((step, text)) = bytes.split_at_checked(STEP) else {
        return;
    };
    if let (Ok(asked), Ok(text)) = (
        edits::Asked::arbitrary(&mut Unstructured::new(step)),
        std::str::from_utf8(text),
    ) {
        let _judged = edits::make(text, &asked);
    }
}

// The tool's own code for files, which is part of a program and not of the library's public interface.
#[path = "../../../src/bin/skew-guard/document.rs"]
#[allow(dead_code, missing_docs, reason = "the tool uses all of it")]
mod document;
#[path = "../../../src/bin/skew-guard/documents.rs"]
#[allow(dead_code, missing_docs, reason = "the tool uses all of it")]
mod documents;
#[path = "../../../src/bin/skew-guard/edit.rs"]
#[allow(dead_code, missing_docs, reason = "the tool uses all of it")]
mod edit;
#[path = "../../../src/bin/skew-guard/envoy.rs"]
#[allow(dead_code, missing_docs, reason = "the tool uses all of it")]
mod envoy;
#[path = "../../../src/bin/skew-guard/yaml.rs"]
#[allow(dead_code, missing_docs, reason = "the tool uses all of it")]
mod yaml;
