//! A server's text in our own messages.

/// Characters of a text that are quoted.
const CHARS_MAX: usize = 300;

/// Makes a target's text fit for an error message: bounded, with control characters spelt out.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == CHARS_MAX {
            quoted.push('…');
            break;
        }
        match c.is_control() {
            true => quoted.extend(c.escape_default()),
            false => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_is_short_and_has_no_control_characters() {
        assert_eq!(quoted("a\u{1b}[2J\0"), "a\\u{1b}[2J\\u{0}");
        assert_eq!(quoted(&"é".repeat(1000)).chars().count(), CHARS_MAX + 1);
        assert_eq!(quoted(&"é".repeat(CHARS_MAX)), "é".repeat(CHARS_MAX));
    }
}
