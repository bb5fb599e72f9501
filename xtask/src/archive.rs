//! Archives without times and owners: the same files always give the same bytes.

use std::io::Write;

use anyhow::Result;
use flate2::{Compression, GzBuilder};

/// What gzip writes for a file system that it does not know.
const UNKNOWN_SYSTEM: u8 = 255;

/// A tar archive that is being written.
pub(crate) struct Archive(tar::Builder<Vec<u8>>);

/// A complete archive.
pub(crate) struct Finished(Vec<u8>);

impl Archive {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn add(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len().try_into()?);
        header.set_mode(mode);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        Ok(self.0.append_data(&mut header, name, content)?)
    }

    pub(crate) fn finish(self) -> Result<Finished> {
        Ok(Finished(self.0.into_inner()?))
    }
}

impl Finished {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn compressed(&self) -> Result<Vec<u8>> {
        let builder = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
        let mut compressed = builder.write(Vec::new(), Compression::best());
        compressed.write_all(&self.0)?;
        Ok(compressed.finish()?)
    }
}
