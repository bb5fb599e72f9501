//! What the Helm chart makes of its values: which resources, which refusals, and that every step of a release's life is
//! one upgrade that a mesh may learn in any order.
//!
//! `make test-chart` builds Helm and runs it; the same in a real cluster is `tests/istio`.

mod gateway;
mod helm;
mod mesh;
mod plain;
mod refusals;
mod resources;
mod steps;
