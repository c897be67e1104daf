//! What FETCH gave (RFC 9051 7.5.2): whose body, and how large.

use super::mailbox::number_of;

/// One answer to FETCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The message's number.
    pub(crate) number: u32,
    pub(crate) uid: Option<u32>,
    /// Bytes of its body, or of as much of it as was asked for. `None` if it is not told, or there is none.
    pub(crate) body_bytes: Option<u64>,
}

/// Says whether data is an answer to FETCH, well made or not.
pub(crate) fn is_fetch(data: &str) -> bool {
    data.split(' ').nth(1).is_some_and(|word| word.eq_ignore_ascii_case("FETCH"))
}

impl Fetched {
    /// Takes data apart, whose literals are announcements only; `None` if it is no answer to FETCH.
    pub(crate) fn parse(data: &str) -> Option<Self> {
        let mut words = data.splitn(3, ' ');
        let number = number_of(words.next()?)?;
        words.next().filter(|word| word.eq_ignore_ascii_case("FETCH"))?;
        let mut rest = Rest(words.next()?.strip_prefix('(')?.strip_suffix(')')?);
        let mut fetched = Self { number, uid: None, body_bytes: None };
        while !rest.0.is_empty() {
            let name = rest.name()?;
            match (name, rest.value()?) {
                (_, Value::Atom(uid)) if name.eq_ignore_ascii_case("UID") => fetched.uid = Some(number_of(uid)?),
                (_, Value::Text(bytes)) if is_whole_body(name) => fetched.body_bytes = Some(bytes),
                _ => {}
            }
            rest.space_or_end()?;
        }
        Some(fetched)
    }
}

/// `BODY[]`, or where only a part of it was asked for, `BODY[]<0>`.
fn is_whole_body(name: &str) -> bool {
    name.eq_ignore_ascii_case("BODY[]") || name.eq_ignore_ascii_case("BODY[]<0>")
}

/// A value of an answer, as far as it matters.
enum Value<'a> {
    /// A string, by its size.
    Text(u64),
    Atom(&'a str),
    List,
}

/// What is left of an answer.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// A name, with the section after it, in which spaces may stand.
    fn name(&mut self) -> Option<&'a str> {
        let plain = self.0.find([' ', '[', '(', ')', '"', '{'])?;
        let end = match self.0[plain..].starts_with('[') {
            true => {
                let section = plain + self.0[plain..].find(']')?;
                section + self.0[section..].find(' ')?
            }
            false => plain,
        };
        let name = self.take(end)?;
        self.take(1).filter(|space| *space == " " && !name.is_empty())?;
        Some(name)
    }

    fn value(&mut self) -> Option<Value<'a>> {
        match self.0.chars().next()? {
            '"' => self.quoted().map(Value::Text),
            '(' => self.list().map(|()| Value::List),
            '{' | '~' => self.literal().map(Value::Text),
            _ => {
                let end = self.0.find([' ', '(', ')', '"', '{']).unwrap_or(self.0.len());
                self.take(end).filter(|atom| !atom.is_empty()).map(Value::Atom)
            }
        }
    }

    /// The bytes between quotes, without the strokes before some of them.
    fn quoted(&mut self) -> Option<u64> {
        let (mut bytes, mut escaped) = (0, false);
        for (at, c) in self.0.char_indices().skip(1) {
            match c {
                '"' if !escaped => return self.take(at + 1).map(|_| bytes),
                '\\' if !escaped => escaped = true,
                _ => {
                    bytes += c.len_utf8() as u64;
                    escaped = false;
                }
            }
        }
        None
    }

    fn literal(&mut self) -> Option<u64> {
        let end = self.0.find('}')? + 1;
        let announcement = self.take(end)?;
        super::response::literal(announcement).filter(|_| announcement.trim_start_matches('~').starts_with('{'))
    }

    /// Passes over everything up to the parenthesis that closes the first.
    fn list(&mut self) -> Option<()> {
        let mut depth = 0_u32;
        loop {
            match self.0.chars().next()? {
                '"' => drop(self.quoted()?),
                c => {
                    self.take(c.len_utf8())?;
                    depth = match c {
                        '(' => depth + 1,
                        ')' => depth.checked_sub(1)?,
                        _ => depth,
                    };
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Goes on to the next name.
    fn space_or_end(&mut self) -> Option<()> {
        match self.0.is_empty() {
            true => Some(()),
            false => self.take(1).filter(|space| *space == " " && !self.0.is_empty()).map(drop),
        }
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: Option<(u32, Option<u32>, Option<u64>)>) {
        let expected = expected.map(|(number, uid, body_bytes)| Fetched { number, uid, body_bytes });
        assert_eq!(Fetched::parse(data), expected, "{data}");
    }

    #[test]
    fn a_body_is_found_with_its_size_wherever_it_stands() {
        check("12 FETCH (BODY[] {310})", Some((12, None, Some(310))));
        check("12 FETCH (BODY[]<0> {310} UID 7)", Some((12, Some(7), Some(310))));
        check("12 fetch (uid 7 flags (\\Seen \"a)b\") body[] {0+})", Some((12, Some(7), Some(0))));
        check("12 FETCH (BODY[] \"a\\\"\\\\b\")", Some((12, None, Some(4))));
        check("12 FETCH (BODY[] \"\")", Some((12, None, Some(0))));
        check("12 FETCH (ENVELOPE ((\"x\" {3} NIL) NIL) RFC822.SIZE 44 BODY[] ~{5})", Some((12, None, Some(5))));
        check("12 FETCH (BODY[HEADER.FIELDS (\"To\" \"From\")] {9} UID 7)", Some((12, Some(7), None)));
    }

    #[test]
    fn an_answer_without_a_body_has_none() {
        check("12 FETCH (BODY[] NIL)", Some((12, None, None)));
        check("12 FETCH (FLAGS (\\Seen))", Some((12, None, None)));
        check("12 FETCH (BODY[]<100> {310})", Some((12, None, None)));
        check("12 FETCH ()", Some((12, None, None)));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for data in [
            "12 FETCH",
            "12 FETCH (",
            "12 FETCH BODY[] {3}",
            "x FETCH (BODY[] {3})",
            "12 FETCH (BODY[] {3}) x",
            "12 FETCH (BODY[] {3}x)",
            "12 FETCH (BODY[] {3}  UID 7)",
            "12 FETCH (BODY[] {3} )",
            "12 FETCH (BODY[])",
            "12 FETCH (BODY[ {3})",
            "12 FETCH (BODY[] {x})",
            "12 FETCH (BODY[] \"open)",
            "12 FETCH (FLAGS (open)",
            "12 FETCH (FLAGS ())) x)",
            "12 FETCH (UID x)",
            "12 FETCH ( {3})",
            "12 FETCH ({3})",
            "12 EXISTS",
        ] {
            check(data, None);
        }
        assert!(is_fetch("12 FETCH (open") && is_fetch("x fetch") && !is_fetch("12 EXISTS"));
    }
}
