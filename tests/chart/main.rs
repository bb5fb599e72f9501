//! What the Helm chart makes of its values: resources, refusals, and that every step of a release's life is
//! one upgrade that a mesh may learn in any order.
//!
//! `make test-chart` builds Helm and runs this; `tests/istio` does the same in real clusters.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a key that a resource does not have reads as null, and a test panics to fail"
)]

// The tool's own, which is part of a program and not of the library's public interface.
#[path = "../../src/bin/skew-guard/deploy/conflict.rs"]
mod conflict;
mod gateway;
mod gateways;
mod helm;
mod mesh;
mod notes;
mod plain;
mod readme;
mod refusals;
mod resources;
mod size;
mod steps;
mod tenants;
