//! What tests and benchmarks send, and what the benchmarks measure with: requests as browsers send them, an
//! application's answers, configurations, a client and an upstream. `benches/cost` measures them in real Envoy,
//! `benches/decision` counts instructions, `make soak` sends them by the million.

pub mod answer;
pub mod browsers;
pub mod class;
pub mod client;
pub mod head;
pub mod plugin;
pub mod upstream;

/// Header lines in order, pseudo headers included, as Envoy hands them to a filter.
pub type Headers = Vec<(String, String)>;
