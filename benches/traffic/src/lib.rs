//! What the benchmarks measure with: requests as browsers send them, an application's answers, and
//! configurations. `benches/cost` sends them through real Envoy, `benches/decision` counts instructions.

pub mod answer;
pub mod class;
pub mod plugin;

/// Header lines in order, pseudo headers included, as Envoy hands them to a filter.
pub type Headers = Vec<(String, String)>;
