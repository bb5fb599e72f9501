//! Starts what the demo, the tests and the benchmarks of skew-guard run on: real Envoy, pods, control planes.
