//! What is reported on the way: one line per step, with a spinner for people; or events, for machines.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::Output;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Tells what is done.
#[derive(Debug)]
pub struct Report {
    output: Output,
    started: Instant,
    /// Shows nothing if standard error is not a terminal.
    spinner: ProgressBar,
}

/// A step in progress.
#[derive(Debug)]
pub struct Activity {
    kind: &'static str,
    what: String,
    since: Instant,
}

impl Report {
    pub fn to(output: Output) -> Self {
        let spinner = match output {
            Output::Text => ProgressBar::new_spinner(),
            Output::Json => ProgressBar::hidden(),
        };
        Self {
            output,
            started: Instant::now(),
            spinner,
        }
    }

    /// A step begins; `kind` names it for machines.
    pub fn begin(&self, kind: &'static str, what: impl Into<String>) -> Activity {
        let what = what.into();
        self.spinner.set_message(what.clone());
        self.spinner.enable_steady_tick(TURN);
        self.event(kind, "begun", &what, json!({}));
        Activity {
            kind,
            what,
            since: Instant::now(),
        }
    }

    /// A step has ended well.
    pub fn end(&self, activity: &Activity, details: Value) {
        self.spinner.disable_steady_tick();
        let took = activity.since.elapsed();
        self.line(&format!("{} ({:.1} s)", activity.what, took.as_secs_f64()));
        let mut details = details;
        if let Some(details) = details.as_object_mut() {
            details.insert("seconds".to_owned(), json!(took.as_secs_f64()));
        }
        self.event(activity.kind, "done", &activity.what, details);
    }

    /// What a step is waiting for, or anything else worth a line.
    pub fn note(&self, text: impl fmt::Display) {
        let text = text.to_string();
        self.line(&format!("  {text}"));
        self.event("note", "said", &text, json!({}));
    }

    fn line(&self, text: &str) {
        if self.output == Output::Text {
            let seconds = self.started.elapsed().as_secs();
            self.spinner.suspend(|| {
                // Whether anybody reads it is not the tool's business.
                let _unread = writeln!(io::stderr(), "{seconds:>5}s  {text}");
            });
        }
    }

    fn event(&self, step: &str, what: &str, text: &str, details: Value) {
        if self.output == Output::Text {
            return;
        }
        let mut event = json!({
            "event": what,
            "step": step,
            "text": text,
            "elapsed": self.started.elapsed().as_secs_f64(),
        });
        if let (Some(event), Value::Object(details)) = (event.as_object_mut(), details) {
            event.extend(details);
        }
        let mut out = io::stdout().lock();
        let _unread = writeln!(out, "{event}").and_then(|()| out.flush());
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}
