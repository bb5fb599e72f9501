//! Markdown as a test reads it: what a reader would copy, click or look up.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::cargo;

/// A document of the repository.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its path from the root of the repository.
    pub path: PathBuf,
    /// Its code blocks, in order.
    pub fences: Vec<Fence>,
    /// Its tables, in order.
    pub tables: Vec<Table>,
    /// The code in its sentences and tables.
    pub code: Vec<String>,
    /// The targets of its links and pictures.
    pub links: Vec<String>,
    /// What a link within the document may name: `#the-life-of-a-release`.
    pub anchors: Vec<String>,
    /// The whole text.
    pub text: String,
}

/// A code block between fences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The line of the document in which it begins.
    pub line: usize,
    /// The text after the opening fence, or empty.
    pub language: String,
    /// What is between the fences.
    pub text: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The first row.
    pub header: Vec<Cell>,
    /// The others.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    /// Its text, without markup.
    pub text: String,
    /// The code in it, in order.
    pub code: Vec<String>,
}

impl Document {
    /// Reads a document by its path from the root of the repository.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(cargo::workspace().join(path))
            .with_context(|| path.display().to_string())?;
        let mut document = Self {
            path: path.to_owned(),
            fences: Vec::new(),
            tables: Vec::new(),
            code: Vec::new(),
            links: Vec::new(),
            anchors: Vec::new(),
            text: String::new(),
        };
        let mut open = Open::default();
        for (event, place) in Parser::new_ext(&text, Options::ENABLE_TABLES).into_offset_iter() {
            document.take(event, &place, &text, &mut open);
        }
        document.text = text;
        Ok(document)
    }

    /// The only fence of a language.
    pub fn fence(&self, language: &str) -> Result<&Fence> {
        let mut fences = self
            .fences
            .iter()
            .filter(|fence| fence.language == language);
        fences
            .next()
            .filter(|_| fences.next().is_none())
            .with_context(|| format!("not one {language} block in {}", self.path.display()))
    }

    /// The table whose first row begins with this word.
    pub fn table(&self, first: &str) -> Result<&Table> {
        self.tables
            .iter()
            .find(|table| table.header.first().is_some_and(|cell| cell.text == first))
            .with_context(|| format!("no table that begins with `{first}`"))
    }

    fn take(&mut self, event: Event<'_>, place: &Range<usize>, text: &str, open: &mut Open) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => open.fence = Some(fence(&kind, place, text)),
            Event::End(TagEnd::CodeBlock) => self.fences.extend(open.fence.take()),
            Event::Start(Tag::Table(_)) => open.table = Some((Vec::new(), Vec::new())),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => open.end_row(),
            Event::End(TagEnd::TableCell) => open.row.push(std::mem::take(&mut open.cell)),
            Event::End(TagEnd::Table) => self.tables.extend(open.end_table()),
            Event::Start(Tag::Heading { .. }) => open.heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                self.anchors
                    .extend(open.heading.take().as_deref().map(anchor));
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.links.push(dest_url.into_string());
            }
            Event::Text(words) => open.text(&words),
            Event::Code(words) => {
                open.code(&words);
                self.code.push(words.into_string());
            }
            Event::SoftBreak => open.text(" "),
            _ => {}
        }
    }
}

/// Elements that have begun and not ended yet.
#[derive(Default)]
struct Open {
    fence: Option<Fence>,
    table: Option<(Vec<Cell>, Vec<Vec<Cell>>)>,
    row: Vec<Cell>,
    cell: Cell,
    heading: Option<String>,
}

impl Open {
    fn text(&mut self, words: &str) {
        if let Some(fence) = &mut self.fence {
            fence.text.push_str(words);
        }
        if let Some(heading) = &mut self.heading {
            heading.push_str(words);
        }
        if self.table.is_some() {
            self.cell.text.push_str(words);
        }
    }

    fn code(&mut self, words: &str) {
        self.text(words);
        if self.table.is_some() {
            self.cell.code.push(words.to_owned());
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        if let Some((header, rows)) = &mut self.table {
            if header.is_empty() {
                *header = row;
            } else {
                rows.push(row);
            }
        }
    }

    fn end_table(&mut self) -> Option<Table> {
        let (header, rows) = self.table.take()?;
        Some(Table { header, rows })
    }
}

fn fence(kind: &CodeBlockKind<'_>, place: &Range<usize>, text: &str) -> Fence {
    let before = text.get(..place.start).unwrap_or_default();
    Fence {
        line: before.matches('\n').count() + 1,
        language: match kind {
            CodeBlockKind::Fenced(language) => language.to_string(),
            CodeBlockKind::Indented => String::new(),
        },
        text: String::new(),
    }
}

/// As the usual viewers of Markdown name a heading: lower case, hyphens for spaces, no punctuation.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            ' ' | '-' => Some('-'),
            '_' => Some('_'),
            letter => letter.is_alphanumeric().then_some(letter),
        })
        .collect()
}
