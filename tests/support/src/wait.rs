//! Waiting for a condition, with a deadline, instead of sleeping and hoping.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is checked.
const PAUSE: Duration = Duration::from_millis(20);

/// Long enough for anything to start on one machine, however busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Checks `condition` until it holds; an error counts as "not yet", and the last one is returned when time is up.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    until_some(what, async || Ok(condition().await?.then_some(()))).await
}

/// Calls `probe` until it has a value; an error counts as "not yet", and the last one is returned when time is up.
pub async fn until_some<T>(what: &str, probe: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_some_within(PATIENCE, what, probe).await
}

/// The same with another limit, for what is built before it starts.
pub async fn until_some_within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let outcome = probe().await;
        match outcome {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() < deadline => {}
            Err(_) if Instant::now() < deadline => {}
            Ok(None) => bail!("waited {limit:?} in vain for {what}"),
            Err(error) => {
                return Err(error.context(format!("waited {limit:?} in vain for {what}")));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
