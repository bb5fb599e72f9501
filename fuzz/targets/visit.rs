//! A request under a configuration, and its answer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| skew_guard_invariants::visit(bytes));
