//! Links within the repository.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use skew_guard_lab::markdown::Document;

use crate::pages::README;

/// Each relative link is a file or folder of the repository, and its anchor a heading there. External links cannot
/// be checked here.
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

/// A reader who starts at the README can reach each page by links alone.
pub fn lead_to(document: &Document) -> Result<()> {
    let mut reached = BTreeSet::from([PathBuf::from(README)]);
    let mut unread = vec![PathBuf::from(README)];
    while let Some(page) = unread.pop() {
        for linked in pages_linked_from(&Document::read(&page)?)? {
            if reached.insert(linked.clone()) {
                unread.push(linked);
            }
        }
    }
    ensure!(
        reached.contains(&document.path),
        "no link leads to {} from the README",
        document.path.display()
    );
    Ok(())
}

fn pages_linked_from(document: &Document) -> Result<Vec<PathBuf>> {
    let folder = document.path.parent().context("a document in a folder")?;
    let files = document
        .links
        .iter()
        .filter(|link| !is_elsewhere(link))
        .filter_map(|link| link.split('#').next())
        .filter(|file| file.ends_with(".md"));
    Ok(files.map(|file| resolved(&folder.join(file))).collect())
}

/// The path without its `..`: `istio/../README.md` is `README.md`.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
    }
    resolved
}

fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

fn in_repository(path: &Path) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}
