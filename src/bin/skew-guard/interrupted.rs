//! What becomes of a half-made edit, and of what is held open, when somebody ends the tool: Ctrl-C, or
//! a pipeline that is cancelled.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::NamedTempFile;

/// The file that is to be removed. Locked while an edit must not be interrupted.
static REMOVED: Mutex<Option<PathBuf>> = Mutex::new(None);

fn removed() -> MutexGuard<'static, Option<PathBuf>> {
    REMOVED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a temporary file that is removed when the tool is interrupted.
pub fn removes(make: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<NamedTempFile> {
    listen()?;
    let mut removed = removed();
    let made = make()?;
    *removed = Some(made.path().to_owned());
    Ok(made)
}

/// Does something that an interruption waits for.
pub fn waits<T>(act: impl FnOnce() -> T) -> T {
    let _removed = removed();
    act()
}

#[cfg(unix)]
fn listen() -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let removed = removed();
            let _gone = removed.as_deref().map(std::fs::remove_file);
            end(signal);
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen() -> io::Result<()> {
    Ok(())
}

/// Signals by which somebody ends a command that holds something open.
#[derive(Debug)]
pub struct Interruptions(Receiver<i32>);

impl Interruptions {
    /// Waits so long, or until the tool is to end, by this signal.
    pub fn wait(&self, length: Duration) -> Option<i32> {
        let started = Instant::now();
        match self.0.recv_timeout(length) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(length.saturating_sub(started.elapsed()));
                None
            }
        }
    }

    /// Hears what would end the tool; who says it twice means at once.
    #[cfg(unix)]
    pub fn listen() -> io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::iterator::Signals;

        let (tell, told) = channel();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::spawn(move || {
            let mut is_told = false;
            for signal in signals.forever() {
                is_told = !is_told && tell.send(signal).is_ok();
                if !is_told {
                    end(signal);
                }
            }
        });
        Ok(Self(told))
    }

    /// Hears nothing: the tool ends as it would.
    #[cfg(not(unix))]
    pub fn listen() -> io::Result<Self> {
        Ok(Self(channel().1))
    }
}

/// Ends the tool so that whoever waits for it sees which signal it was.
pub fn end(signal: i32) {
    #[cfg(unix)]
    let _ended = signal_hook::low_level::emulate_default_handler(signal);
    #[cfg(not(unix))]
    std::process::exit(128 + signal);
}
