//! skew-guard: a Proxy-Wasm filter for Envoy and Istio against version skew.

pub mod config;
pub mod decision;
pub mod filter;
pub mod host;
pub mod pin;
pub mod policy;
pub mod preview;
pub mod reply;
pub mod request;
#[cfg(feature = "cli")]
pub mod rollout;
pub mod scope;
pub mod source;
#[cfg(feature = "cli")]
pub mod table;
pub mod telemetry;
pub mod version;
