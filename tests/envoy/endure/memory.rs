//! The memory of a running Envoy.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::lab::Lab;

/// One measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The process's resident memory, in KiB.
    pub resident: u64,
    /// How much of it Envoy's own code has allocated, in KiB.
    pub allocated: u64,
    /// The size of all VMs' memories, in KiB.
    pub vms: u64,
}

impl Memory {
    /// Measures it now.
    pub async fn of(lab: &Lab) -> Result<Self> {
        let process = format!("/proc/{}", lab.envoy().id());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let allocator = lab.envoy().admin_json("/memory").await?;
        let allocated = allocator["allocated"].as_str().context("allocated")?;
        Ok(Self {
            resident: kib(&status, "VmRSS:").context("VmRSS")?,
            allocated: allocated.parse::<u64>()? / 1024,
            vms: vm_memories(&fs::read_to_string(format!("{process}/maps"))?),
        })
    }
}

/// Judges memory that was one size after the warm-up, and is another at the end, both in KiB: it may have grown by no
/// more than that share.
pub fn grew_little(what: &str, before: u64, after: u64, most: f64) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let growth = after as f64 / before.max(1) as f64 - 1.0;
    ensure!(
        growth <= most,
        "the {what} grew from {before} to {after} KiB"
    );
    Ok(())
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// V8 reserves several GiB of addresses for each memory of WebAssembly, and makes as much of its beginning accessible
/// as the memory has grown to.
fn vm_memories(maps: &str) -> u64 {
    const RESERVED: u64 = 2 << 30;
    let areas: Vec<_> = maps.lines().filter_map(Area::read).collect();
    let pairs = areas.iter().zip(areas.iter().skip(1));
    pairs
        .filter(|(open, rest)| {
            open.is_open && !rest.is_open && rest.start == open.end && rest.size() > RESERVED
        })
        .map(|(open, _)| open.size() / 1024)
        .sum()
}

/// A line of `/proc/<process>/maps`: `start-end permissions …`.
struct Area {
    start: u64,
    end: u64,
    is_open: bool,
}

impl Area {
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        Some(Self {
            start: u64::from_str_radix(start, 16).ok()?,
            end: u64::from_str_radix(end, 16).ok()?,
            is_open: words.next()? == "rw-p",
        })
    }

    fn size(&self) -> u64 {
        self.end - self.start
    }
}
