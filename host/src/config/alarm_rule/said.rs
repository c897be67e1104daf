//! What else is said of a rule: how many values decide, words that X.733 registers, texts for people.

use crate::config::{Fault, Faults, Rule, near::did_you_mean, reader::Field, text::Data};

/// Values that are looked back on, at most.
const LOOKED_BACK_MAX: i64 = 100;
/// Characters of any other text, at most.
const TEXT_CHARS_MAX: usize = 2_000;

/// Reads `3` or `"3 of 5"`.
pub(super) fn check_raise_after(field: &Field<Data>, faults: &mut Faults) -> Option<(u32, u32)> {
    let at = match field {
        Field::Absent => return Some((1, 1)),
        Field::Broken => return None,
        Field::Given(at) => at,
    };
    let read = |times: i64, of: i64| {
        let fits = (1..=of).contains(&times) && of <= LOOKED_BACK_MAX;
        fits.then(|| Some((u32::try_from(times).ok()?, u32::try_from(of).ok()?))).flatten()
    };
    let (said, found) = match &at.value {
        Data::Whole(times) => (times.to_string(), read(*times, *times)),
        Data::Text(text) => {
            let parts = text.split_once(" of ").and_then(|(times, of)| Some((times.trim().parse().ok()?, of.trim().parse().ok()?)));
            (format!("\"{}\"", text.escape_debug()), parts.and_then(|(times, of)| read(times, of)))
        }
        _ => return None,
    };
    if found.is_none() {
        let fault = Fault::new(Rule::RaiseAfterIllegal, &at.place, format!("`raise_after`: {said} is no number of values"));
        faults.push(fault.hint(format!("write 3, or \"3 of 5\"; up to {LOOKED_BACK_MAX}")));
    }
    found
}

pub(super) fn check_clear_after(field: &Field<i64>, faults: &mut Faults) -> Option<u32> {
    let at = match field {
        Field::Absent => return Some(1),
        Field::Broken => return None,
        Field::Given(at) => at,
    };
    let found = u32::try_from(at.value).ok().filter(|_| (1..=LOOKED_BACK_MAX).contains(&at.value));
    if found.is_none() {
        let fault = Fault::new(Rule::ClearAfterOutOfRange, &at.place, format!("`clear_after`: {} is out of range", at.value));
        faults.push(fault.hint(format!("1 to {LOOKED_BACK_MAX}")));
    }
    found
}

pub(super) fn named<T: Copy>(
    key: &str,
    field: &Field<String>,
    all: &[T],
    name: impl Fn(T) -> &'static str,
    rule: Rule,
    faults: &mut Faults,
) -> Option<Option<T>> {
    let word = match field {
        Field::Absent => return Some(None),
        Field::Broken => return None,
        Field::Given(word) => word,
    };
    let found = all.iter().copied().find(|known| name(*known) == word.value);
    if found.is_none() {
        let fault = Fault::new(rule, &word.place, format!("`{key}`: \"{}\" is none that X.733 registers", word.escape_debug()));
        faults.push(fault.hint(did_you_mean(word, "known ones", all.iter().map(|known| name(*known)))));
    }
    found.map(Some)
}

/// Checks a text; none where nothing is said.
pub(in crate::config) fn check_text(key: &str, field: &Field<String>, faults: &mut Faults) -> Option<Option<String>> {
    let text = match field {
        Field::Absent => return Some(None),
        Field::Broken => return None,
        Field::Given(text) => text,
    };
    let length = text.chars().count();
    let has_lines = text.replace('\n', " ");
    let why = match length {
        0 => "it is empty".to_owned(),
        _ if length > TEXT_CHARS_MAX => format!("it has {length} characters, {TEXT_CHARS_MAX} are allowed"),
        _ if crate::plain(&has_lines) != has_lines => "it has characters that a terminal would obey".to_owned(),
        _ => return Some(Some(text.value.clone())),
    };
    faults.push(Fault::new(Rule::AlarmTextIllegal, &text.place, format!("`{key}`: no text that can be shown")).hint(why));
    None
}

pub(in crate::config) fn check_link(link: Option<String>, field: &Field<String>, faults: &mut Faults) -> Option<Option<String>> {
    let (Some(said), Field::Given(at)) = (&link, field) else { return Some(link) };
    let is_link = ["https://", "http://"].iter().any(|scheme| said.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if !is_link || said.contains(char::is_whitespace) {
        let fault = Fault::new(Rule::LinkIllegal, &at.place, format!("`link`: \"{}\" is no address of a page", said.escape_debug()));
        faults.push(fault.hint("write https://wiki.example/mail"));
        return None;
    }
    Some(link)
}
