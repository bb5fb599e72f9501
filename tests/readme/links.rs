//! Links within the repository.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use skew_guard_lab::markdown::Document;

/// Each relative link is a file or folder of the repository, and its anchor a heading there. What is elsewhere cannot
/// be asked from here.
pub fn lead_somewhere(document: &Document) -> Result<()> {
    let folder = document.path.parent().context("a document in a folder")?;
    for link in document.links.iter().filter(|link| !is_elsewhere(link)) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            document.path.clone()
        } else {
            folder.join(file)
        };
        ensure!(
            in_repository(&target),
            "{link}: there is no {}",
            target.display()
        );
        ensure!(
            anchor.is_empty()
                || Document::read(&target)?
                    .anchors
                    .iter()
                    .any(|known| known == anchor),
            "{link}: no heading of {} has this anchor",
            target.display()
        );
    }
    Ok(())
}

fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

fn in_repository(path: &Path) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}
