//! A file that is edited while others may read it or edit it too.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

/// An edit takes milliseconds; whoever holds the lock for longer does something else with it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file that no other tool of ours edits at the same time.
///
/// The lock is on its folder: the file itself is replaced by another one, and with it a lock on it.
#[derive(Debug)]
pub struct Locked {
    /// Where the file is, behind all symbolic links.
    place: PathBuf,
    folder: PathBuf,
    _lock: File,
}

impl Locked {
    /// Waits until nobody else edits in the file's folder.
    pub fn take(file: &Path) -> Result<Self> {
        let cannot_read = || format!("cannot read {}", file.display());
        let place = fs::canonicalize(file).with_context(cannot_read)?;
        let folder = place.parent().with_context(cannot_read)?.to_owned();
        let lock = lock(&folder).with_context(|| format!("cannot lock {}", folder.display()))?;
        Ok(Self {
            place,
            folder,
            _lock: lock,
        })
    }

    /// Puts a new file in the place of the old one, with its mode and owner. Readers see the one or the
    /// other, whole; when anything goes wrong the old one stays.
    pub fn replace(&self, text: &str) -> Result<()> {
        let mut beside = NamedTempFile::new_in(&self.folder)?;
        beside.write_all(text.as_bytes())?;
        let old = fs::metadata(&self.place)?;
        keep_owner(&old, beside.as_file())?;
        beside.as_file().set_permissions(old.permissions())?;
        beside.as_file().sync_all()?;
        beside.persist(&self.place)?;
        Ok(())
    }
}

fn lock(folder: &Path) -> Result<File> {
    let folder = File::open(folder)?;
    let started = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::Error(error)) => return Err(error.into()),
            Err(TryLockError::WouldBlock) => {
                ensure!(
                    started.elapsed() < PATIENCE,
                    "another program has locked it for {} seconds",
                    PATIENCE.as_secs()
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

#[cfg(unix)]
fn keep_owner(old: &fs::Metadata, new: &File) -> Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let made = new.metadata()?;
    let changed = |old: u32, new: u32| (old != new).then_some(old);
    let (user, group) = (
        changed(old.uid(), made.uid()),
        changed(old.gid(), made.gid()),
    );
    if user.is_none() && group.is_none() {
        return Ok(());
    }
    fchown(new, user, group).context("cannot keep its owner")
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::Metadata, _: &File) -> Result<()> {
    Ok(())
}
