//! The memory of one VM: how much Envoy's resident memory grows with each.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skew_guard_lab::bootstrap::{self, Bootstrap, Plugin};
use skew_guard_lab::envoy::Envoy;

use crate::bench::Bench;
use crate::report::MemoryReport;
use skew_guard_traffic::plugin;

/// How many additional VM ids: enough to outweigh the differences between starts.
const MORE: u32 = 10;

/// Measures the VM of the empty filter and ours with the smallest and the largest configuration.
pub async fn measure(bench: &Bench) -> Result<Vec<MemoryReport>> {
    let modules = &bench.modules;
    let mut reports = vec![of(bench, "empty SDK filter", &modules.empty, None).await?];
    for (name, module) in &modules.ours {
        for (size, configuration) in plugin::sizes() {
            let what = format!("{name}, {size}");
            reports.push(of(bench, &what, module, Some(&configuration)).await?);
        }
    }
    Ok(reports)
}

async fn of(
    bench: &Bench,
    what: &str,
    module: &Path,
    configuration: Option<&Value>,
) -> Result<MemoryReport> {
    let few = usage(bench, module, configuration, 1).await?;
    let many = usage(bench, module, configuration, 1 + MORE).await?;
    let vms = many.vms.checked_sub(few.vms).context("fewer VMs")?;
    ensure!(vms > 0, "no more VMs with more VM ids");
    Ok(MemoryReport {
        what: what.into(),
        vms,
        kib: many.kib.saturating_sub(few.kib) / vms,
    })
}

struct Usage {
    vms: u64,
    kib: u64,
}

async fn usage(
    bench: &Bench,
    module: &Path,
    configuration: Option<&Value>,
    ids: u32,
) -> Result<Usage> {
    let filters: Vec<_> = (0..ids)
        .map(|id| {
            let plugin = Plugin::of(module).vm_id(&id.to_string());
            match configuration {
                Some(configuration) => plugin.configured(configuration).filter(),
                None => plugin.filter(),
            }
        })
        .collect();
    let listener = bootstrap::listener("memory", &filters, &[]);
    let envoy = bench
        .launch(&Bootstrap::of(vec![listener], Vec::new()))
        .await?;
    let vms = envoy.stat("wasm.envoy.wasm.runtime.v8.active").await?;
    Ok(Usage {
        vms: vms.context("no count of VMs")?,
        kib: resident(&envoy)?,
    })
}

fn resident(envoy: &Envoy) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", envoy.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.trim().parse()?)
}
