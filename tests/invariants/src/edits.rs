//! Steps that `skew-guard release` and `skew-guard rollback` write to a file.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use arbitrary::{Arbitrary, Unstructured};
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};
use skew_guard::rollout::{Edit, Lifecycle, LoadedConfig, ReleaseSpec, Step, apply};
use skew_guard::version::Version;

use crate::document::Document;
use crate::setup::NOW;
use crate::{documents, edit, yaml};

/// A step that an operator asks for.
#[derive(Arbitrary, Clone, Debug)]
pub struct Asked {
    version: u8,
    operation: Operation,
}

#[derive(Arbitrary, Clone, Debug)]
enum Operation {
    Next,
    Staged,
    Live,
    Current,
    Percent(u8),
    Retired,
    Removed,
    Rollback,
    RollbackOf,
}

/// The versions of steps, including those in a [`File`].
const VERSIONS: [&str; 4] = ["3.0.0", "2.0.0", "1.4.2", "9f86d08"];

impl Asked {
    fn version(&self) -> Version {
        let version = VERSIONS[usize::from(self.version) % VERSIONS.len()];
        Version::parse(version.as_bytes()).expect("a version")
    }

    fn edits(&self, loaded: &LoadedConfig) -> Option<Vec<Edit>> {
        let (step, percent) = match self.operation {
            Operation::Next | Operation::Rollback | Operation::RollbackOf => (None, None),
            Operation::Staged => (Some(Step::Staged), None),
            Operation::Live => (Some(Step::Live), None),
            Operation::Current => (Some(Step::Current), None),
            Operation::Percent(percent) => (Some(Step::Current), Some(percent % 101)),
            Operation::Retired => (Some(Step::Retired), None),
            Operation::Removed => (Some(Step::Removed), None),
        };
        let life = Lifecycle::new(loaded, NOW);
        match self.operation {
            Operation::Rollback => life.rollback(None, None).ok(),
            Operation::RollbackOf => life.rollback(Some(&self.version()), None).ok(),
            _ => life
                .release(&ReleaseSpec {
                    version: self.version(),
                    step,
                    drain_until: NOW + 24 * 60 * 60,
                    percent,
                    route: None,
                    labels: Map::new(),
                })
                .ok(),
        }
    }
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// The file cannot be read, or does not hold exactly one valid configuration.
    NoFile,
    /// The step is not possible from here, or nothing is left to do.
    NoStep,
    /// The file has a layout in which no step is made.
    Declined(String),
    /// The file afterwards.
    File(String),
}

/// Makes a step in a file, and judges it: the file parses, means what was asked and nothing else, and keeps every
/// byte that did not have to change.
#[must_use]
pub fn make(text: &str, asked: &Asked) -> Made {
    let Some(document) = read(text) else {
        return Made::NoFile;
    };
    let Ok(loaded) = document.load() else {
        return Made::NoFile;
    };
    let edits = asked.edits(&loaded).unwrap_or_default();
    if edits.is_empty() {
        return Made::NoStep;
    }
    let after = match edit::edited(text, &document, &edits) {
        Ok(after) => after,
        Err(why) => return Made::Declined(format!("{why:#}")),
    };
    let story = || format!("{asked:?}\n{edits:?}\n---- before\n{text}\n---- after\n{after}");
    means_what_was_asked(&after, &loaded, &edits, &story);
    let words = words_that_may_go(&document, &edits);
    keeps_every_other_line(text, &after, &words, &story);
    if !edits.iter().any(|edit| matches!(edit, Edit::Remove(_))) {
        keeps_comments(text, &after, &story);
    }
    Made::File(after)
}

fn read(text: &str) -> Option<Document> {
    let (_, text) = yaml::split_bom(text);
    let roots = if text.trim_start().starts_with('{') {
        vec![yaml::read_json(text).ok()?]
    } else {
        yaml::read(text).ok()?
    };
    let roots: Vec<_> = roots.into_iter().map(Rc::new).collect();
    let mut documents = documents::find(Path::new("shop.yaml"), &roots).ok()?;
    documents.pop().filter(|_| documents.is_empty())
}

fn means_what_was_asked(
    after: &str,
    before: &LoadedConfig,
    edits: &[Edit],
    story: &dyn Fn() -> String,
) {
    let Some(document) = read(after) else {
        panic!("it cannot be read any more: {}", story())
    };
    let Ok(loaded) = document.load() else {
        panic!("it is wrong now: {}", story())
    };
    // The plugin's view is the same in every form of file, except that the chart makes its own routes.
    let mut meant = before.json.clone();
    apply(edits, &mut meant, skew_guard::rollout::Reader::Plugin);
    assert_eq!(
        without_routes(loaded.json),
        without_routes(meant),
        "{}",
        story()
    );
}

fn without_routes(mut root: Value) -> Value {
    let releases = root.get_mut("releases").and_then(Value::as_array_mut);
    for release in releases.into_iter().flatten() {
        if let Some(release) = release.as_object_mut() {
            release.remove("route");
        }
    }
    root
}

/// What a removed line may contain: the keys of a step and the values that it replaces.
fn words_that_may_go(document: &Document, edits: &[Edit]) -> BTreeSet<String> {
    let keys = [
        "current", "revision", "state", "until", "releases", "weight",
    ];
    let mut words: BTreeSet<String> = keys.map(str::to_owned).into();
    words.extend(edits.iter().filter_map(|edit| match edit {
        Edit::State { version, .. } | Edit::Remove(version) => Some(version.to_string()),
        _ => None,
    }));
    let node = document.node();
    // If the list is on one line, the new first item is beside it.
    let first = node.as_ref().and_then(|node| {
        node.get("releases")?
            .items()
            .first()?
            .get("version")?
            .text()
    });
    words.extend(first.map(str::to_owned));
    words
}

fn keeps_every_other_line(
    before: &str,
    after: &str,
    words: &BTreeSet<String>,
    story: &dyn Fn() -> String,
) {
    // A file without a final line break still has none, whichever line is last now.
    let last = |text: &str| text.lines().last().map(str::to_owned);
    let last_now = last(after).filter(|_| !before.ends_with('\n') && !after.ends_with('\n'));
    let difference = TextDiff::from_lines(before, after);
    for change in difference.iter_all_changes() {
        let line = change.value();
        let is_last_now = last_now.is_some() && last_now == last(line);
        // After the last item of a bracketed list comes the bracket, not a comma.
        let without_comma = line.trim().replace("},", "}");
        let is_moved =
            line.contains(['}', ']']) && after.contains(without_comma.trim_end_matches(','));
        let may_go =
            is_moved || is_last_now || words.iter().any(|word| line.contains(word.as_str()));
        assert!(
            change.tag() != ChangeTag::Delete || may_go || line.trim().is_empty(),
            "a line was lost: {line:?}\n{}",
            story()
        );
    }
}

fn keeps_comments(before: &str, after: &str, story: &dyn Fn() -> String) {
    let comments = |text: &str| -> Vec<String> {
        let lines = text.lines();
        let found = lines.filter_map(|line| Some(line.get(line.find("# note")?..)?.to_owned()));
        found.collect()
    };
    assert_eq!(comments(after), comments(before), "{}", story());
}

/// A file as somebody might write it, with one valid configuration.
#[derive(Clone, Debug)]
pub struct File(String);

impl File {
    /// Its content.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl<'a> Arbitrary<'a> for File {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut writer = Writer::arbitrary(bytes)?;
        let mut releases = vec![Release::current("2.0.0")];
        if bytes.arbitrary()? {
            releases.insert(0, Release::live("3.0.0"));
        }
        if bytes.arbitrary()? {
            releases.push(Release {
                version: "1.4.2",
                state: bytes.choose(&["draining", "retired", "live"])?,
                has_until: bytes.arbitrary()?,
            });
        }
        writer.file(&releases, bytes)?;
        let text = writer.text;
        Ok(Self(if writer.ends_lines_with_cr {
            text.replace('\n', "\r\n")
        } else {
            text
        }))
    }
}

struct Release {
    version: &'static str,
    state: &'static str,
    has_until: bool,
}

impl Release {
    fn live(version: &'static str) -> Self {
        Self {
            version,
            state: "live",
            has_until: false,
        }
    }

    fn current(version: &'static str) -> Self {
        Self::live(version)
    }
}

/// A style of writing.
struct Writer {
    text: String,
    quote: &'static str,
    /// Before the dash of a list's item.
    indent: &'static str,
    lists: ListStyle,
    around: Around,
    ends_lines_with_cr: bool,
    notes: usize,
}

#[derive(Arbitrary, Clone, Copy, PartialEq, Eq)]
enum ListStyle {
    Block,
    BlockOfFlow,
    Flow,
    FlowOverLines,
}

#[derive(Arbitrary, Clone, Copy, PartialEq, Eq)]
enum Around {
    Nothing,
    Manifest,
    Chart,
}

impl Writer {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self {
            text: String::new(),
            quote: bytes.choose(&["\"", "'", ""])?,
            indent: bytes.choose(&["", "  "])?,
            lists: bytes.arbitrary()?,
            around: bytes.arbitrary()?,
            ends_lines_with_cr: bytes.ratio(1, 8)?,
            notes: 0,
        })
    }

    fn file(
        &mut self,
        releases: &[Release],
        bytes: &mut Unstructured<'_>,
    ) -> arbitrary::Result<()> {
        self.note(0, bytes)?;
        let depth = match self.around {
            Around::Nothing | Around::Chart => 0,
            Around::Manifest => {
                self.line(0, "kind: WasmPlugin", bytes)?;
                self.line(0, "metadata: {name: skew-guard}", bytes)?;
                self.line(0, "spec:", bytes)?;
                self.line(1, "url: oci://registry.example.com/skew-guard:1", bytes)?;
                self.line(1, "pluginConfig:", bytes)?;
                2
            }
        };
        if self.around == Around::Chart {
            self.line(0, "gateways: [shop]", bytes)?;
            self.line(0, "config:", bytes)?;
            self.line(1, "revision: 7", bytes)?;
            self.line(1, "hints: true", bytes)?;
        } else if bytes.arbitrary()? {
            self.line(depth, "revision: 7", bytes)?;
        }
        let current = format!("current: {}", self.quoted("2.0.0"));
        let is_first = bytes.arbitrary()?;
        if is_first {
            self.line(depth, &current, bytes)?;
        }
        self.releases(depth, releases, bytes)?;
        if !is_first {
            self.line(depth, &current, bytes)?;
        }
        if self.around == Around::Manifest && bytes.arbitrary()? {
            self.text += "---\nkind: ConfigMap\ndata:\n  text: |\n    current: \"2.0.0\"\n      # note no comment\n";
        }
        if bytes.ratio(1, 8)? {
            self.text.truncate(self.text.trim_end().len());
        }
        Ok(())
    }

    fn releases(
        &mut self,
        depth: usize,
        releases: &[Release],
        bytes: &mut Unstructured<'_>,
    ) -> arbitrary::Result<()> {
        let entries: Vec<_> = releases.iter().map(|release| self.pairs(release)).collect();
        let flow = |pairs: &Vec<String>| format!("{{{}}}", pairs.join(", "));
        let flows: Vec<_> = entries.iter().map(flow).collect();
        if self.lists == ListStyle::Flow {
            return self.line(depth, &format!("releases: [{}]", flows.join(", ")), bytes);
        }
        if self.lists == ListStyle::FlowOverLines {
            self.line(depth, "releases: [", bytes)?;
            let last = flows.len() - 1;
            for (index, entry) in flows.iter().enumerate() {
                let comma = if index < last { "," } else { "" };
                self.line(depth + 1, &format!("{entry}{comma}"), bytes)?;
            }
            return self.line(depth + 1, "]", bytes);
        }
        self.line(depth, "releases:", bytes)?;
        for (pairs, flow) in entries.iter().zip(&flows) {
            self.note(depth + 1, bytes)?;
            if self.lists == ListStyle::BlockOfFlow {
                self.line(depth, &format!("{}- {flow}", self.indent), bytes)?;
                continue;
            }
            for (index, pair) in pairs.iter().enumerate() {
                let dash = if index == 0 { "- " } else { "  " };
                self.line(depth, &format!("{}{dash}{pair}", self.indent), bytes)?;
            }
        }
        Ok(())
    }

    fn pairs(&self, release: &Release) -> Vec<String> {
        let mut pairs = vec![format!("version: {}", self.quoted(release.version))];
        if release.state != "live" {
            pairs.push(format!("state: {}", release.state));
        }
        if release.has_until && release.state == "draining" {
            pairs.push("until: \"2027-01-15T09:00:00Z\"".into());
        }
        pairs
    }

    fn quoted(&self, text: &str) -> String {
        format!("{0}{text}{0}", self.quote)
    }

    fn line(
        &mut self,
        depth: usize,
        text: &str,
        bytes: &mut Unstructured<'_>,
    ) -> arbitrary::Result<()> {
        self.text += &"  ".repeat(depth);
        self.text += text;
        if bytes.ratio(1, 5)? {
            self.notes += 1;
            self.text += &format!(" # note {}", self.notes);
        }
        self.text.push('\n');
        if bytes.ratio(1, 10)? {
            self.text.push('\n');
        }
        Ok(())
    }

    /// A comment on its own line.
    fn note(&mut self, depth: usize, bytes: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        if bytes.ratio(1, 4)? {
            self.notes += 1;
            self.text += &format!("{}# note {}\n", "  ".repeat(depth), self.notes);
        }
        Ok(())
    }
}
