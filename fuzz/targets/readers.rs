//! Header values and header maps.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skew_guard_invariants::readers(bytes));
