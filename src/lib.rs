//! skew-guard: a Proxy-Wasm filter for Envoy and Istio against version skew.
//!
//! While releases change, a page of one version must never be answered by a back end of another. The
//! filter reads the version that a request's client was built from, and writes the header by which the
//! mesh routes the request to any pod of the matching release.
//!
//! ```text
//!  configuration ─► config ──────► policy ─────────┐
//!                   all problems   as it is used   │
//!                                                  ▼
//!  request ───────► headers ─────► request ──► decision::rules ──► decision ──┬─► forwarded, with the
//!                   one read       class, host,   the rules        rule,      │   route header
//!                                  path, sources                   outcome,   └─► reply::local: answered
//!                                                                  action
//!                                                                     │
//!  answer ────────► reply::amend: hints, caches, pin cookie, reload ◄─┘
//! ```
//!
//! The modules below are in the order of that flow, and import only from those above them. Only
//! [`filter`] knows that there is a host, and only `proxy_wasm` knows which.

pub mod version;

pub mod headers;
pub mod request;

pub mod origin;
pub mod pin;
pub mod preview;
pub mod scope;
pub mod source;

pub mod config;
pub mod last_good;
pub mod policy;

pub mod decision;
pub mod reply;
pub mod telemetry;

pub mod filter;
pub mod host;
#[cfg(target_arch = "wasm32")]
mod proxy_wasm;

#[cfg(feature = "cli")]
pub mod rollout;
#[cfg(feature = "cli")]
pub mod table;
