//! The namespaces that keep a cluster apart from the machine it runs on.
//!
//! A cluster wants well-known ports, addresses for its pods, and `/var/lib/istio`. In network, mount and process
//! namespaces of its own it has all that without touching the machine's, and the kernel kills every process of it
//! when the first one ends, for whatever reason.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Set for the process inside.
const INSIDE: &str = "SKEW_GUARD_ISOLATED";

/// The pods' address range. Kubernetes refuses loopback addresses as endpoints, so it cannot be 127/8.
pub(super) const POD_NETWORK: &str = "10.244.0.1/16";

/// Returns inside its own namespaces: outside, it starts this very program again within them and never returns.
///
/// Without root it makes a user namespace too, if the kernel allows that.
pub fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_none() {
        return Err(start_again_inside());
    }
    run("ip", ["link", "set", "lo", "up"])?;
    // On the loopback device, assigning an address makes its whole network local.
    run("ip", ["address", "add", POD_NETWORK, "dev", "lo"])
}

fn start_again_inside() -> anyhow::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error.into(),
    };
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ]);
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let error = unshare
        .arg("--")
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "yes")
        .exec();
    anyhow::Error::new(error).context("running unshare (Debian: util-linux)")
}

/// A command whose process has an empty `/var/lib` of its own, as a container would.
///
/// The agent keeps its Wasm modules in `/var/lib/istio/data`, a path that cannot be configured.
pub(super) fn with_own_state(program: &OsStr) -> Command {
    let mut command = Command::new("unshare");
    let prepare =
        "mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/istio/data && exec \"$0\" \"$@\"";
    command
        .args(["--mount", "--", "sh", "-c", prepare])
        .arg(program);
    command
}

fn run<const N: usize>(program: &str, arguments: [&str; N]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("running {program}"))?;
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{program} {}`: {problem}",
        arguments.join(" ")
    );
    Ok(())
}
