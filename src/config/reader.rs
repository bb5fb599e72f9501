//! Reading JSON with every problem in mind: a node knows where it stands, and says what is wrong with
//! it in the words of the person who wrote it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `releases[1].version`.
    pub path: String,
    /// What, and what is allowed.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}

/// All that is wrong with a configuration, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one more.
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.0.push(Problem {
            path: path.into(),
            text: text.into(),
        });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something was already said about a key or what is below it.
    #[must_use]
    pub fn mention(&self, key: &str) -> bool {
        self.0.iter().any(|problem| {
            problem
                .path
                .strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// The problems, first found first.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// What the root of a configuration is called in a problem.
pub const ROOT: &str = "configuration";

/// A JSON value, as it was written, and where it stands.
///
/// It is taken apart as it is read, so a number still has the digits that its writer gave it.
pub struct Node<'v> {
    /// Where: `releases[1].version`.
    pub path: String,
    written: &'v RawValue,
}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    List,
    Object,
}

impl<'v> Node<'v> {
    pub fn root(written: &'v RawValue) -> Self {
        Self {
            path: ROOT.to_owned(),
            written,
        }
    }

    /// The value as it was written.
    pub fn written(&self) -> &'v str {
        self.written.get()
    }

    /// What kind of value it is: JSON tells by the first character.
    pub fn kind(&self) -> Kind {
        match self.written().as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The text, or a problem. A number gets the explanation that everybody needs once: `1.10` loses
    /// its zero on the way, in YAML and in Istio.
    pub fn text(&self, problems: &mut Problems) -> Option<String> {
        match self.kind() {
            Kind::Text => serde_json::from_str(self.written()).ok(),
            Kind::Number => {
                let number = self.written();
                problems.add(
                    &self.path,
                    format!("{number} is a number; write it as a string: \"{number}\""),
                );
                None
            }
            _ => self.not(problems, "a string"),
        }
    }

    /// What a text parses to, or a problem that says what is allowed.
    pub fn parse<T>(
        &self,
        problems: &mut Problems,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(problems)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.refuse(problems, allowed);
        }
        parsed
    }

    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match self.written() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.not(problems, "true or false"),
        }
    }

    /// A whole number within bounds, both included.
    pub fn integer(&self, problems: &mut Problems, least: u64, most: u64) -> Option<u64> {
        let allowed = format!("a whole number from {least} to {most}");
        if self.kind() != Kind::Number {
            return self.not(problems, &allowed);
        }
        let number = self.written().parse().ok();
        let integer = number.filter(|integer| (least..=most).contains(integer));
        if integer.is_none() {
            self.refuse(problems, &allowed);
        }
        integer
    }

    pub fn list(&self, problems: &mut Problems) -> Option<Vec<Node<'v>>> {
        if self.kind() != Kind::List {
            return self.not(problems, "a list");
        }
        let items: Vec<&'v RawValue> = serde_json::from_str(self.written()).ok()?;
        Some(
            items
                .into_iter()
                .enumerate()
                .map(|(index, written)| Node {
                    path: format!("{}[{index}]", self.path),
                    written,
                })
                .collect(),
        )
    }

    /// A list whose every item is read by `read`; those that cannot be are left out, with a problem.
    pub fn list_of<T>(
        &self,
        problems: &mut Problems,
        mut read: impl FnMut(&Node<'v>, &mut Problems) -> Option<T>,
    ) -> Vec<T> {
        self.list(problems)
            .unwrap_or_default()
            .iter()
            .filter_map(|item| read(item, problems))
            .collect()
    }

    /// An object with these keys and no others, each once, or a problem. JSON lets the last of two
    /// equal keys win in silence; half of a list lost in a merge is nothing to be silent about.
    pub fn object(&self, problems: &mut Problems, known: &[&str]) -> Option<Object<'v>> {
        if self.kind() != Kind::Object {
            return self.not(
                problems,
                &format!("an object with the keys {}", enumerated(known)),
            );
        }
        let Entries(entries) = serde_json::from_str(self.written()).ok()?;
        for (index, (key, _)) in entries.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                problems.add(below(&self.path, key), unknown_key(key, known));
            } else if entries
                .iter()
                .take(index)
                .any(|(earlier, _)| earlier == key)
            {
                problems.add(
                    below(&self.path, key),
                    "this key is there twice; allowed: once",
                );
            }
        }
        Some(Object {
            path: self.path.clone(),
            entries,
        })
    }

    /// Reports that the value is of a wrong kind.
    pub fn not<T>(&self, problems: &mut Problems, allowed: &str) -> Option<T> {
        let kind = match self.kind() {
            Kind::Null => "no value",
            Kind::Boolean => "a boolean",
            Kind::Number => "a number",
            Kind::Text => "a string",
            Kind::List => "a list",
            Kind::Object => "an object",
        };
        let excerpt = excerpt(self.written());
        problems.add(
            &self.path,
            format!("{excerpt} is {kind}; allowed: {allowed}"),
        );
        None
    }

    /// Reports that the value, though of the right kind, is not one of those allowed.
    pub fn refuse(&self, problems: &mut Problems, allowed: &str) {
        let excerpt = excerpt(self.written());
        problems.add(
            &self.path,
            format!("{excerpt} is not allowed; allowed: {allowed}"),
        );
    }
}

/// A JSON object and where it stands.
pub struct Object<'v> {
    path: String,
    entries: Vec<(String, &'v RawValue)>,
}

impl<'v> Object<'v> {
    /// The value of a key, if it is there.
    pub fn get(&self, key: &str) -> Option<Node<'v>> {
        self.entries
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, written)| Node {
                path: below(&self.path, key),
                written,
            })
    }

    /// The value of a key that must be there.
    pub fn require(&self, problems: &mut Problems, key: &str, allowed: &str) -> Option<Node<'v>> {
        let node = self.get(key);
        if node.is_none() {
            problems.add(
                below(&self.path, key),
                format!("missing; allowed: {allowed}"),
            );
        }
        node
    }

    /// The keys that are there.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }
}

/// The keys and values of an object in the order in which they are written, none of them lost.
pub struct Entries<'v>(pub Vec<(String, &'v RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

fn below(path: &str, key: &str) -> String {
    if path == ROOT {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|candidate| {
            (
                strsim::levenshtein(&key.to_ascii_lowercase(), &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .min()
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4);
    match nearest {
        Some((_, candidate)) => format!("unknown key; did you mean \"{candidate}\"?"),
        None => format!("unknown key; allowed: {}", enumerated(known)),
    }
}

/// `a, b and c`.
pub fn enumerated(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A value as it was written, on one line, cut where it is long.
fn excerpt(written: &str) -> String {
    const LONGEST: usize = 60;
    let line: Vec<_> = written.split_ascii_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", line.get(..cut).unwrap_or_default()),
        None => line,
    }
}
