//! Starts what skew-guard's demo, tests and benchmarks run on: real Envoy, pods, control planes.
//!
//! Everything is real and on loopback: [`envoy`] runs a downloaded Envoy binary with the module that [`module`]
//! builds, [`pods`] runs the demo application, [`xds`] holds the files through which a test changes endpoints, routes
//! and the filter's configuration while requests are under way, and [`load`] is a crowd of browser tabs that judges
//! each answer as the page behind it would; [`cluster`] runs the control planes of Kubernetes and Istio. Nothing
//! outlives the process that started it ([`process`]), and nothing waits for a fixed time where a condition can be
//! asked ([`wait`]).

pub mod bootstrap;
pub mod browser;
pub mod cargo;
pub mod cluster;
pub mod endurance;
pub mod envoy;
pub mod harness;
pub mod http;
pub mod images;
pub mod load;
pub mod markdown;
pub mod module;
pub mod picture;
pub mod pods;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod registry;
pub mod tool;
pub mod trap;
pub mod wait;
pub mod xds;
