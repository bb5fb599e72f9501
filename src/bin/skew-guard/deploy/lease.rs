//! One deployment at a time: a Lease in the application's namespace, renewed as long as its holder lives.
//!
//! Whether a holder lives is told by its renewals, seen by our own clock: machines' clocks differ.

use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::timeout::{POLL_INTERVAL, Stop};
use crate::cluster::{Kubectl, Problem};

const KIND: &str = "leases.coordination.k8s.io";

/// A holder that has not renewed for this long is dead.
const EXPIRES_AFTER: Duration = Duration::from_secs(20);
const RENEWED_EVERY: Duration = Duration::from_secs(5);

/// The annotation that says which revision every gateway was last seen to have.
const IN_FORCE: &str = "skew-guard/in-force";

/// What to do about a Lease that someone holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// Waits until it is seen whether the holder lives, and leaves it to a living one.
    WhenExpired,
    /// Takes it over.
    Always,
}

/// A Lease that is held. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    shared: Arc<Shared>,
    stop: Option<Sender<()>>,
    renewer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    kubectl: Kubectl,
    holder: String,
    object: Mutex<Value>,
    /// Why it is held no more.
    loss: OnceLock<Loss>,
}

#[derive(Clone, Copy, Debug)]
enum Loss {
    TakenOver,
    Deleted,
}

/// Its holder, as told to whoever else wants it.
struct Holder<'a>(&'a Value);

impl fmt::Display for Holder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |path| self.0.pointer(path).and_then(Value::as_str);
        f.write_str(text("/spec/holderIdentity").unwrap_or("somebody"))?;
        match text("/spec/acquireTime") {
            Some(since) => write!(f, ", since {since}"),
            None => Ok(()),
        }
    }
}

impl Lease {
    /// Takes the Lease of a Helm release; `doing` says to others what for.
    pub fn take(
        kubectl: &Kubectl,
        namespace: &str,
        helm_release: &str,
        purpose: &str,
        takeover: Takeover,
        progress: &mut dyn FnMut(String),
    ) -> Result<Self> {
        let name = format!("skew-guard-{helm_release}");
        let holder = format!("{purpose}, process {} on {}", std::process::id(), host());
        let find = || kubectl.object::<Value>(KIND, namespace, &name);
        let mut watched: Option<(Value, Instant)> = None;
        loop {
            let seen = find().context("cannot read the Lease")?;
            let Some(seen) = seen else {
                let new = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": held_by(&holder),
                });
                match taken(kubectl, "create", &new)? {
                    Some(object) => return Ok(Self::keep(kubectl, holder, object)),
                    None => continue,
                }
            };
            if is_free(&seen) || takeover == Takeover::Always || has_expired(&watched, &seen) {
                if !is_free(&seen) {
                    progress(format!("takes the lease over from {}", Holder(&seen)));
                }
                let mut mine = seen.clone();
                if let Some(spec) = mine.pointer_mut("/spec") {
                    *spec = held_by(&holder);
                }
                match taken(kubectl, "replace", &mine)? {
                    Some(object) => return Ok(Self::keep(kubectl, holder, object)),
                    None => continue,
                }
            }
            match &watched {
                None => {
                    progress(format!(
                        "the lease is held by {}: waiting to see whether it is alive",
                        Holder(&seen)
                    ));
                    watched = Some((seen, Instant::now()));
                }
                Some((before, _)) if before.pointer("/spec") != seen.pointer("/spec") => {
                    bail!(Stop(format!(
                        "another deployment is under way: the Lease {name} in namespace {namespace} is held by {}. Nothing was changed. Wait for it to end; `skew-guard rollback` would take it over",
                        Holder(&seen)
                    )))
                }
                Some(_) => {}
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn keep(kubectl: &Kubectl, holder: String, object: Value) -> Self {
        let shared = Arc::new(Shared {
            kubectl: kubectl.clone(),
            holder,
            object: Mutex::new(object),
            loss: OnceLock::new(),
        });
        let (stop, stopped) = mpsc::channel();
        let renewing = Arc::clone(&shared);
        let renewer = thread::spawn(move || {
            while stopped.recv_timeout(RENEWED_EVERY) == Err(RecvTimeoutError::Timeout) {
                // A cluster that cannot be reached now may be reached in time.
                let _tried = renewing.renew();
            }
        });
        Self {
            shared,
            stop: Some(stop),
            renewer: Some(renewer),
        }
    }

    /// Makes sure, before something is changed, that nobody else has taken it.
    pub fn confirm(&self) -> Result<()> {
        self.shared.renew()
    }

    /// The revision that every gateway was last seen to have.
    pub fn in_force(&self) -> Option<u64> {
        let object = self.shared.lock();
        let written = object.pointer("/metadata/annotations")?.get(IN_FORCE)?;
        written.as_str()?.parse().ok()
    }

    /// Writes down that every gateway has that revision.
    pub fn write_in_force(&self, revision: u64) -> Result<()> {
        self.shared.change(|lease| {
            if let Some(metadata) = lease.get_mut("metadata").and_then(Value::as_object_mut) {
                let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
                annotations[IN_FORCE] = json!(revision.to_string());
            }
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(renewer) = self.renewer.take() {
            // It only panics where the whole program does.
            let _ended = renewer.join();
        }
        // Whoever comes next otherwise waits until it has expired.
        let _tried = self.shared.change(|lease| {
            if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
                spec.insert("holderIdentity".to_owned(), json!(""));
            }
        });
    }
}

impl Shared {
    fn renew(&self) -> Result<()> {
        self.change(|lease| {
            if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
                spec.insert("renewTime".to_owned(), json!(now()));
            }
        })
    }

    /// Only over what was read or written last: whoever else has changed it has taken it.
    fn change(&self, edit: impl FnOnce(&mut Value)) -> Result<()> {
        let mut object = self.lock();
        if let Some(loss) = self.loss.get() {
            bail!(Stop(self.in_words(*loss)));
        }
        let mut changed = object.clone();
        edit(&mut changed);
        match write(&self.kubectl, "replace", &changed) {
            Ok(written) => {
                *object = written;
                Ok(())
            }
            Err(Problem::Conflict(_)) => self.lose(Loss::TakenOver),
            Err(Problem::NotFound(_)) => self.lose(Loss::Deleted),
            Err(problem) => Err(problem).context("cannot renew the Lease"),
        }
    }

    fn lose(&self, loss: Loss) -> Result<()> {
        bail!(Stop(self.in_words(*self.loss.get_or_init(|| loss))))
    }

    fn in_words(&self, loss: Loss) -> String {
        let holder = &self.holder;
        match loss {
            Loss::TakenOver => format!(
                "someone else has taken the lease over from {holder}: nothing more is changed here"
            ),
            Loss::Deleted => format!(
                "someone has deleted the Lease that was held by {holder}: nothing more is changed here. Run the same command again; it continues where this one was"
            ),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Value> {
        self.object.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Lease as it is held from now on; none where somebody else was faster.
fn taken(kubectl: &Kubectl, verb: &str, lease: &Value) -> Result<Option<Value>> {
    match write(kubectl, verb, lease) {
        Ok(lease) => Ok(Some(lease)),
        Err(Problem::Conflict(_)) => Ok(None),
        Err(problem) => Err(problem).context("cannot take the Lease"),
    }
}

fn write(kubectl: &Kubectl, verb: &str, lease: &Value) -> Result<Value, Problem> {
    let arguments = [verb, "--filename=-", "--validate=false", "--output=json"];
    let written = kubectl.run_with(arguments, lease.to_string().as_bytes())?;
    serde_json::from_str(&written)
        .map_err(|error| Problem::Failed(format!("cannot understand the Lease: {error}")))
}

fn is_free(lease: &Value) -> bool {
    let holder = lease
        .pointer("/spec/holderIdentity")
        .and_then(Value::as_str);
    holder.is_none_or(str::is_empty)
}

/// Whether it has been looked at for so long without a change.
fn has_expired(watched: &Option<(Value, Instant)>, seen: &Value) -> bool {
    watched.as_ref().is_some_and(|(before, since)| {
        before.pointer("/spec") == seen.pointer("/spec") && since.elapsed() >= EXPIRES_AFTER
    })
}

fn held_by(holder: &str) -> Value {
    let now = now();
    json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": EXPIRES_AFTER.as_secs(),
        "acquireTime": now,
        "renewTime": now,
    })
}

/// With microseconds, as Kubernetes writes it.
fn now() -> String {
    humantime::format_rfc3339_micros(SystemTime::now()).to_string()
}

fn host() -> String {
    let name = std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    name.map_or_else(
        |_| "an unknown host".to_owned(),
        |name| name.trim().to_owned(),
    )
}
