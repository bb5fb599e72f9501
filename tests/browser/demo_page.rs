//! The demo as `make up` runs it, on free ports, and helpers for its page.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skew_guard_lab::browser::{Browser, Screen};
use skew_guard_lab::process::Process;
use skew_guard_lab::{cargo, http, wait};

/// The screen that it is most often shown on: a projector.
pub const PROJECTOR: Screen = Screen {
    width: 1280,
    height: 720,
    dark: false,
};

/// The running demo.
pub struct Demo {
    process: Process,
    gateway: SocketAddr,
    admin: SocketAddr,
    client: reqwest::Client,
}

impl Demo {
    /// Starts the demo, whose page `make test-browser` has built.
    pub async fn start() -> Result<Self> {
        let mut command = Command::new(cargo::example("demo")?);
        command
            .args(["up", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .arg("--pages")
            .arg(cargo::target().join("demo-pages"));
        let mut process = Process::start_with_grace("demo", command, Duration::from_secs(20))?;
        // The very first start builds the module and the tool.
        while !process.log().contains("Ctrl-C ends") {
            process.check_running()?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = process.log();
        Ok(Self {
            gateway: address_before(&log, " in a browser")?,
            admin: address_before(&log, "/stats/prometheus")?,
            process,
            client: http::client()?,
        })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway)
    }

    /// A browser that shows the page, on a screen like a projector's.
    pub async fn browser(&self) -> Result<Browser> {
        let browser = Browser::start().await?;
        browser.show_on(PROJECTOR).await?;
        browser.open(&self.url("/")).await?;
        Ok(browser)
    }

    /// What the demo reports to the page.
    pub async fn state(&self) -> Result<Value> {
        let answer = self.client.get(self.url("/demo/state")).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// The status for a button press with these headers.
    pub async fn press(&self, button: &str, headers: &[(&str, &str)]) -> Result<u16> {
        let mut request = self.client.post(self.url(&format!("/demo/{button}")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.send().await?.status().as_u16())
    }

    /// The sum of the filter's counters whose name, in Envoy's words, matches.
    pub async fn counted(&self, pattern: &str) -> Result<u64> {
        let stats = self
            .admin(&format!("/stats?format=json&filter={pattern}"))
            .await?;
        let values = stats["stats"].as_array().into_iter().flatten();
        Ok(values.filter_map(|stat| stat["value"].as_u64()).sum())
    }

    /// The names of the pods that Envoy sends requests to, as the pods report them.
    pub async fn pods(&self) -> Result<BTreeSet<String>> {
        let clusters = self.admin("/clusters?format=json").await?;
        let clusters = clusters["cluster_statuses"]
            .as_array()
            .into_iter()
            .flatten();
        let shop = clusters.filter(|cluster| cluster["name"] == "shop");
        let hosts = shop.filter_map(|cluster| cluster["host_statuses"].as_array());
        let mut pods = BTreeSet::new();
        for host in hosts.flatten() {
            let port = &host["address"]["socket_address"]["port_value"];
            let url = format!("http://127.0.0.1:{port}/healthz");
            let answer = self.client.get(url).send().await?;
            let name = answer.headers().get("x-pod").context("a pod's name")?;
            pods.insert(name.to_str()?.to_owned());
        }
        Ok(pods)
    }

    /// Kills a pod without warning, as a failing node does.
    pub fn kill_pod(&self, name: &str) -> Result<()> {
        let children = std::fs::read_dir(format!("/proc/{}/task", self.process.id()))?
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
            .collect::<Vec<_>>()
            .join(" ");
        let is_pod = |id: &&str| {
            let command = std::fs::read_to_string(format!("/proc/{id}/cmdline"));
            command.is_ok_and(|command| command.split('\0').any(|argument| argument == name))
        };
        let pod = children.split_whitespace().find(is_pod);
        let killed = Command::new("kill")
            .args(["-KILL", pod.with_context(|| format!("no pod {name}"))?])
            .status()?;
        ensure!(killed.success(), "kill ended with {killed}");
        Ok(())
    }

    async fn admin(&self, path: &str) -> Result<Value> {
        let url = format!("http://{}{path}", self.admin);
        Ok(self.client.get(url).send().await?.json().await?)
    }
}

/// The address before these words in the demo's output.
fn address_before(log: &str, words: &str) -> Result<SocketAddr> {
    let (before, _) = log
        .split_once(words)
        .with_context(|| format!("no {words} in:\n{log}"))?;
    let (_, address) = before.rsplit_once("http://").context("a URL")?;
    Ok(address.parse()?)
}

/// Waits until the page is from that release, and its calls are answered.
pub async fn is_page_of(browser: &Browser, release: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.title === 'Shop {release}' && document.querySelector('.squares [data-kind]')"
        ))
        .await
}

/// Waits until a button can be pressed.
pub async fn may_press(browser: &Browser, button: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('#{button}')?.ariaDisabled === 'false'"
        ))
        .await
}

/// Waits until the headline has that tone: `bad` if skew was seen lately, `good` otherwise.
pub async fn tone_is(browser: &Browser, tone: &str) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('.told')?.dataset.tone === '{tone}'"
        ))
        .await
}

/// How many of this tab's calls its own release answered, and how many another, as the page counts.
pub async fn totals(browser: &Browser) -> Result<(u64, u64)> {
    browser
        .run(
            "const { own, other } = document.querySelector('#totals').dataset;
             return [Number(own), Number(other)]",
        )
        .await
}

/// Waits until the page's own release has answered this many more calls.
pub async fn more_own_answers(browser: &Browser, count: u64) -> Result<()> {
    let (own, _) = totals(browser).await?;
    let enough = own + count;
    browser
        .until(&format!(
            "Number(document.querySelector('#totals').dataset.own) >= {enough}"
        ))
        .await
}

/// The names of the pods that the page shows.
pub async fn shown_pods(browser: &Browser) -> Result<BTreeSet<String>> {
    browser
        .run("return [...document.querySelectorAll('.pods li .hidden')].map((pod) => pod.textContent)")
        .await
}

/// For each square its kind, and the answer's release and pod.
pub async fn squares(browser: &Browser) -> Result<Vec<(String, String, String)>> {
    browser
        .run(
            "return [...document.querySelectorAll('.squares [data-kind]')]
               .map(({ dataset }) => [dataset.kind, dataset.release ?? '', dataset.pod ?? ''])",
        )
        .await
}

/// Waits until page and Envoy agree on the pods, and on how many answers came from another release.
pub async fn agrees_with_envoy(browser: &Browser, demo: &Demo) -> Result<()> {
    wait::until("the page to show what Envoy and pods say", async || {
        let skewed = demo.counted("answer=.=skewed").await?;
        Ok(shown_pods(browser).await? == demo.pods().await? && totals(browser).await?.1 == skewed)
    })
    .await
}

/// The rules of WCAG 2.2 AA that the page breaks, as axe-core finds them, with the elements.
pub async fn broken_rules(browser: &Browser) -> Result<Vec<String>> {
    let axe = PathBuf::from("envoy/page/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&axe).with_context(|| axe.display().to_string())?;
    browser.run::<()>(&axe).await?;
    browser
        .run(
            "const found = await axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] });
             return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => html + failureSummary)}`)",
        )
        .await
}

/// What does not fit: a page wider than the screen, or a button or the price below its bottom edge.
pub async fn does_not_fit(browser: &Browser) -> Result<Vec<String>> {
    browser
        .run(
            "const parts = ['#total', '#deploy', '#guard', '#retire'];
             const below = parts.filter((part) => {
               const { top, bottom, left, right } = document.querySelector(part).getBoundingClientRect();
               return top < 0 || left < 0 || bottom > innerHeight || right > innerWidth;
             });
             const { scrollWidth } = document.documentElement;
             return scrollWidth > innerWidth ? [...below, `${scrollWidth} pixels`] : below",
        )
        .await
}
