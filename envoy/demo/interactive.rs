//! The shop for demonstrations: eight pods behind Envoy, and a page whose buttons really deploy, guard and retire.
//!
//! Buttons change the [`desired_state`] at once. A loop brings the [`fleet`] and the filter's
//! configuration there, a step at a time, like a Kubernetes controller: so a button may be pressed twice, from
//! two tabs, or while something else is under way.

mod controller;
mod controls;
mod desired_state;
mod explain;
mod fleet;
mod gateway;
mod same_origin;
mod snapshot;
mod visitors;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::tool;
use tokio::net::TcpListener;
use tokio::signal;

use controller::Controller;
use desired_state::{DesiredState, Key, STAGED};
use fleet::Fleet;
use gateway::Gateway;

use crate::site::{NEW, OLD};

/// Starts everything, prints where it is, and ends it all on Ctrl-C.
pub async fn run(pages: &Path, listen: SocketAddr, admin: SocketAddr) -> Result<ExitCode> {
    for address in [listen, admin] {
        ensure!(
            address.ip().is_loopback(),
            "{address}: whoever reaches the demo can press its buttons, so it only listens on loopback"
        );
    }
    check_pages(pages)?;
    let tool = tool::path()?;
    let controls = TcpListener::bind("127.0.0.1:0").await?;
    let desired = DesiredState::new(Key::random()?);
    let gateway = Gateway::start(listen, admin, controls.local_addr()?, &desired).await?;
    let fleet = Fleet::start(&desired, pages, &gateway).await?;
    let controller = Arc::new(Controller::new(desired, gateway, &fleet, tool)?);
    let buttons = controls::serve(controls, Arc::clone(&controller));
    println!("{}", invitation(&controller));
    tokio::select! {
        interrupted = signal::ctrl_c() => interrupted.context("waiting for Ctrl-C")?,
        ended = controller.follow(fleet) => ended?,
        ended = buttons => ended?,
    }
    Ok(ExitCode::SUCCESS)
}

fn check_pages(pages: &Path) -> Result<()> {
    for version in [OLD, NEW, STAGED] {
        let page = pages.join(version).join("index.html");
        ensure!(
            page.is_file(),
            "there is no {}; `make up` builds the pages of {OLD}, {NEW} and {STAGED}",
            page.display()
        );
    }
    Ok(())
}

fn invitation(controller: &Controller) -> String {
    let gateway = controller.gateway.address();
    let admin = controller.gateway.envoy().admin();
    format!(
        "\
Open http://{gateway} in a browser: the page there is the demo.
Its first button deploys 2.0.0 over 1.4.2, its second turns skew-guard on, its third retires 1.4.2.

Worth trying, when 2.0.0 is deployed and skew-guard is on:
  curl -s http://{gateway}/api/cart                                  # no version: the current release
  curl -s -H 'x-bundle-version: 1.4.2' http://{gateway}/api/cart     # a page of 1.4.2: always a pod of 1.4.2
  curl -s http://{admin}/stats/prometheus | grep '^skew_guard'       # what the filter counted

Ctrl-C ends everything."
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_page_that_is_missing_is_named() -> Result<()> {
        let pages = TempDir::new()?;
        for version in [OLD, NEW] {
            fs::create_dir(pages.path().join(version))?;
            fs::write(pages.path().join(version).join("index.html"), "")?;
        }
        let problem = check_pages(pages.path()).map_err(|problem| problem.to_string());
        let expected = format!(
            "there is no {}/2.1.0/index.html; `make up` builds the pages of 1.4.2, 2.0.0 and 2.1.0",
            pages.path().display()
        );
        assert_eq!(problem, Err(expected));
        Ok(())
    }
}
