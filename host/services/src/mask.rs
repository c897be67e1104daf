//! Keeps a job's secrets out of whatever is shown: raw, escaped as in protocols, JSON and HTML, percent-encoded and base64.

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// What stands in a secret's place.
pub(crate) const MASK: &str = "<secret>";
/// What stands there until every spelling was looked for: a private character, so that no mask is masked again.
const HOLE: &str = "\u{E000}";

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);

/// Knows the secrets of one job and takes them out of text.
#[derive(Default)]
pub struct Masker {
    secrets: Vec<String>,
    /// Every spelling to be replaced, longest first, so that no spelling leaves a rest of another.
    spellings: Vec<String>,
    /// Characters of the shortest run of base64 that can hold one of them: four carry three bytes.
    base64_chars_min: usize,
}

impl Masker {
    /// Learns the secrets. Those of several lines are also hidden line by line: text is shown in lines.
    pub fn new(secrets: &[String]) -> Self {
        let mut all: Vec<String> = secrets.iter().filter(|secret| !secret.is_empty()).cloned().collect();
        let lines =
            all.iter().filter(|s| s.contains('\n')).flat_map(|s| s.lines().map(str::trim_end).filter(|l| l.len() > 3).map(String::from));
        let lines: Vec<String> = lines.collect();
        all.extend(lines);
        let mut spellings: Vec<String> = all.iter().flat_map(|secret| spellings(secret)).collect();
        spellings.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        spellings.dedup();
        let shortest = all.iter().map(String::len).min().unwrap_or(0);
        Self { secrets: all, spellings, base64_chars_min: (4 * shortest).div_ceil(3) }
    }

    /// Knows one secret more.
    pub fn with(&self, secret: &str) -> Self {
        let secrets: Vec<String> = self.secrets.iter().cloned().chain([secret.to_owned()]).collect();
        Self::new(&secrets)
    }

    /// Longest run of characters that one secret can take in a text.
    pub fn reach(&self) -> usize {
        // As HTML writes quotes it is six times as long, percent-encoded three times, in base64 less.
        self.secrets.iter().map(|secret| secret.len() * 6).max().unwrap_or(0)
    }

    /// Takes every secret out of `text`.
    pub fn mask(&self, text: &str) -> String {
        self.masked(text).into_owned()
    }

    /// The text without any secret; itself where there is none to know.
    pub(crate) fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.secrets.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut text = self.mask_percent(&self.mask_base64(text));
        for spelling in &self.spellings {
            if text.contains(spelling.as_str()) {
                text = text.replace(spelling.as_str(), HOLE);
            }
        }
        Cow::Owned(text.replace(HOLE, MASK))
    }

    /// Replaces whole runs of base64 characters that decode to something with a secret in it, wherever in it the secret stands.
    fn mask_base64(&self, text: &str) -> String {
        let mut masked = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_base64) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c| !is_base64(c)).unwrap_or(from.len());
            let (run, after) = from.split_at(end);
            masked.push_str(before);
            masked.push_str(if self.hides(run) { HOLE } else { run });
            rest = after;
        }
        masked.push_str(rest);
        masked
    }

    /// Replaces what becomes a secret once `%XX`, and `+` as a space, are undone: every writer of URLs and forms encodes another set.
    fn mask_percent(&self, text: &str) -> String {
        if !text.contains(['%', '+']) {
            return text.to_owned();
        }
        let mut hidden = vec![false; text.len()];
        for plus in [b' ', b'+'] {
            let (decoded, places) = undone(text.as_bytes(), plus);
            for secret in self.secrets.iter().map(String::as_bytes) {
                for (at, _) in decoded.windows(secret.len()).enumerate().filter(|(_, window)| *window == secret) {
                    hidden[places[at]..places[at + secret.len()]].fill(true);
                }
            }
        }
        // Cut where hiding begins or ends; a secret is text, so both are boundaries of characters.
        let mut masked = String::with_capacity(text.len());
        for (at, c) in text.char_indices() {
            match hidden[at] {
                false => masked.push(c),
                true if at == 0 || !hidden[at - 1] => masked.push_str(HOLE),
                true => {}
            }
        }
        masked
    }

    fn hides(&self, run: &str) -> bool {
        if run.len() < self.base64_chars_min {
            return false;
        }
        // A run may begin with characters that belong to the text before it ("=+/" or a word): try the four alignments.
        (0..run.len().min(4)).filter_map(|skip| run.get(skip..)).any(|run| {
            [STANDARD, URL_SAFE].iter().any(|alphabet| {
                let whole = run.trim_end_matches('=');
                let whole = if whole.len() % 4 == 1 { &whole[..whole.len() - 1] } else { whole };
                let decoded = GeneralPurpose::new(alphabet, LENIENT).decode(whole).unwrap_or_default();
                self.secrets.iter().any(|secret| contains(&decoded, secret.as_bytes()))
            })
        })
    }
}

fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The bytes that a text of a URL or form stands for, and where each of them, and the end, stands in it.
fn undone(text: &[u8], plus: u8) -> (Vec<u8>, Vec<usize>) {
    let (mut decoded, mut places, mut at) = (Vec::with_capacity(text.len()), Vec::with_capacity(text.len() + 1), 0);
    while at < text.len() {
        places.push(at);
        let (byte, length) = match text[at..] {
            [b'%', high, low, ..] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            [b'+', ..] => (plus, 1),
            [byte, ..] => (byte, 1),
            [] => break,
        };
        decoded.push(byte);
        at += length;
    }
    places.push(text.len());
    (decoded, places)
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The secret as protocols, logs and pages may write it, beside what [`Masker::mask_percent`] undoes.
fn spellings(secret: &str) -> Vec<String> {
    let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
    let json = [ascii(&quoted, |unit| format!("\\u{unit:04x}")), ascii(&quoted, |unit| format!("\\u{unit:04X}")), quoted];
    let slashes = json.clone().map(|json| json.replace('/', "\\/"));
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let html = ["\"", "&quot;", "&#34;"].map(|quote| html.replace('"', quote));
    let html = html.iter().flat_map(|html| ["'", "&#039;", "&#39;", "&#x27;", "&apos;"].map(|quote| html.replace('\'', quote)));
    [secret.to_owned()].into_iter().chain(json).chain(slashes).chain(html).collect()
}

/// The text with all that is not ASCII written by its UTF-16 units, as some writers of JSON do.
fn ascii(text: &str, unit: impl Fn(u16) -> String) -> String {
    let written = |c: char| if c.is_ascii() { c.to_string() } else { c.encode_utf16(&mut [0; 2]).iter().map(|one| unit(*one)).collect() };
    text.chars().map(written).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;

    fn check(secret: &str, text: &str, expected: &str) {
        assert_eq!(Masker::new(&[secret.into()]).mask(text), expected, "secret {secret:?} in {text:?}");
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_written() {
        check("geheim", "PASS geheim", "PASS <secret>");
        check("p a/ss", "user=x&pass=p+a%2Fss", "user=x&pass=<secret>");
        check("p a/ss", "user=x&pass=p%20a%2fss", "user=x&pass=<secret>");
        check("p~ä!s", "pass=p%7E%c3%A4!s&x=1", "pass=<secret>&x=1");
        check("p~ä!s", "pass=p~%C3%A4%21s", "pass=<secret>");
        check("geheim", "/login?p=%67eh%65im%26", "/login?p=<secret>%26");
        check("a+b", "x=a+b&y=a%2Bb&z=a%2bbb", "x=<secret>&y=<secret>&z=<secret>b");
        check("a b", "x=a+b&y=a%20b+a%20b", "x=<secret>&y=<secret>+<secret>");
        check("100%", "at 100%25, or 100%, or 100%2", "at <secret>, or <secret>, or <secret>2");
        check("a\"b", "LOGIN alice \"a\\\"b\"", "LOGIN alice \"<secret>\"");
        check("a\"'<ä", "value=\"a&quot;&#039;&lt;ä\" or 'a&#34;&apos;&lt;ä' or a\"'&lt;ä", "value=\"<secret>\" or '<secret>' or <secret>");
        check("a\"/ä\u{1f600}", r#"{"p":"a\"\/\u00e4\ud83d\ude00","q":"a\"/\u00E4\uD83D\uDE00"}"#, r#"{"p":"<secret>","q":"<secret>"}"#);
        check("geheim", &format!("AUTH PLAIN {}", BASE64_STANDARD.encode("\0alice\0geheim")), "AUTH PLAIN <secret>");
        check("geheim", &format!("AUTH PLAIN {}", BASE64_STANDARD.encode("\0al\0geheim")), "AUTH PLAIN <secret>");
        check("s", &BASE64_STANDARD.encode("\0a\0s"), "<secret>");
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        check("geheim", "250-AUTH PLAIN LOGIN", "250-AUTH PLAIN LOGIN");
        check("", "PASS x", "PASS x");
    }

    #[test]
    fn every_alignment_in_base64_is_found() {
        for before in 0..7 {
            for after in 0..7 {
                let text = format!("{}geheim{}", "u".repeat(before), "v".repeat(after));
                check("geheim", &BASE64_STANDARD.encode(text), "<secret>");
            }
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_hidden_in_each() {
        check("-----KEY\nabcdef\n", "sent: abcdef", "sent: <secret>");
    }
}
