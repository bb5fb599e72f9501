//! What must be true of skew-guard whatever anybody sends, types or edits.
//!
//! A case is made of bytes ([`arbitrary`]), and judged by what stands in the configuration's JSON, in the request and
//! in the file: never by what the code under test made of them. `tests/safety` tries random cases in every run of the
//! tests, and the cases that `fuzz/corpus` keeps; `fuzz/` has libFuzzer look for more.
//!
//! A judge panics where a case is judged wrong.

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

/// Judges a case that is made of these bytes; bytes of which none can be made are none.
pub type Judge = fn(&[u8]);

/// What is fuzzed, by the name of the target.
pub const TARGETS: [(&str, Judge); 4] = [
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

// The tool's own code for files: it is a part of a program, and no public interface of the library.
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
