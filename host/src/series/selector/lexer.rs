//! Words, signs and strings of a selector.

use super::SelectorError;

/// What is left of a selector's text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text.trim_start() }
    }

    /// The column of what comes next.
    pub(super) fn column(&self) -> usize {
        let read = self.text.len() - self.rest.len();
        self.text.get(..read).map_or(0, |read| read.chars().count()) + 1
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn sees(&self, sign: &str) -> bool {
        self.rest.starts_with(sign)
    }

    /// Takes a sign if it comes next.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }

    /// Takes a name if one comes next; metric names may hold colons.
    pub(super) fn word(&mut self, colons: bool) -> Option<String> {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || colons && c == ':';
        if !self.rest.starts_with(is_first) {
            return None;
        }
        let end = self.rest.find(|c| !is_first(c) && !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Some(word.into())
    }

    /// Takes a string in double quotes, single quotes or back quotes (without escapes).
    pub(super) fn string(&mut self) -> Result<String, SelectorError> {
        let begin = self.column();
        let Some(quote) = self.rest.chars().next().filter(|c| "\"'`".contains(*c)) else {
            return Err(self.unexpected("a string in quotes"));
        };
        self.skip(1);
        let mut bytes = Vec::new();
        while let Some(c) = self.rest.chars().next() {
            if c == quote {
                self.skip(1);
                self.rest = self.rest.trim_start();
                return String::from_utf8(bytes).map_err(|_| fault(begin, "the string is not UTF-8"));
            }
            if c == '\\' && quote != '`' {
                self.escape(&mut bytes)?;
            } else {
                self.skip(c.len_utf8());
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
        }
        Err(fault(begin, "the string has no end"))
    }

    pub(super) fn unexpected(&self, expected: &str) -> SelectorError {
        let found = self.rest.chars().next().map_or("the end".into(), |c| c.to_string());
        SelectorError { column: self.column(), message: format!("found {found}, expected {expected}") }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), SelectorError> {
        let column = self.column();
        self.skip(1);
        let sign = self.rest.chars().next().unwrap_or('\\');
        let plain = match sign {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            '"' => Some(b'"'),
            '\'' => Some(b'\''),
            _ => None,
        };
        if let Some(byte) = plain {
            self.skip(1);
            bytes.push(byte);
            return Ok(());
        }
        let (lead, digits, radix) = match sign {
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            '0'..='7' => (0, 3, 8),
            other => return Err(fault(column, &format!("unknown escape \\{other}"))),
        };
        let code = self.rest.get(lead..lead + digits).filter(|text| text.chars().all(|c| c.is_digit(radix)));
        let code = code.and_then(|text| u32::from_str_radix(text, radix).ok());
        let code = code.ok_or_else(|| fault(column, &format!("\\{sign} wants {digits} digits")))?;
        self.skip(lead + digits);
        if matches!(sign, 'u' | 'U') {
            let c = char::from_u32(code).ok_or_else(|| fault(column, "no such character"))?;
            bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
        } else {
            bytes.push(u8::try_from(code).map_err(|_| fault(column, "an octal escape ends at \\377"))?);
        }
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

fn fault(column: usize, message: &str) -> SelectorError {
    SelectorError { column, message: message.into() }
}
