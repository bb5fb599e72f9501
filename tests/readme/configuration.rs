//! What the README says about the configuration.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};
use skew_guard::config::{Config, MAX_RETIRED, MAX_SERVED};
use skew_guard::policy::Policy;
use skew_guard_lab::markdown::{Cell, Document};

use crate::Claim;
use crate::pages::README;

pub const CLAIMS: &[Claim] = &[
    (
        "the table of the configuration has exactly the keys that exist",
        the_table_has_every_key,
    ),
    (
        "each key's row names the keys below it",
        each_row_names_the_keys_below_it,
    ),
    (
        "each default in the table is correct",
        each_default_is_the_default,
    ),
    (
        "releases are limited as the table says",
        releases_are_limited,
    ),
];

pub const RULES: &[Claim] = &[(
    "there are ten rules, numbered as in `explain`",
    there_are_ten_rules,
)];

/// A configuration as a reader would copy it.
pub fn loads(text: &str) -> Result<()> {
    load(text).map(|_| ())
}

fn load(text: &str) -> Result<Policy> {
    Config::load(text.as_bytes())
        .map(Policy::from)
        .map_err(|problems| anyhow!("{problems}"))
}

/// The configuration that the README shows.
pub fn shown() -> Result<String> {
    Ok(Document::read(README)?.fence("json")?.text.clone())
}

/// The revision of that configuration.
pub fn revision() -> Result<u64> {
    let configuration: Value = serde_json::from_str(&shown()?)?;
    configuration["revision"].as_u64().context("a revision")
}

/// One invalid configuration, made from the one in the README, gets exactly these problems.
pub fn problems_are_reported(expected: &str) -> Result<()> {
    let right = r#""version": "1.4.2""#;
    let wrong = shown()?.replacen(right, r#""version": 1.10"#, 1).replacen(
        r#""current":"#,
        r#""curent":"#,
        1,
    );
    let Err(problems) = Config::load(wrong.as_bytes()) else {
        return Err(anyhow!(
            "the wrong configuration is taken for valid: {wrong}"
        ));
    };
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for problem in expected.lines() {
        let shape = problem.replace("releases[1]", "releases[2]");
        ensure!(
            said.contains(&problem.to_owned()) || said.contains(&shape),
            "`{problem}` is not among the problems {said:#?}"
        );
    }
    Ok(())
}

fn the_table_has_every_key(readme: &Document) -> Result<()> {
    let named: BTreeSet<_> = rows(readme)?.into_iter().flat_map(|row| row.keys).collect();
    ensure!(
        named == allowed_in(&json!({}), "")?,
        "the table has {named:?}"
    );
    Ok(())
}

fn each_row_names_the_keys_below_it(readme: &Document) -> Result<()> {
    for row in rows(readme)? {
        for key in &row.keys {
            for inner in keys_below(key)? {
                let named = row.meaning.code.iter().any(|code| names(code, &inner));
                ensure!(named, "the row of `{key}` does not name `{inner}`");
            }
        }
    }
    Ok(())
}

fn each_default_is_the_default(readme: &Document) -> Result<()> {
    let minimal = json!({ "releases": [{ "version": "2.0.0" }] });
    let expected = format!("{:?}", load(&minimal.to_string())?);
    for row in rows(readme)? {
        let Some(default) = row.default_value() else {
            continue;
        };
        for key in &row.keys {
            let mut explicit = minimal.clone();
            explicit[key] = default.clone();
            let policy =
                load(&explicit.to_string()).with_context(|| format!("the default of `{key}`"))?;
            ensure!(
                format!("{policy:?}") == expected,
                "{default} is not the default of `{key}`"
            );
        }
    }
    Ok(())
}

fn releases_are_limited(readme: &Document) -> Result<()> {
    let limits = format!("1 to {MAX_SERVED} that are not retired, up to {MAX_RETIRED} that are");
    let rows = rows(readme)?;
    let row = rows
        .iter()
        .find(|row| row.keys == ["releases"])
        .context("a row of `releases`")?;
    ensure!(row.meaning.text.starts_with(&limits), "{limits}");
    Ok(())
}

fn there_are_ten_rules(page: &Document) -> Result<()> {
    let (_, rules) = page
        .text
        .split_once("# How a request is decided")
        .context("the rules")?;
    let last = rules
        .lines()
        .take_while(|line| !line.starts_with("\"Current\" is"))
        .filter_map(|line| line.split_once(". ")?.0.parse::<u8>().ok())
        .max();
    let expected = skew_guard::decision::Rule::NotServed as u8;
    ensure!(last == Some(expected), "the last rule is {last:?}");
    Ok(())
}

/// A row of the table.
struct Row {
    keys: Vec<String>,
    default: Cell,
    meaning: Cell,
}

impl Row {
    /// The default as written in a configuration; absent if a key has none.
    fn default_value(&self) -> Option<Value> {
        let Cell { text, code } = &self.default;
        if self.keys == ["sources"] {
            return Some(sources(text));
        }
        let code = code.first()?;
        Some(serde_json::from_str(code).unwrap_or_else(|_| json!(code)))
    }
}

/// `headers a, b, query c`, as the table writes the sources.
fn sources(text: &str) -> Value {
    let mut kind = "";
    let mut sources = Vec::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        match word {
            "header" | "headers" => kind = "header",
            "query" => kind = "query",
            name => sources.push(json!({ kind: name })),
        }
    }
    json!(sources)
}

fn rows(readme: &Document) -> Result<Vec<Row>> {
    let rows = &readme.table("key")?.rows;
    rows.iter()
        .map(|row| {
            let [keys, default, meaning] = row.as_slice() else {
                return Err(anyhow!("a row of other than three cells: {row:?}"));
            };
            Ok(Row {
                keys: keys.code.clone(),
                default: default.clone(),
                meaning: meaning.clone(),
            })
        })
        .collect()
}

/// Whether code names a key, alone or in an object.
fn names(code: &str, key: &str) -> bool {
    code.split(|letter: char| !letter.is_alphanumeric())
        .any(|word| word == key)
}

/// The keys allowed below one, whether it holds an object or a list of objects.
fn keys_below(key: &str) -> Result<BTreeSet<String>> {
    let mut keys = allowed_in(&json!({ key: { UNKNOWN: 1 } }), key)?;
    keys.extend(allowed_in(
        &json!({ key: [{ UNKNOWN: 1 }] }),
        &format!("{key}[0]"),
    )?);
    Ok(keys)
}

/// Unlike any real key, so that the reader lists all that it knows.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzz";

/// What the reader says is allowed at a place; nothing if it does not hold an object.
fn allowed_in(configuration: &Value, place: &str) -> Result<BTreeSet<String>> {
    let mut configuration = configuration.clone();
    let path = if place.is_empty() {
        configuration[UNKNOWN] = json!(1);
        UNKNOWN.to_owned()
    } else {
        format!("{place}.{UNKNOWN}")
    };
    let Err(problems) = Config::load(configuration.to_string().as_bytes()) else {
        return Err(anyhow!("an unknown key is accepted"));
    };
    let allowed = problems
        .iter()
        .filter(|problem| problem.path == path)
        .filter_map(|problem| problem.text.strip_prefix("unknown key; allowed: "));
    Ok(allowed
        .flat_map(|keys| keys.split(", ").flat_map(|keys| keys.split(" and ")))
        .map(str::to_owned)
        .collect())
}
