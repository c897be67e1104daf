//! Lines of a stream that is read piece by piece: a half one waits for its other half.

/// Longest line that is taken, its end not included.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// What has come of a line that has not ended.
#[derive(Debug, Default)]
pub(crate) struct Half {
    line: Vec<u8>,
    /// Whether it is too long already, and passed over to its end.
    is_too_long: bool,
}

/// A line, or that there was one too long to be taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Whole(&'a str),
    TooLong,
}

impl Half {
    /// Takes a piece; gives each line that ends in it.
    pub(crate) fn take(&mut self, mut piece: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            self.add(&piece[..end]);
            piece = &piece[end + 1..];
            self.give(&mut each);
        }
        self.add(piece);
    }

    /// Gives what is left when no more comes.
    pub(crate) fn last(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.line.is_empty() || self.is_too_long {
            self.give(&mut each);
        }
    }

    fn add(&mut self, piece: &[u8]) {
        self.is_too_long |= self.line.len() + piece.len() > LINE_BYTES_MAX;
        if self.is_too_long {
            self.line.clear();
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    fn give(&mut self, each: &mut impl FnMut(Line<'_>)) {
        match std::mem::take(&mut self.is_too_long) {
            true => each(Line::TooLong),
            false => each(Line::Whole(&String::from_utf8_lossy(&self.line))),
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut half, mut found) = (Half::default(), Vec::new());
        let mut each = |line: Line<'_>| {
            found.push(match line {
                Line::Whole(text) => text.to_owned(),
                Line::TooLong => "too long".into(),
            });
        };
        pieces.iter().for_each(|piece| half.take(piece, &mut each));
        half.last(&mut each);
        found
    }

    #[test]
    fn a_half_line_waits_for_its_other_half() {
        assert_eq!(lines(&[b"one\ntw", b"o\n", b"", b"three"]), ["one", "two", "three"]);
        assert_eq!(lines(&[b"\n\na\n"]), ["", "", "a"]);
        assert_eq!(lines(&[b"a\xff\n"]), ["a\u{fffd}"]);
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_the_next_is_taken() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines(&[&long, b"x", &long, b"\nnext\n"]), ["too long", "next"]);
        assert_eq!(lines(&[&long, b"\n"])[0].len(), LINE_BYTES_MAX);
        assert_eq!(lines(&[&long, b"x"]), ["too long"]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(text in "[a-c\n]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(lines(&pieces), text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
