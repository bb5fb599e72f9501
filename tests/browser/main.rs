//! The demo shop behind real Envoy in a real browser: what a page can do while releases change.
//!
//! `make test-browser` installs Debian's Chromium and runs it. Assertions are made from within the page: what it
//! shows, what its scripts get, which of its files the browser accepts. Where possible, a test has a counterpart
//! without the filter in which the same page breaks, as proof that it would.
#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, as clippy.toml says of those that have the usual harness"
)]

mod application;
mod back;
mod caches;
mod demo;
mod demo_page;
mod entry;
mod frameworks;
mod kinds;
mod leaving;
mod next;
mod next_application;
mod old_tab;
mod other_origin;
mod page;
mod pwa;
mod retired;
mod rolling_update;
mod server;
mod shop;
mod speculation;
mod strangers;
mod tabs;
