//! Metrics, as a Prometheus server scrapes them.

use std::collections::BTreeMap;

use skew_guard_behaviour::Counts;

/// One scrape.
#[derive(Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: u64,
}

impl Metrics {
    /// Reads the text format
    /// (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>), as far as whole numbers and
    /// labels without escapes go.
    pub fn read(text: &str) -> Self {
        Self(text.lines().filter_map(Sample::read).collect())
    }

    /// The sum of all samples of that name that have these labels, and perhaps others.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// What the filter has counted for requests and answers under a plugin's name, by tags.
    pub fn counts(&self, plugin: &str) -> Counts {
        let tags = [
            (
                "skew_guard_requests_total",
                &["release", "outcome", "class"][..],
            ),
            ("skew_guard_answers_total", &["release", "answer"]),
        ];
        let of_plugin =
            |sample: &&Sample| sample.labels.get("plugin").is_some_and(|is| is == plugin);
        let counts = tags.into_iter().flat_map(|(name, tags)| {
            let samples = self.0.iter().filter(move |sample| sample.name == name);
            let samples = samples.filter(of_plugin);
            samples.map(|sample| (sample.tags(tags), sample.value))
        });
        counts.collect()
    }

    /// The values that a label has in the samples of that name that have these other labels.
    pub fn values(&self, name: &str, labels: &[(&str, &str)], label: &str) -> Vec<&str> {
        let values = self.matching(name, labels);
        let mut values: Vec<_> = values
            .filter_map(|sample| sample.labels.get(label))
            .map(String::as_str)
            .collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    fn matching<'m>(
        &'m self,
        name: &str,
        labels: &[(&str, &str)],
    ) -> impl Iterator<Item = &'m Sample> {
        self.0.iter().filter(move |sample| {
            sample.name == name
                && labels
                    .iter()
                    .all(|(label, value)| sample.labels.get(*label).is_some_and(|has| has == value))
        })
    }
}

impl Sample {
    fn tags(&self, labels: &[&str]) -> String {
        let values = labels.iter().filter_map(|label| self.labels.get(*label));
        values.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn read(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('{')?;
        let (labels, value) = rest.split_once("} ")?;
        let labels = labels.split("\",").filter_map(|label| {
            let (label, value) = label.split_once("=\"")?;
            Some((label.to_owned(), value.trim_end_matches('"').to_owned()))
        });
        Some(Self {
            name: name.into(),
            labels: labels.collect(),
            value: value.parse().ok()?,
        })
    }
}
