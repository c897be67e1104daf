//! Keeps a job's secrets out of whatever is shown: raw, escaped, percent-encoded and base64.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// What stands in a secret's place.
const MASK: &str = "<secret>";
/// What stands there until every spelling was looked for: a private character, so that no mask is masked again.
const HOLE: &str = "\u{E000}";
/// Shortest run of base64 characters looked into: fewer than four carry no byte of their own.
const BASE64_CHARS_MIN: usize = 2;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);

/// Knows the secrets of one job and takes them out of text.
#[derive(Default)]
pub struct Masker {
    secrets: Vec<String>,
    /// Every spelling to be replaced, longest first, so that no spelling leaves a rest of another.
    spellings: Vec<String>,
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
        Self { secrets: all, spellings }
    }

    /// Knows one secret more.
    pub fn with(&self, secret: &str) -> Self {
        let secrets: Vec<String> = self.secrets.iter().cloned().chain([secret.to_owned()]).collect();
        Self::new(&secrets)
    }

    /// Longest run of characters that one secret can take in a text.
    pub fn reach(&self) -> usize {
        self.spellings.first().map_or(0, |longest| longest.len() * 2)
    }

    /// Takes every secret out of `text`.
    pub fn mask(&self, text: &str) -> String {
        if self.secrets.is_empty() {
            return text.to_owned();
        }
        let mut text = self.mask_base64(text);
        for spelling in &self.spellings {
            if text.contains(spelling.as_str()) {
                text = text.replace(spelling.as_str(), HOLE);
            }
        }
        text.replace(HOLE, MASK)
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

    fn hides(&self, run: &str) -> bool {
        if run.len() < BASE64_CHARS_MIN {
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

/// The secret as protocols and logs may write it.
fn spellings(secret: &str) -> Vec<String> {
    let quoted = secret.replace('\\', "\\\\").replace('"', "\\\"");
    let percent = |hex: fn(u8) -> String, space: &str| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                b' ' => text.push_str(space),
                _ => text.push_str(&hex(byte)),
            }
            text
        })
    };
    let (upper, lower) = (|byte: u8| format!("%{byte:02X}"), |byte: u8| format!("%{byte:02x}"));
    vec![secret.to_owned(), quoted, percent(upper, "%20"), percent(lower, "%20"), percent(upper, "+")]
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
        check("a\"b", "LOGIN alice \"a\\\"b\"", "LOGIN alice \"<secret>\"");
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
