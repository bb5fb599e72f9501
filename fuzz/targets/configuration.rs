//! A configuration, and whatever else might be stored in its place.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skew_guard_invariants::configuration(bytes));
