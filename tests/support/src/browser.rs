//! A real browser, driven over [WebDriver](https://www.w3.org/TR/webdriver2/): Debian's Chromium, or its Firefox with
//! `BROWSER=firefox`, or its WebKitGTK with `BROWSER=webkit` and a display.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
pub use thirtyfour::Key;
use thirtyfour::cdp::domains::network::NetworkConditions;
use thirtyfour::prelude::*;
use thirtyfour::{Capabilities, ChromiumLikeCapabilities, WindowHandle};
use tokio::net::TcpStream;

use crate::process::Process;
use crate::{ports, wait};

/// Chromium refuses to run as root with its sandbox, and contacts many hosts unless told not to. With a pipe
/// instead of a debugging port it ends when its driver does, however that ends.
const ARGUMENTS: [&str; 10] = [
    "headless=new",
    "no-sandbox",
    "remote-debugging-pipe",
    "disable-gpu",
    "disable-dev-shm-usage",
    "disable-quic",
    "no-first-run",
    "disable-component-update",
    "disable-sync",
    "disable-features=OptimizationHints,MediaRouter",
];

/// A visitor's browser, with its own empty profile.
#[derive(Debug)]
pub struct Browser {
    driver: WebDriver,
    process: Process,
    _profile: TempDir,
}

/// The screen that a page is viewed on.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Its width in CSS pixels.
    pub width: u32,
    /// Its height in CSS pixels.
    pub height: u32,
    /// Whether its owner prefers a dark scheme.
    pub dark: bool,
}

/// One of the browser's tabs.
#[derive(Debug, Clone)]
pub struct Tab(WindowHandle);

impl Browser {
    /// Starts a browser with one empty tab.
    pub async fn start() -> Result<Self> {
        let profile = TempDir::with_prefix("skew-guard-browser-")?;
        let engine = Engine::chosen()?;
        let (process, address) = start_driver(engine).await?;
        let driver = WebDriver::new(format!("http://{address}"), engine.capabilities(&profile)?)
            .await
            .with_context(|| format!("its driver printed:\n{}", process.log_tail()))?;
        driver.set_script_timeout(wait::PATIENCE).await?;
        Ok(Self {
            driver,
            process,
            _profile: profile,
        })
    }

    /// Loads a page in the tab in front, as from the address bar.
    pub async fn open(&self, url: &str) -> Result<()> {
        Ok(self.driver.goto(url).await?)
    }

    /// Loads the page in front again, as with the reload button.
    pub async fn reload(&self) -> Result<()> {
        Ok(self.driver.refresh().await?)
    }

    /// Runs the body of an asynchronous function in the page in front, and returns its result.
    pub async fn run<T: DeserializeOwned>(&self, body: &str) -> Result<T> {
        let script = format!("return (async () => {{ {body} }})()");
        let outcome = self.driver.execute(script, Vec::<Value>::new()).await;
        outcome
            .with_context(|| format!("running in the page: {body}"))?
            .convert()
            .with_context(|| format!("what the page returned from: {body}"))
    }

    /// Waits until an expression holds in the page in front.
    pub async fn until(&self, expression: &str) -> Result<()> {
        let holds = async || self.run(&format!("return Boolean({expression})")).await;
        let outcome = wait::until(expression, holds).await;
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                let page = self.driver.source().await.unwrap_or_default();
                Err(error.context(format!("the page is:\n{page}")))
            }
        }
    }

    /// Clicks the first element that the CSS selector finds.
    pub async fn click(&self, selector: &str) -> Result<()> {
        Ok(self.driver.find(By::Css(selector)).await?.click().await?)
    }

    /// Types into the first element that the CSS selector finds, as on a keyboard.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let field = self.driver.find(By::Css(selector)).await?;
        Ok(field.send_keys(text).await?)
    }

    /// Goes back, as with the browser's button.
    pub async fn back(&self) -> Result<()> {
        Ok(self.driver.back().await?)
    }

    /// Disconnects the page in front from the network, or reconnects it.
    pub async fn set_offline(&self, offline: bool) -> Result<()> {
        let conditions = NetworkConditions {
            offline,
            ..NetworkConditions::default()
        };
        let tools = self.driver.cdp();
        tools.network().enable().await?;
        Ok(tools
            .network()
            .emulate_network_conditions(conditions)
            .await?)
    }

    /// Shows the page in front on that screen. Only Chromium can.
    pub async fn show_on(&self, screen: Screen) -> Result<()> {
        let tools = self.driver.cdp();
        let Screen { width, height, .. } = screen;
        tools
            .emulation()
            .set_device_metrics_override(width, height, 1.0, false)
            .await?;
        let hidden = json!({ "hidden": true });
        tools
            .send_raw("Emulation.setScrollbarsHidden", hidden)
            .await?;
        let scheme = if screen.dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        tools
            .send_raw(
                "Emulation.setEmulatedMedia",
                json!({ "features": features }),
            )
            .await?;
        Ok(())
    }

    /// The page in front as it looks, as a PNG.
    pub async fn screenshot(&self) -> Result<Vec<u8>> {
        Ok(self.driver.screenshot_as_png().await?)
    }

    /// Presses a key in the focused element.
    pub async fn press(&self, key: Key) -> Result<()> {
        let keyboard = self.driver.action_chain();
        Ok(keyboard.send_keys(key + "").perform().await?)
    }

    /// Waits for the tab that the page opens, and brings it to the front.
    pub async fn show_tab_opened_by(&self, open: impl AsyncFnOnce() -> Result<()>) -> Result<Tab> {
        let before = self.driver.windows().await?;
        open().await?;
        let tab = wait::until_some("another tab", async || {
            let now = self.driver.windows().await?;
            Ok(now.into_iter().find(|tab| !before.contains(tab)).map(Tab))
        })
        .await?;
        self.show(&tab).await?;
        Ok(tab)
    }

    /// What the page in front shows in the first element that the CSS selector finds.
    pub async fn text(&self, selector: &str) -> Result<String> {
        Ok(self.driver.find(By::Css(selector)).await?.text().await?)
    }

    /// The value of a cookie of the page in front, `HttpOnly` or not.
    pub async fn cookie(&self, name: &str) -> Result<Option<String>> {
        let cookies = self.driver.get_all_cookies().await?;
        let cookie = cookies.into_iter().find(|cookie| cookie.name == name);
        Ok(cookie.map(|cookie| cookie.value))
    }

    /// The tab in front.
    pub async fn tab(&self) -> Result<Tab> {
        Ok(Tab(self.driver.window().await?))
    }

    /// Opens another tab and brings it to the front.
    pub async fn open_tab(&self) -> Result<Tab> {
        let tab = Tab(self.driver.new_tab().await?);
        self.show(&tab).await?;
        Ok(tab)
    }

    /// Brings a tab to the front.
    pub async fn show(&self, tab: &Tab) -> Result<()> {
        Ok(self.driver.switch_to_window(tab.0.clone()).await?)
    }

    /// Ends it.
    pub async fn stop(mut self) -> Result<()> {
        self.driver.quit().await?;
        self.process.stop(Duration::from_secs(10)).await?;
        Ok(())
    }
}

/// Which browser it is.
#[derive(Debug, Clone, Copy)]
enum Engine {
    Chromium,
    Firefox,
    WebKit,
}

/// The browser that Debian has beside WebKitGTK's driver.
const MINI_BROWSER: &str = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";

impl Engine {
    fn chosen() -> Result<Self> {
        match std::env::var("BROWSER").as_deref() {
            Err(_) | Ok("" | "chromium") => Ok(Self::Chromium),
            Ok("firefox") => Ok(Self::Firefox),
            Ok("webkit") => Ok(Self::WebKit),
            Ok(other) => bail!("BROWSER={other}: chromium, firefox or webkit"),
        }
    }

    fn driver(self) -> &'static str {
        match self {
            Self::Chromium => "chromedriver",
            Self::Firefox => "geckodriver",
            Self::WebKit => "WebKitWebDriver",
        }
    }

    /// What the driver prints before its port; that of WebKitGTK prints nothing.
    fn announcement(self) -> Option<&'static str> {
        match self {
            Self::Chromium => Some("started successfully on port "),
            Self::Firefox => Some("Listening on 127.0.0.1:"),
            Self::WebKit => None,
        }
    }

    fn capabilities(self, profile: &TempDir) -> Result<Capabilities> {
        match self {
            Self::Chromium => {
                let mut capabilities = DesiredCapabilities::chrome();
                for argument in ARGUMENTS {
                    capabilities.add_arg(&format!("--{argument}"))?;
                }
                capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
                Ok(capabilities.into())
            }
            Self::Firefox => {
                let mut capabilities = DesiredCapabilities::firefox();
                capabilities.add_arg("-headless")?;
                Ok(capabilities.into())
            }
            Self::WebKit => {
                let mut capabilities = Capabilities::new();
                let options = json!({ "binary": MINI_BROWSER, "args": ["--automation"] });
                capabilities.set("webkitgtk:browserOptions", options)?;
                Ok(capabilities)
            }
        }
    }
}

/// How often to start a driver that finds its port taken.
const ATTEMPTS: usize = 5;

/// Between the choice of a port and its use another process may take it; then another port is tried.
async fn start_driver(engine: Engine) -> Result<(Process, SocketAddr)> {
    for _ in 1..ATTEMPTS {
        if let Ok(started) = launch_driver(engine).await? {
            return Ok(started);
        }
    }
    launch_driver(engine).await?
}

/// The driver and where it listens, or how it ended.
async fn launch_driver(engine: Engine) -> Result<Result<(Process, SocketAddr)>> {
    // The others choose an IPv6 port themselves, and exit if the same IPv4 port is taken.
    let chosen = match engine.announcement() {
        Some(_) => None,
        None => Some(ports::free()?),
    };
    let mut command = Command::new(engine.driver());
    command.arg(format!(
        "--port={}",
        chosen.map_or(0, |address| address.port())
    ));
    let mut driver = Process::start_with_grace(engine.driver(), command, Duration::from_secs(10))
        .context("is the driver installed? `make test-browser`, `test-firefox` and `test-webkit` install theirs")?;
    let address = wait::until_some(engine.driver(), async || {
        let address = match chosen {
            Some(address) => TcpStream::connect(address).await.is_ok().then_some(address),
            None => announced_address(engine, &driver.log()),
        };
        Ok(match driver.check_running() {
            Ok(()) => address.map(Ok),
            Err(end) => Some(Err(end)),
        })
    })
    .await?;
    Ok(address.map(|address| (driver, address)))
}

fn announced_address(engine: Engine, log: &str) -> Option<SocketAddr> {
    let (_, port) = log.split_once(engine.announcement()?)?;
    let port = port.split(['.', '\n']).next()?.parse().ok()?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}
