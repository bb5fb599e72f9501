//! A step in a file.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skew_guard_invariants::edits(bytes));
