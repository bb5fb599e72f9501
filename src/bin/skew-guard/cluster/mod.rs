//! The cluster, as the tool sees it: through the user's `kubectl`, and nothing else.
//!
//! ```text
//! Access ──► Kubectl ──► Installation ──► Gateways ──► Connections ──► a gateway's metrics, or a request
//! (options)  (runs it)   (what the        (the Pods    (port-forward, else
//!                         chart made)      of now)      the API server's proxy)
//! ```
//!
//! A command that asks the cluster flattens [`Access`] into its options (`--kubeconfig`, `--context`, `--namespace`),
//! and runs everything by the one [`Kubectl`] that [`Kubectl::find`] makes of it:
//!
//! - [`Kubectl::list`], [`Kubectl::object`] and [`Kubectl::get`] read objects into any type that serde can make (those
//!   that several commands read are in [`objects`]); [`Kubectl::raw`] reads a path of the API;
//!   [`Kubectl::run`] does everything else. Each answers a [`Problem`] that says in one line
//!   what went wrong; [`Problem::is_transient`] tells what a patient command waits for from what it ends with.
//! - [`Installation::of`] reads what one Helm release of the chart has put into the cluster: its plugins, their
//!   selectors and configuration, the revision, and what the routes are called.
//! - [`Gateways::list`] answers the Pods that run the plugin, afresh at each call.
//! - [`Listener::all`] answers the ports of those Pods by which visitors of the installation come in.
//! - [`service`] finds the Pods behind a service.
//! - [`Connections`] asks one of them: [`Connections::metrics`], or [`Connections::port`] for a port of it on this machine.

mod access;
pub mod connections;
mod gateways;
pub mod image;
mod installation;
pub mod istiod;
mod kubectl;
mod listeners;
pub mod objects;
mod port_forward;
mod problem;
pub mod service;

pub use access::Access;
pub use connections::Connections;
pub use gateways::{Gateway, Gateways};
pub use installation::{GatewayReference, Installation, Plugin};
pub use kubectl::{Kubectl, Scope};
pub use listeners::Listener;
pub use problem::Problem;
