//! What is on the other side of standard output: a person at a terminal of some width, or a file or program.

use std::io::IsTerminal;

/// Columns and rows where no terminal says how many.
const COLUMNS: usize = 80;
const ROWS: usize = 24;
/// Columns below which a terminal is not believed.
const COLUMNS_MIN: usize = 40;
/// Columns of text that still read well.
const TEXT_COLUMNS_MAX: usize = 100;

/// The terminal's columns; none where no person reads.
pub(super) fn columns() -> Option<usize> {
    let told = |(columns, _)| if columns == 0 { COLUMNS } else { usize::from(columns).max(COLUMNS_MIN) };
    size().map(told)
}

/// The rows of one screen.
pub(super) fn rows() -> usize {
    size().map_or(0, |(_, rows)| usize::from(rows)).max(ROWS)
}

/// What the terminal says of its columns and rows, 0 where it does not; none where there is no terminal.
fn size() -> Option<(u16, u16)> {
    let out = std::io::stdout();
    let told = || rustix::termios::tcgetwinsize(&out).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    out.is_terminal().then(told)
}

/// The columns that running text is set in.
pub(super) fn text_columns() -> usize {
    columns().unwrap_or(COLUMNS).min(TEXT_COLUMNS_MAX)
}

/// Sets text in lines of so many columns, broken at blanks, but within no code in backticks that fits a line; a word that is longer
/// stands alone.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut width = 0;
    for word in words(text, columns) {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if width + 1 + length <= columns => {
                line.push(' ');
                line.push_str(&word);
                width += 1 + length;
            }
            _ => {
                lines.push(word);
                width = length;
            }
        }
    }
    lines
}

/// The words of a text; what stands between two backticks is one, if it fits.
fn words(text: &str, columns: usize) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut open = 0;
    for word in text.split_whitespace() {
        let goes_on = open % 2 == 1 && words.last().is_some_and(|code| code.chars().count() + 1 + word.chars().count() <= columns);
        match words.last_mut().filter(|_| goes_on) {
            Some(code) => {
                code.push(' ');
                code.push_str(word);
            }
            None => {
                words.push(word.to_owned());
                open = 0;
            }
        }
        open += word.matches('`').count();
    }
    words
}

/// The beginning of a line that is longer than so many columns.
pub(super) fn cut(line: &str, columns: usize) -> String {
    match line.char_indices().nth(columns) {
        None => line.to_owned(),
        Some(_) => {
            let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_at_blanks_and_no_word_is_cut() {
        assert_eq!(wrapped("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("a verylongword b", 6), ["a", "verylongword", "b"]);
        assert_eq!(wrapped("as `tls = 1` or `a b c d e f g h`", 11), ["as", "`tls = 1`", "or", "`a b c d e", "f g h`"]);
        assert!(wrapped(" ", 6).is_empty());
    }

    #[test]
    fn a_line_is_cut_to_the_columns_there_are_and_shows_it() {
        assert_eq!((cut("grüße", 5), cut("grüße!", 5), cut("ab cd", 4)), ("grüße".into(), "grüß…".into(), "ab…".into()));
    }
}
