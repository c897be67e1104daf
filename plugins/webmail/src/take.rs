//! What is taken from an answer: a header, a cookie, a value of JSON, or the part of a page between texts.

use std::borrow::Cow;

use crate::{
    page::{Page, Source},
    template::{Template, Words},
};

/// Bytes that a value may have: tokens have dozens, lists of numbers hundreds.
const VALUE_BYTES_MAX: usize = 8192;
/// Bytes of an entity without its signs: `#x10FFFF`.
const ENTITY_BYTES_MAX: usize = 9;
/// Parts that are taken of one page.
const PARTS_MAX: usize = 1000;

/// A rule that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Taking {
    pub(crate) source: Source,
    pub(crate) after: Vec<Template>,
    pub(crate) until: Option<Template>,
    pub(crate) all: bool,
    pub(crate) html: bool,
    pub(crate) optional: bool,
    pub(crate) public: bool,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// It is not there.
    Absent,
    /// What is there can be no value: it is too long, or has control characters in it.
    NoValue,
}

impl Taking {
    /// Takes it.
    pub(crate) fn find(&self, page: &Page<'_>, words: &Words) -> Result<String, Untaken> {
        let text = page.text(&self.source).ok_or(Untaken::Absent)?;
        let after: Vec<String> = self.after.iter().map(|text| text.fill(words)).collect();
        let until = self.until.as_ref().map(|text| text.fill(words));
        let mut parts = Vec::new();
        let mut rest = text.as_ref();
        while let Some((part, behind)) = cut(rest, &after, until.as_deref()) {
            if part.len() > VALUE_BYTES_MAX {
                return Err(Untaken::NoValue);
            }
            parts.push(if self.html { without_entities(part) } else { part.into() });
            rest = behind;
            if !self.all {
                break;
            }
            if parts.len() > PARTS_MAX {
                return Err(Untaken::NoValue);
            }
        }
        if parts.is_empty() {
            return Err(Untaken::Absent);
        }
        let value = parts.join(",");
        match value.len() > VALUE_BYTES_MAX || value.contains(char::is_control) {
            true => Err(Untaken::NoValue),
            false => Ok(value),
        }
    }

    /// Where it is looked for, in words.
    pub(crate) fn name(&self) -> String {
        self.source.name()
    }
}

/// The part that lies between, and the rest behind it.
fn cut<'a>(text: &'a str, after: &[String], until: Option<&str>) -> Option<(&'a str, &'a str)> {
    let from = after.iter().try_fold(text, |rest, before| rest.split_once(before.as_str()).map(|(_, rest)| rest))?;
    match until {
        Some(until) => from.split_once(until),
        None => Some((from, "")),
    }
}

/// Undoes the entities of HTML that templates write; others stay as they are.
fn without_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        // Looked for nearby only: a page may be nothing but ampersands.
        let end = rest.bytes().skip(at + 1).take(ENTITY_BYTES_MAX).position(|byte| byte == b';').map(|length| at + 1 + length);
        let known = end.and_then(|end| Some((entity(rest.get(at + 1..end)?)?, &rest[end + 1..])));
        match known {
            Some((c, behind)) => {
                plain.push(c);
                rest = behind;
            }
            None => {
                plain.push('&');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain.into()
}

fn entity(name: &str) -> Option<char> {
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16),
            decimal => number(decimal, 10),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, after: &[&str], until: Option<&str>, expected: Option<(&str, &str)>) {
        let after: Vec<String> = after.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(cut(text, &after, until), expected, "{text}");
    }

    #[test]
    fn a_part_lies_behind_each_text_in_turn_and_before_the_next_end() {
        check("a=1;b=2;", &["b="], Some(";"), Some(("2", "")));
        check("a=1;b=2;", &["a=", "b="], Some(";"), Some(("2", "")));
        check("a=1;b=2;", &["b=", "a="], Some(";"), None);
        check("a=1;b=2", &["b="], Some(";"), None);
        check("a=1;b=2", &["b="], None, Some(("2", "")));
        check("a=1", &[], Some("="), Some(("a", "1")));
        check("a=1", &[], None, Some(("a=1", "")));
        check("aaa", &["a"], Some("a"), Some(("", "a")));
        check("", &["a"], None, None);
    }

    #[test]
    fn entities_of_html_are_undone_and_what_is_none_stays() {
        let check = |text: &str, expected: &str| assert_eq!(without_entities(text), expected);
        check("?a=1&amp;b=2&amp;amp;", "?a=1&b=2&amp;");
        check("&lt;&gt;&quot;&apos;&#39;&#x2F;&#x1F4E8;&nbsp;", "<>\"''/\u{1f4e8}\u{a0}");
        check("a & b &; &unknown; &#xD800; &#99999999; &#; &", "a & b &; &unknown; &#xD800; &#99999999; &#; &");
        check(&"&".repeat(10_000), &"&".repeat(10_000));
    }
}
