//! Words and numbers in a line, and lines fit to be shown.

use memchr::memmem;
use watchpost_plugin_api::quoted;

/// Bytes of a line that are shown.
const SHOWN_BYTES: usize = 200;
/// What is followed by something that nobody should see.
const SECRETS: [&str; 5] = ["pass", "pwd", "secret", "token", "credential"];

/// What follows the first of these words.
pub fn after<'a>(text: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    memmem::find(text, word).map(|at| &text[at + word.len()..])
}

/// Says whether these words are in a text.
pub fn has(text: &[u8], words: &[u8]) -> bool {
    memmem::find(text, words).is_some()
}

/// The number a text begins with; one too large for a `u64` is none.
pub fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    text[..digits].iter().try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

/// Makes a line fit to be shown: its beginning, control characters spelt out, and nothing of what follows a word such as `password`.
pub fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
    let lower = text.to_ascii_lowercase();
    let secret = SECRETS.iter().filter_map(|word| lower.find(word)).min();
    let more = if line.len() > SHOWN_BYTES { "…" } else { "" };
    match secret {
        // The word itself, and all up to its end, tell what was left out.
        Some(at) => {
            let end = at + lower[at..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(lower.len() - at);
            format!("{} ***", quoted(&text[..end]))
        }
        None => format!("{}{more}", quoted(&text)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_shown_without_what_follows_a_password() {
        assert_eq!(shown(b"login alice Password=hunter2 ok"), "login alice Password ***");
        assert_eq!(shown(b"a\x1b[2J b"), "a\\u{1b}[2J b");
        assert_eq!(shown(&[b'a'; 500]), format!("{}…", "a".repeat(200)));
    }

    #[test]
    fn a_number_ends_where_its_digits_do() {
        assert_eq!(number(b"120, nrcpt=1"), Some(120));
        assert_eq!((number(b""), number(b"-1"), number(b"99999999999999999999")), (None, None, None));
    }

    proptest! {
        #[test]
        fn any_line_can_be_shown(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(shown(&line).chars().all(|c| !c.is_control()));
        }
    }
}
