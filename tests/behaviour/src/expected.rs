//! What is expected of a request and its answer.

use skew_guard::decision::Outcome;
use skew_guard::request::Class;
use skew_guard::telemetry::AnswerKind;

use crate::{Lines, Seen};

/// Everything that is expected; by default nothing in particular.
#[derive(Clone, Debug, Default)]
pub struct Expected(Vec<Check>);

/// What is checked, and how it must be.
#[derive(Clone, Debug)]
struct Check {
    at: Part,
    has: Has,
}

/// A part of what was seen, as lines of text.
#[derive(Clone, Debug)]
enum Part {
    /// Whether the request went on.
    Forwarded,
    /// The status.
    Status,
    /// The answer's lines of a header.
    Answer(&'static str),
    /// The forwarded request's lines of a header.
    Received(String),
    /// The body.
    Body,
    /// The details.
    Details,
    /// The counted outcome of the request.
    Outcome,
    /// The counted class of the request.
    Class,
    /// All tags that were counted for the request.
    Tags,
    /// What was counted for the answer.
    CountedAnswers,
}

#[derive(Clone, Debug)]
enum Has {
    /// These lines and no others.
    Lines(Vec<String>),
    /// One line that starts like this.
    Start(&'static str),
    /// One line that contains this.
    Word(&'static str),
    /// No line that contains this.
    NoWord(&'static str),
    /// These members, in one list or in several.
    Members(Vec<String>),
}

/// It goes on with this route, or with none if that is empty.
#[must_use]
pub fn to(route: &str) -> Expected {
    let route: &[&str] = if route.is_empty() { &[] } else { &[route] };
    forwarded(true).received("x-release", route)
}

/// It goes on, and is answered with this status.
#[must_use]
pub fn answer(status: u16) -> Expected {
    forwarded(true).status(status)
}

/// The filter answers it, with this status.
#[must_use]
pub fn refused(status: u16) -> Expected {
    forwarded(false).status(status)
}

/// It goes on unchanged, and so does its answer.
#[must_use]
pub fn untouched() -> Expected {
    forwarded(true)
        .lacks("vary")
        .lacks("x-client-update")
        .lacks("set-cookie")
}

fn forwarded(is: bool) -> Expected {
    Expected::default().and(Part::Forwarded, lines(&[&is.to_string()]))
}

fn lines(lines: &[&str]) -> Has {
    Has::Lines(lines.iter().map(|line| (*line).to_owned()).collect())
}

impl Expected {
    fn and(mut self, at: Part, has: Has) -> Self {
        self.0.push(Check { at, has });
        self
    }

    /// The answer's status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.and(Part::Status, lines(&[&status.to_string()]))
    }

    /// The answer has this one line of a header.
    #[must_use]
    pub fn has(self, name: &'static str, value: &str) -> Self {
        self.has_all(name, &[value])
    }

    /// The answer has these lines of a header, and no others.
    #[must_use]
    pub fn has_all(self, name: &'static str, values: &[&str]) -> Self {
        self.and(Part::Answer(name), lines(values))
    }

    /// The answer has a header that starts like this.
    #[must_use]
    pub fn starts(self, name: &'static str, start: &'static str) -> Self {
        self.and(Part::Answer(name), Has::Start(start))
    }

    /// The answer has a header that is a list of these, in one line or in several.
    #[must_use]
    pub fn lists(self, name: &'static str, members: &[&str]) -> Self {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.and(Part::Answer(name), Has::Members(members))
    }

    /// The answer has no line of a header.
    #[must_use]
    pub fn lacks(self, name: &'static str) -> Self {
        self.has_all(name, &[])
    }

    /// The answer has no line of these headers.
    #[must_use]
    pub fn lacks_all(self, names: &[&'static str]) -> Self {
        names
            .iter()
            .fold(self, |expected, name| expected.lacks(name))
    }

    /// No line of this header contains this.
    #[must_use]
    pub fn never(self, name: &'static str, word: &'static str) -> Self {
        self.and(Part::Answer(name), Has::NoWord(word))
    }

    /// The answer's body.
    #[must_use]
    pub fn body(self, body: &str) -> Self {
        self.and(Part::Body, lines(&[body]))
    }

    /// The answer's body contains this.
    #[must_use]
    pub fn says(self, word: &'static str) -> Self {
        self.and(Part::Body, Has::Word(word))
    }

    /// The forwarded request has these lines of a header, and no others.
    #[must_use]
    pub fn received(self, name: &str, values: &[&str]) -> Self {
        self.and(Part::Received(name.to_owned()), lines(values))
    }

    /// The details after `skew_guard_`, for the access log.
    #[must_use]
    pub fn because(self, why: &str) -> Self {
        let details = format!("skew_guard_{why}");
        self.and(Part::Details, lines(&[&details]))
    }

    /// The outcome that is counted.
    #[must_use]
    pub fn counted(self, outcome: Outcome) -> Self {
        self.and(Part::Outcome, lines(&[outcome.name()]))
    }

    /// The class that is counted.
    #[must_use]
    pub fn class(self, class: Class) -> Self {
        self.and(Part::Class, lines(&[class.name()]))
    }

    /// The release, outcome and class that are counted.
    #[must_use]
    pub fn counted_as(self, tags: &str) -> Self {
        self.and(Part::Tags, lines(&[tags]))
    }

    /// What is counted for the answer, and for which release.
    #[must_use]
    pub fn counted_answer(self, route: &str, kind: AnswerKind) -> Self {
        let tags = format!("{route} {}", kind.name());
        self.and(Part::CountedAnswers, lines(&[&tags]))
    }

    /// Nothing is counted, neither for the request nor for its answer.
    #[must_use]
    pub fn uncounted(self) -> Self {
        self.and(Part::Outcome, lines(&[])).no_counted_answer()
    }

    /// Nothing is counted for the answer.
    #[must_use]
    pub fn no_counted_answer(self) -> Self {
        self.and(Part::CountedAnswers, lines(&[]))
    }

    /// Whether counters have to be read.
    #[must_use]
    pub fn counts(&self) -> bool {
        let mut parts = self.0.iter().map(|check| &check.at);
        parts.any(|at| {
            matches!(
                at,
                Part::Outcome | Part::Class | Part::Tags | Part::CountedAnswers
            )
        })
    }

    /// Whether the details have to be read.
    #[must_use]
    pub fn gives_reasons(&self) -> bool {
        self.0.iter().any(|check| matches!(check.at, Part::Details))
    }

    /// Everything that is not as expected, in words.
    #[must_use]
    pub fn differences(&self, seen: &Seen) -> Vec<String> {
        let wrong = self.0.iter().filter_map(|check| {
            let found = check.at.of(seen);
            let holds = check.has.holds(&found);
            (!holds).then(|| format!("{:?} is {found:?} and not {:?}", check.at, check.has))
        });
        wrong.collect()
    }
}

impl Part {
    fn of(&self, seen: &Seen) -> Vec<String> {
        match self {
            Self::Forwarded => vec![seen.received.is_some().to_string()],
            Self::Status => vec![seen.status.to_string()],
            Self::Answer(name) => named(&seen.answer, name),
            Self::Received(name) => {
                let received = seen.received.as_ref();
                received.map_or_else(Vec::new, |lines| named(lines, name))
            }
            Self::Body => vec![String::from_utf8_lossy(&seen.body).into_owned()],
            Self::Details => vec![seen.details.clone()],
            Self::Outcome => tag(seen, 1),
            Self::Class => tag(seen, 2),
            Self::Tags => counted(seen, 3),
            Self::CountedAnswers => counted(seen, 2),
        }
    }
}

fn named(lines: &Lines, name: &str) -> Vec<String> {
    let named = lines.iter().filter(|(key, _)| key == name);
    named
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The counters with this many tags.
fn counted(seen: &Seen, count: usize) -> Vec<String> {
    let counters = seen.counted.iter();
    let counters = counters.filter(|tags| tags.split(' ').count() == count);
    counters.cloned().collect()
}

/// The tag at this position in the counters of requests.
fn tag(seen: &Seen, place: usize) -> Vec<String> {
    let counters = counted(seen, 3).into_iter();
    counters
        .filter_map(|tags| tags.split(' ').nth(place).map(str::to_owned))
        .collect()
}

impl Has {
    fn holds(&self, found: &[String]) -> bool {
        match (self, found) {
            (Self::Lines(lines), found) => lines == found,
            (Self::Start(start), [line]) => line.starts_with(start),
            (Self::Word(word), [line]) => line.contains(word),
            (Self::NoWord(word), lines) => !lines.iter().any(|line| line.contains(word)),
            (Self::Members(members), lines) => {
                let found = lines.iter().flat_map(|line| line.split(','));
                found.map(str::trim).eq(members.iter().map(String::as_str))
            }
            _ => false,
        }
    }
}
