//! Requests of all classes, for as long as it takes, and Envoy's memory meanwhile.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde_json::json;
use skew_guard_lab::endurance::{keep, publish, size, table};
use skew_guard_lab::picture::{self, Body, Panel, Place, Plot, Series, Shape, colour};
use skew_guard_traffic::class::{ALL, Answer, Class};
use skew_guard_traffic::client::Client;
use skew_guard_traffic::plugin::{self, Style};
use skew_guard_traffic::upstream::Upstream;
use tokio::task::JoinSet;

use super::memory::{Memory, grew_little};
use crate::behaviour::{Behaviour, behaviours};
use crate::fail_strategies::traps;
use crate::gateway::{Gateway, Spec};
use crate::lab::Lab;

pub const BEHAVIOURS: &[Behaviour] = behaviours![requests_of_all_classes_leave_nothing_in_memory];

/// The default number of requests.
const USUALLY: u64 = 24_000;

/// The default time limit in minutes: none.
const MINUTES: u64 = 7 * 24 * 60;

/// How many requests of a kind are under way at once: enough to give Envoy work whenever a busy machine lets it run
/// for a moment.
const AT_ONCE: usize = 32;

/// How often memory is measured.
const EVERY: Duration = Duration::from_secs(2);

/// After how many measurements the table and the picture are written, in case a long run is ended early.
const LOOKS_BETWEEN: usize = 30;

/// With fewer requests the growth of the process is not judged: all but the VMs is still warming up.
const MANY: u64 = 500_000;

/// By which share memory may grow from the first quarter of the requests to the end.
const MOST_GROWTH: f64 = 0.03;

/// How many rows the table has.
const ROWS: usize = 16;

async fn requests_of_all_classes_leave_nothing_in_memory(lab: &Lab) -> Result<()> {
    let requests = size("SOAK_REQUESTS", USUALLY)?;
    let minutes = size("SOAK_MINUTES", MINUTES)?;
    let lab = lab.another(2, &[]).await?;
    let upstream = Upstream::start()?;
    lab.serve_application_at(upstream.address()).await?;
    let mut kinds = Vec::new();
    let mut gateways = Vec::new();
    for class in ALL {
        let gateway = open(&lab, class).await?;
        kinds.push(Kind::of(class, gateway.address()));
        gateways.push(gateway);
    }
    let any = gateways.first().map(Gateway::address);
    kinds.extend(any.into_iter().flat_map(Kind::others));

    let meter = Arc::new(Meter::default());
    let mut load = JoinSet::new();
    for kind in kinds {
        let meter = Arc::clone(&meter);
        load.spawn_blocking(move || kind.send(requests, &meter));
    }
    let mut looks = Vec::new();
    let started = Instant::now();
    while !load.is_empty() {
        looks.push(Look::at(&lab, started, &meter).await?);
        if looks.len() % LOOKS_BETWEEN == 0 {
            keep("soak.md", &rows(&looks))?;
            keep("soak.svg", &drawn(&looks)?)?;
        }
        if started.elapsed() > Duration::from_secs(minutes * 60) {
            meter.end();
        }
        tokio::time::sleep(EVERY).await;
        while let Some(ended) = load.try_join_next() {
            ended?.inspect_err(|_| meter.end())?;
        }
    }
    looks.push(Look::at(&lab, started, &meter).await?);
    publish("soak.md", &rows(&looks))?;
    keep("soak.svg", &drawn(&looks)?)?;
    ensure!(
        !traps(&lab),
        "something trapped:\n{}",
        lab.envoy().log_tail()
    );
    judge(&looks)
}

/// How many requests were answered, and whether it is enough.
#[derive(Default)]
struct Meter {
    answered: AtomicU64,
    is_over: AtomicBool,
}

impl Meter {
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self, requests: u64) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.answered() >= requests
    }
}

/// Requests of one kind.
struct Kind {
    listener: SocketAddr,
    /// The request of each turn.
    request: Box<dyn Fn(u64) -> Vec<u8> + Send>,
    status: u16,
}

impl Kind {
    fn of(class: &Class, listener: SocketAddr) -> Self {
        let request = class.request();
        Self {
            listener,
            request: Box::new(move |_| request.clone()),
            status: if class.answer == Answer::Own {
                409
            } else {
                200
            },
        }
    }

    /// What the benchmarks have no class for. A value that is new each time would stay in anything that remembers it.
    fn others(listener: SocketAddr) -> [Self; 4] {
        let asked = |lines: fn(u64) -> String, status| Self {
            listener,
            request: Box::new(move |turn| {
                let lines = lines(turn);
                format!(
                    "GET /api/cart?turn={turn} HTTP/1.1\r\nhost: {}\r\n{lines}\r\n",
                    plugin::HOST
                )
                .into_bytes()
            }),
            status,
        };
        [
            asked(
                |_| "sec-fetch-mode: navigate\r\nsec-fetch-dest: iframe\r\n".into(),
                200,
            ),
            asked(|_| "user-agent: curl/8\r\n".into(), 200),
            asked(|turn| format!("x-bundle-version: 7.{turn}.0\r\n"), 409),
            asked(|turn| format!("x-bundle-version: ;{turn}\r\n"), 200),
        ]
    }

    /// Turns of requests, until enough of all kinds were answered.
    fn send(&self, requests: u64, meter: &Meter) -> Result<()> {
        let mut client = Client::connect_often(self.listener, AT_ONCE)?;
        for turn in 0.. {
            if meter.is_over(requests) {
                break;
            }
            let answered = client.send(&(self.request)(turn), AT_ONCE, self.status)?;
            meter
                .answered
                .fetch_add(u64::try_from(answered)?, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A measurement of memory.
#[derive(Clone, Copy)]
struct Look {
    second: f64,
    sent: u64,
    memory: Memory,
}

impl Look {
    async fn at(lab: &Lab, started: Instant, meter: &Meter) -> Result<Self> {
        Ok(Self {
            second: started.elapsed().as_secs_f64(),
            sent: meter.answered(),
            memory: Memory::of(lab).await?,
        })
    }
}

async fn open<'l>(lab: &'l Lab, class: &Class) -> Result<Gateway<'l>> {
    let style = class.styles().last().copied().unwrap_or(Style::Plain);
    let configuration = plugin::configuration(style, 20, class.keys());
    let spec = Spec::of(lab, &format!("soak-{}", class.name))?;
    let spec = spec.configured(&json!(configuration))?;
    spec.one_route_to("application").open(lab).await
}

fn judge(looks: &[Look]) -> Result<()> {
    let Some(end) = looks.last() else {
        bail!("nobody looked");
    };
    let warm = looks.iter().find(|look| look.sent >= end.sent / 4);
    let warm = warm.map_or(end.memory, |look| look.memory);
    grew_little("VMs", warm.vms, end.memory.vms, MOST_GROWTH)?;
    if end.sent >= MANY {
        grew_little("process", warm.resident, end.memory.resident, MOST_GROWTH)?;
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
            left: 10,
            top: 10,
            width: 880,
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
    picture::svg(900, 440, &[panel])
}
