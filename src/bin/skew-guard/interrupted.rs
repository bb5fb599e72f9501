//! What becomes of a half-made edit when somebody ends the tool: Ctrl-C, or a pipeline that is
//! cancelled.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    use signal_hook::low_level::emulate_default_handler;

    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let removed = removed();
            let _gone = removed.as_deref().map(std::fs::remove_file);
            // Whoever waits for the tool sees which signal ended it.
            let _ended = emulate_default_handler(signal);
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn listen() -> io::Result<()> {
    Ok(())
}
