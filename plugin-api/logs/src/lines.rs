//! Cuts bytes into lines, in a buffer that does not grow.

use memchr::{memchr, memrchr};

use crate::{
    mark::{Mark, TAIL_BYTES, hash},
    reader::Known,
};

/// A line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// What is in it; of a cut one the beginning.
    pub bytes: &'a [u8],
    /// Whether it is longer than that.
    pub cut: bool,
}

/// The buffer between a file and its lines.
#[derive(Debug)]
pub(crate) struct Lines {
    buf: Vec<u8>,
    start: usize,
    end: usize,
    line_bytes_max: usize,
    offset: u64,
    within: bool,
    /// The bytes before `offset`, as far as they are no longer in `buf`.
    tail: Vec<u8>,
    /// The first bytes of the file.
    head: Vec<u8>,
}

impl Lines {
    /// A buffer for pieces of that size, at a place whose foregoing bytes are given.
    pub(crate) fn new(line_bytes_max: usize, piece_bytes: usize) -> Self {
        let buf = vec![0; line_bytes_max + piece_bytes];
        Self { buf, start: 0, end: 0, line_bytes_max, offset: 0, within: false, tail: Vec::with_capacity(2 * TAIL_BYTES), head: Vec::new() }
    }

    /// Begins anew at a mark of another file.
    pub(crate) fn begin(&mut self, mark: &Mark, known: Known) {
        (self.start, self.end, self.offset, self.within) = (0, 0, mark.offset, mark.within);
        (self.head, self.tail) = (known.head, known.tail);
    }

    /// Room for the next bytes.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.buf.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        &mut self.buf[self.end..]
    }

    /// Says where in the file the next bytes are.
    pub(crate) fn next(&self) -> u64 {
        self.offset + (self.end - self.start) as u64
    }

    /// Takes so many bytes that were put into the room, and gives each line that ended, or that became too long.
    pub(crate) fn take(&mut self, bytes: usize, mut each: impl FnMut(Line<'_>)) {
        self.end += bytes;
        let from = self.start;
        if self.within {
            match memchr(b'\n', &self.buf[self.start..self.end]) {
                Some(at) => (self.start, self.within) = (self.start + at + 1, false),
                None => self.start = self.end,
            }
        }
        if !self.within {
            let whole = memrchr(b'\n', &self.buf[self.start..self.end]).map_or(self.start, |at| self.start + at + 1);
            let mut at = self.start;
            while at < whole {
                let end = memchr(b'\n', &self.buf[at..whole]).map_or(whole, |length| at + length);
                give(&self.buf[at..end], self.line_bytes_max, &mut each);
                at = end + 1;
            }
            self.start = whole;
            let open = &self.buf[self.start..self.end];
            if open.len() > self.line_bytes_max {
                // A hole is not the beginning of a line, however large it is.
                self.within = open.iter().any(|&byte| byte != 0);
                give(open, self.line_bytes_max, &mut each);
                self.start = self.end;
            }
        }
        self.passed(from);
    }

    /// Gives what has no end as a line: nothing more will come.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if self.end > self.start {
            let from = self.start;
            give(&self.buf[self.start..self.end], self.line_bytes_max, &mut each);
            self.start = self.end;
            self.passed(from);
        }
    }

    /// Writes down how far lines were given.
    pub(crate) fn mark(&self, mark: &mut Mark) {
        (mark.offset, mark.within) = (self.offset, self.within);
        let kept = &self.tail[self.tail.len() - self.tail.len().min(mark.tail_bytes())..];
        (mark.tail, mark.head) = (hash(kept), hash(&self.head));
    }

    fn passed(&mut self, from: usize) {
        let passed = &self.buf[from..self.start];
        self.offset += passed.len() as u64;
        self.head.extend_from_slice(&passed[..passed.len().min(TAIL_BYTES - self.head.len())]);
        self.tail.extend_from_slice(&passed[passed.len() - passed.len().min(TAIL_BYTES)..]);
        let over = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
    }
}

/// A log that was cut under a writer who kept his place begins with a hole, which reads as zeros.
fn give(bytes: &[u8], line_bytes_max: usize, each: &mut impl FnMut(Line<'_>)) {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let zeros = if bytes.first() == Some(&0) { bytes.iter().take_while(|&&byte| byte == 0).count() } else { 0 };
    let bytes = &bytes[zeros..];
    if !bytes.is_empty() {
        each(Line { bytes: &bytes[..bytes.len().min(line_bytes_max)], cut: bytes.len() > line_bytes_max });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The lines that come out when the text comes in pieces of these sizes, and the mark at the end.
    fn cut(text: &[u8], pieces: &[usize], line_bytes_max: usize) -> (Vec<(String, bool)>, Mark) {
        let mut lines = Lines::new(line_bytes_max, 16);
        let (mut at, mut got, mut mark) = (0, Vec::new(), Mark::default());
        for &piece in pieces.iter().cycle() {
            let room = lines.room();
            let bytes = piece.min(room.len()).min(text.len() - at);
            room[..bytes].copy_from_slice(&text[at..at + bytes]);
            lines.take(bytes, |line| got.push((String::from_utf8_lossy(line.bytes).into_owned(), line.cut)));
            at += bytes;
            assert_eq!(lines.next(), at as u64);
            if at == text.len() {
                break;
            }
        }
        lines.mark(&mut mark);
        (got, mark)
    }

    #[test]
    fn a_line_without_an_end_waits_and_a_long_one_is_cut_once() {
        let (got, mark) = cut(b"one\r\n\ntwo\nthr", &[5], 8);
        assert_eq!(got, [("one".into(), false), ("two".into(), false)]);
        assert_eq!((mark.offset, mark.within, mark.tail), (10, false, hash(b"one\r\n\ntwo\n")));
        let long = [b"0123456789".repeat(20), b"\nend\n".to_vec()].concat();
        let (got, mark) = cut(&long, &[7], 8);
        assert_eq!(got, [("01234567".into(), true), ("end".into(), false)]);
        assert_eq!((mark.offset, mark.within), (205, false));
        let (got, mark) = cut(&long[..150], &[7], 8);
        assert_eq!((got.len(), mark.offset, mark.within), (1, 150, true));
        for zeros in [1, 4, 40] {
            let text = [vec![0; zeros], b"line\n".to_vec()].concat();
            assert_eq!(cut(&text, &[3], 8).0, [("line".into(), false)], "{zeros}");
        }
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_lines(text in "[ab\n]{1,200}", pieces in proptest::collection::vec(1usize..30, 1..9)) {
            let expected: Vec<(String, bool)> = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n') && *line != "\n")
                .map(|line| line.trim_end())
                .map(|line| (line.chars().take(40).collect(), line.len() > 40))
                .collect();
            let (got, mark) = cut(text.as_bytes(), &pieces, 40);
            let whole = text.rfind('\n').map_or(0, |at| at + 1);
            // A last line that is too long is given before its end.
            prop_assert_eq!(&got[..expected.len()], &expected[..]);
            prop_assert_eq!(got.len() - expected.len(), usize::from(mark.within));
            if !mark.within {
                prop_assert_eq!(mark.offset as usize, whole);
                prop_assert_eq!(mark.tail, hash(&text.as_bytes()[whole.saturating_sub(TAIL_BYTES)..whole]));
            }
        }
    }
}
