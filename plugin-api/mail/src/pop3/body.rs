//! What follows a reply in more than one line, up to a line of one dot (RFC 1939 3).

use watchpost_plugin_api::{AgentError, Lines};

/// Bytes of one message that are read, its end included; far more than mail servers take.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The end of a body, with the line end before it.
const END: &[u8] = b"\r\n.\r\n";

/// Gives each line to `each`, with the dot taken off that a server put before another one.
///
/// Errors: those of `each`, which so bounds the body.
pub(crate) async fn lines(from: &mut Lines, mut each: impl FnMut(&str) -> Result<(), AgentError>) -> Result<(), AgentError> {
    loop {
        let line = from.read().await?;
        match line.strip_prefix('.') {
            Some("") => return Ok(()),
            Some(stuffed) => each(stuffed)?,
            None => each(&line)?,
        }
    }
}

/// Reads a message and keeps at most so much of its beginning; gives its size, its end included, and what was kept. Its lines know no bound:
/// there is mail with a megabyte in one.
///
/// Errors: kind `limit` for a message that is too large.
pub(crate) async fn message(from: &mut Lines, kept_max: usize) -> Result<(u64, Vec<u8>), AgentError> {
    let mut end = End::default();
    let (mut read, mut kept) = (0, Vec::new());
    loop {
        let arrived = from.peek().await?;
        let (taken, ended) = match end.find(arrived) {
            Some(at) => (at, true),
            None => (arrived.len(), false),
        };
        kept.extend_from_slice(&arrived[..taken.min(kept_max - kept.len())]);
        from.consume(taken);
        read += taken as u64;
        if read > MESSAGE_BYTES_MAX {
            return Err(too_large());
        }
        if ended {
            return Ok((read, kept));
        }
    }
}

/// The error for a message of too many bytes.
pub(crate) fn too_large() -> AgentError {
    AgentError::limit("the bound of 64 MiB for a message")
}

/// Looks for the end of a body, in however many pieces it comes.
///
/// Only CR LF ends a line here: a server doubles the dots that begin such lines, and may leave one alone that stands between bare
/// line feeds.
struct End {
    /// Bytes of [`END`] that have come.
    matched: usize,
}

impl Default for End {
    /// A body begins at the beginning of a line.
    fn default() -> Self {
        Self { matched: 2 }
    }
}

impl End {
    /// Where in `bytes` the body has ended.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.matched = match byte {
                expected if expected == END[self.matched] => self.matched + 1,
                // What fails to go on may be the beginning itself.
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == END.len() {
                return Some(at + 1);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks in one piece and in every two, and in single bytes.
    fn check(body: &[u8], expected: Option<usize>) {
        for split in 0..=body.len() {
            let mut end = End::default();
            let (first, second) = body.split_at(split);
            let found = end.find(first).or_else(|| end.find(second).map(|at| split + at));
            assert_eq!(found, expected, "{:?} split at {split}", String::from_utf8_lossy(body));
        }
        let mut end = End::default();
        assert_eq!(body.iter().position(|&byte| end.find(&[byte]).is_some()).map(|at| at + 1), expected);
    }

    #[test]
    fn a_body_ends_with_a_line_of_one_dot_however_it_is_cut() {
        check(b".\r\n", Some(3));
        check(b"a\r\n.\r\n", Some(6));
        check(b"a\r\n\r\n.\r\n+OK", Some(8));
        check(b"a\r\r\n.\r\n", Some(7));
        check(b"a\r\n.\r.\r\n.\r\n", Some(11));
    }

    #[test]
    fn dots_elsewhere_end_nothing() {
        check(b"..\r\n", None);
        check(b"a.\r\n", None);
        check(b"a\r\n..\r\n", None);
        check(b"a\r\n. \r\n", None);
        check(b"a\n.\n", None);
        check(b"a\n\n.\r\n", None);
        check(b"a\n.\r\n", None);
        check(b"a\r\n.\n", None);
        check(b"", None);
    }
}
