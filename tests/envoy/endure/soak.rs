//! Requests of all classes, for as long as it takes, and what Envoy has in memory meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use skew_guard_lab::picture::{self, Body, Panel, Place, Plot, Series, Shape, colour};
use skew_guard_traffic::class::{ALL, Answer, Class};
use skew_guard_traffic::client::Client;
use skew_guard_traffic::plugin::{self, Style};
use skew_guard_traffic::upstream::Upstream;

use super::memory::Memory;
use super::report::{publish, size, table};
use crate::behaviour::{Behaviour, behaviours};
use crate::fail_strategies::traps;
use crate::gateway::{Gateway, Spec};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![requests_of_all_classes_leave_nothing_in_memory];

/// How many requests are sent where nobody says another number.
const USUALLY: u64 = 24_000;

/// How many of a class are sent in a turn.
const TURN: usize = 400;

/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// From how many requests on growth is judged: before, all is still warming up.
const MANY: u64 = 500_000;

/// How much the process may grow by from the first quarter to the end.
const MOST_GROWTH: f64 = 0.03;

/// How many rows the table has.
const ROWS: usize = 16;

async fn requests_of_all_classes_leave_nothing_in_memory(lab: &Lab) -> Result<()> {
    let requests = size("SOAK_REQUESTS", USUALLY)?;
    let lab = lab.another(2, &[]).await?;
    let upstream = Upstream::start()?;
    lab.serve_application_at(upstream.address()).await?;
    let mut gateways = Vec::new();
    for class in ALL {
        gateways.push((class, open(&lab, class).await?));
    }
    let listeners: Vec<_> = gateways
        .iter()
        .map(|(class, gateway)| (*class, gateway.address()))
        .collect();
    let sent = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let counter = Arc::clone(&sent);
    let over = Arc::clone(&is_over);
    let load = tokio::task::spawn_blocking(move || {
        let outcome = send(&listeners, requests, &counter);
        over.store(true, Ordering::Relaxed);
        outcome
    });
    let mut looks = Vec::new();
    let started = Instant::now();
    loop {
        let ends = is_over.load(Ordering::Relaxed);
        looks.push(Look {
            second: started.elapsed().as_secs_f64(),
            sent: sent.load(Ordering::Relaxed),
            memory: Memory::of(&lab).await?,
        });
        if ends {
            break;
        }
        tokio::time::sleep(EVERY).await;
    }
    load.await??;
    publish("soak.md", &rows(&looks))?;
    publish("soak.svg", &drawn(&looks)?)?;
    ensure!(
        !traps(&lab),
        "something trapped:\n{}",
        lab.envoy().log_tail()
    );
    if requests >= MANY {
        judge(&looks)?;
    }
    Ok(())
}

/// A look at memory.
#[derive(Clone, Copy)]
struct Look {
    second: f64,
    sent: u64,
    memory: Memory,
}

async fn open<'l>(lab: &'l Lab, class: &Class) -> Result<Gateway<'l>> {
    let style = class.styles().last().copied().unwrap_or(Style::Plain);
    let configuration = plugin::configuration(style, 20, class.keys());
    let spec = Spec::of(lab, &format!("soak-{}", class.name))?;
    let spec = spec.configured(&json!(configuration))?;
    spec.one_route_to("application").open(lab).await
}

/// Each class in its turn, until so many requests were answered.
fn send(
    listeners: &[(&Class, std::net::SocketAddr)],
    requests: u64,
    sent: &AtomicU64,
) -> Result<()> {
    let mut clients = Vec::new();
    for (class, listener) in listeners {
        clients.push((class, class.request(), Client::connect(*listener)?));
    }
    while sent.load(Ordering::Relaxed) < requests {
        for (class, request, client) in &mut clients {
            let status = if class.answer == Answer::Own {
                409
            } else {
                200
            };
            let answered = client.send(request, TURN, status)?;
            sent.fetch_add(u64::try_from(answered)?, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn judge(looks: &[Look]) -> Result<()> {
    let (Some(warm), Some(end)) = (looks.get(looks.len() / 4), looks.last()) else {
        return Ok(());
    };
    for (what, before, after) in [
        ("process", warm.memory.resident, end.memory.resident),
        ("VMs", warm.memory.vms, end.memory.vms),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let growth = after as f64 / before.max(1) as f64 - 1.0;
        ensure!(
            growth <= MOST_GROWTH,
            "the {what} grew from {before} to {after} KiB"
        );
    }
    Ok(())
}

fn rows(looks: &[Look]) -> String {
    let step = looks.len().div_ceil(ROWS).max(1);
    let last = looks.len().saturating_sub(1);
    let shown = looks
        .iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || *index == last);
    let rows = shown.map(|(_, look)| {
        vec![
            format!("{:.0}", look.second),
            look.sent.to_string(),
            mib(look.memory.resident),
            mib(look.memory.allocated),
            mib(look.memory.vms),
        ]
    });
    let heading = [
        "second",
        "requests",
        "process, MiB",
        "allocated, MiB",
        "VMs, MiB",
    ];
    format!("{}\n", table(&heading, rows))
}

fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}

fn drawn(looks: &[Look]) -> Result<String> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let series = |name: &str, colour, value: fn(&Memory) -> u64| Series {
        name: name.into(),
        colour,
        points: looks
            .iter()
            .map(|look| (look.second, value(&look.memory) as f64 / 1024.0))
            .collect(),
    };
    let series = vec![
        series("process", colour::BLUE, |memory| memory.resident),
        series("allocated by Envoy", colour::VERMILION, |memory| {
            memory.allocated
        }),
        series("VMs", colour::ORANGE, |memory| memory.vms),
    ];
    let values = series.iter().flat_map(|series| series.points.iter());
    let ceiling = values.map(|(_, value)| *value).fold(1.0, f64::max) * 1.2;
    let requests = looks.last().map_or(0, |look| look.sent);
    let panel = Panel {
        place: Place {
            left: 0,
            top: 0,
            width: 900,
            height: 420,
        },
        title: format!("Memory under {requests} requests of all classes, MiB"),
        note: String::new(),
        body: Body::Plot(Plot {
            shape: Shape::Line,
            series,
            seconds: looks.last().map_or(1.0, |look| look.second.max(1.0)),
            ceiling: ceiling.ceil(),
            label: Box::new(|mib| mib.to_string()),
        }),
    };
    picture::svg(900, 420, &[panel])
}
