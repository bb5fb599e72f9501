//! A file that is edited while others may read or edit it too.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tempfile::NamedTempFile;

use crate::interrupted;

/// An edit takes milliseconds; whoever holds the lock for longer is doing something else.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// A file that no other tool of ours edits at the same time.
///
/// The lock is on its folder: the file itself is replaced by another one, and with it a lock on it.
#[derive(Debug)]
pub struct LockedFile {
    /// What it was called by.
    name: PathBuf,
    /// Where the file is, behind all symbolic links.
    place: PathBuf,
    folder: PathBuf,
    _lock: File,
}

/// A new text for a locked file, ready to go into its place.
#[derive(Debug)]
pub struct Draft {
    file: LockedFile,
    text: String,
    /// An error where the folder takes no new file.
    temporary: io::Result<NamedTempFile>,
}

impl LockedFile {
    /// Waits until nobody else edits in the file's folder.
    pub fn take(file: &Path) -> Result<Self> {
        let cannot_read = || format!("cannot read {}", file.display());
        let place = fs::canonicalize(file).with_context(cannot_read)?;
        let folder = place.parent().with_context(cannot_read)?.to_owned();
        let lock = lock(&folder).with_context(|| format!("cannot lock {}", folder.display()))?;
        Ok(Self {
            name: file.to_owned(),
            place,
            folder,
            _lock: lock,
        })
    }

    /// Writes a new text beside the old one, with the old one's mode and owner.
    pub fn draft(self, text: String) -> Result<Draft> {
        let temporary = match self.temporary(&text) {
            Err(error) if !refuses_new_files(&error) => {
                return Err(error).with_context(|| self.cannot_write());
            }
            temporary => temporary,
        };
        if temporary.is_err() {
            let writable = OpenOptions::new().write(true).open(&self.place);
            writable.with_context(|| self.cannot_write())?;
        }
        Ok(Draft {
            file: self,
            text,
            temporary,
        })
    }

    fn temporary(&self, text: &str) -> io::Result<NamedTempFile> {
        let mut temporary =
            interrupted::remove_on_interrupt(|| NamedTempFile::new_in(&self.folder))?;
        temporary.write_all(text.as_bytes())?;
        let old = fs::metadata(&self.place)?;
        keep_owner(&old, temporary.as_file())?;
        temporary.as_file().set_permissions(old.permissions())?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.name.display())
    }
}

impl Draft {
    /// Puts it into the place of the old text. Readers see the one or the other, whole; when anything
    /// goes wrong the old one stays. A file that can only be written in place, because it is a mount
    /// or because its folder takes no other file, is written in place, and the answer says what that
    /// means.
    pub fn commit(self) -> Result<Option<String>> {
        let Self {
            file,
            text,
            temporary,
        } = self;
        interrupted::defer_interrupt(|| {
            let why = match temporary.map(|temporary| temporary.persist(&file.place)) {
                Ok(Ok(_)) => return Ok(None),
                Ok(Err(failed)) if can_only_be_overwritten(&failed.error) => failed.error,
                Ok(Err(failed)) => return Err(failed.error).with_context(|| file.cannot_write()),
                Err(refused) => refused,
            };
            overwrite(&file.place, &text).with_context(|| file.cannot_write())?;
            Ok(Some(format!(
                "{} was written in place, because no other file can be put there ({why}): whatever read it at that moment may have seen half of it",
                file.name.display()
            )))
        })
    }
}

fn refuses_new_files(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Whether the file is where another file system was mounted: into a container, for instance.
fn can_only_be_overwritten(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices
    )
}

/// Writes a text over another one. Where there is no room for it, the old one is written again, for
/// which there was.
fn overwrite(place: &Path, text: &str) -> Result<()> {
    let old = fs::read(place)?;
    let written = write_over(place, text.as_bytes());
    written.or_else(|error| {
        write_over(place, &old)
            .with_context(|| format!("{error}; and its previous content cannot be restored"))?;
        Err(error.into())
    })
}

fn write_over(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(place)?;
    file.write_all(bytes)?;
    let length = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    file.set_len(length)?;
    file.sync_all()
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
                    started.elapsed() < LOCK_TIMEOUT,
                    "another program has locked it for {} seconds",
                    LOCK_TIMEOUT.as_secs()
                );
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

#[cfg(unix)]
fn keep_owner(old: &fs::Metadata, new: &File) -> io::Result<()> {
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
    fchown(new, user, group)
}

#[cfg(not(unix))]
fn keep_owner(_: &fs::Metadata, _: &File) -> io::Result<()> {
    Ok(())
}
