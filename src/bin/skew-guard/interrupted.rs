//! What happens to a half-made edit, and to programs that run beside the tool, when someone ends it: with Ctrl-C,
//! or by cancelling a pipeline.

use std::io;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tempfile::NamedTempFile;

/// What an interruption clears away.
#[derive(Debug)]
struct Held {
    is_listening: bool,
    file: Option<PathBuf>,
    companions: Vec<Weak<Mutex<Child>>>,
}

/// Locked while the tool must not be interrupted.
static HELD: Mutex<Held> = Mutex::new(Held {
    is_listening: false,
    file: None,
    companions: Vec::new(),
});

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a temporary file that is removed when the tool is interrupted.
pub fn remove_on_interrupt(
    make: impl FnOnce() -> io::Result<NamedTempFile>,
) -> io::Result<NamedTempFile> {
    let mut held = lock(&HELD);
    held.listen()?;
    let made = make()?;
    held.file = Some(made.path().to_owned());
    Ok(made)
}

/// Does something that an interruption waits for.
pub fn defer_interrupt<T>(act: impl FnOnce() -> T) -> T {
    let _held = lock(&HELD);
    act()
}

/// A program that runs beside the tool, and not longer: dropping this ends it, and so does an interruption.
#[derive(Debug)]
pub struct Companion(Arc<Mutex<Child>>);

impl Companion {
    /// Starts it.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut held = lock(&HELD);
        held.listen()?;
        let started = Arc::new(Mutex::new(command.spawn()?));
        held.companions
            .retain(|companion| companion.strong_count() > 0);
        held.companions.push(Arc::downgrade(&started));
        Ok(Self(started))
    }

    /// What it writes, for the one who takes it first.
    pub fn output(&self) -> Option<(ChildStdout, ChildStderr)> {
        let mut child = lock(&self.0);
        child.stdout.take().zip(child.stderr.take())
    }

    pub fn is_running(&self) -> bool {
        matches!(lock(&self.0).try_wait(), Ok(None))
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        end_and_reap(&self.0);
    }
}

fn end_and_reap(companion: &Mutex<Child>) {
    let mut child = lock(companion);
    // It may have ended by itself.
    let _ended = child.kill();
    let _reaped = child.wait();
}

impl Held {
    /// Hears from now on what would end the tool.
    #[cfg(unix)]
    fn listen(&mut self) -> io::Result<()> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        if self.is_listening {
            return Ok(());
        }
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::spawn(move || {
            for signal in signals.forever() {
                let held = lock(&HELD);
                held.clear_away();
                // Whoever waits for the tool sees which signal it was.
                let _ended = signal_hook::low_level::emulate_default_handler(signal);
            }
        });
        self.is_listening = true;
        Ok(())
    }

    /// Hears nothing: the tool ends as it would.
    #[cfg(not(unix))]
    fn listen(&mut self) -> io::Result<()> {
        Ok(())
    }

    #[cfg_attr(not(unix), expect(dead_code, reason = "nothing is heard there"))]
    fn clear_away(&self) {
        let _gone = self.file.as_deref().map(std::fs::remove_file);
        for companion in self.companions.iter().filter_map(Weak::upgrade) {
            end_and_reap(&companion);
        }
    }
}
