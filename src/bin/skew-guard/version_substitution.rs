//! A text of one release, a route or a label, adapted for another.

use crate::document::chart_route;

/// The ways in which a version may be spelled in a text.
const SPELLINGS: [fn(&str) -> String; 3] = [str::to_owned, chart_route, dashed];

fn dashed(version: &str) -> String {
    version.replace(['.', '+', '_'], "-")
}

/// Why it is unclear how a text is made from a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// The version is not in it.
    Absent,
    /// It is in it more than once.
    Several,
}

/// The text with one version replaced by another; it has to occur once, as a whole word.
pub fn substitute_version(text: &str, version: &str, new: &str) -> Result<String, Ambiguity> {
    let mut found: Vec<_> = SPELLINGS
        .iter()
        .flat_map(|spelling| {
            let spelled = spelling(version);
            let places: Vec<_> = text.match_indices(&spelled).collect();
            let places = places.into_iter().map(|(start, word)| (start, word.len()));
            places.map(|(start, length)| (start, start + length, spelling(new)))
        })
        .filter(|(start, end, _)| is_word(text, *start, *end))
        .collect();
    // Of two that overlap, the longer one; if several spellings are the same, the first.
    found.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
    found.dedup_by(|(start, ..), (_, end, _)| *start < *end);
    match found.as_slice() {
        [] => Err(Ambiguity::Absent),
        [(start, end, new)] => {
            let before = text.get(..*start).unwrap_or_default();
            let after = text.get(*end..).unwrap_or_default();
            Ok(format!("{before}{new}{after}"))
        }
        _ => Err(Ambiguity::Several),
    }
}

/// Whether the text there is not part of a longer word or number. A number may follow letters, as in
/// `v2`.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let (before, after) = (text.get(..start), text.get(end..));
    let is_part = |letter: &char| letter.is_alphanumeric();
    let joined: Vec<_> = before
        .unwrap_or_default()
        .chars()
        .rev()
        .take_while(is_part)
        .collect();
    let is_number = text
        .get(start..)
        .is_some_and(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    let begins = joined.is_empty() || is_number && joined.iter().all(|c| c.is_alphabetic());
    let ends = !after.unwrap_or_default().starts_with(char::is_alphanumeric);
    begins && ends
}
