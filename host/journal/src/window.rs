//! A moving piece of a file in memory, so that a reader holds one record and not one segment.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once, unless one record needs more.
const CHUNK_BYTES: usize = 256 * 1024;

/// Part of a file.
pub(crate) struct Window {
    file: File,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(crate) fn new(file: File) -> Self {
        Self { file, start: 0, bytes: Vec::new() }
    }

    /// Bytes from `at` on: at least `wanted` of them, unless the file or `limit` ends before.
    pub(crate) fn get(&mut self, at: u64, wanted: usize, limit: u64) -> io::Result<&[u8]> {
        let reachable = usize::try_from(limit.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = wanted.min(reachable);
        let held = self.start..=self.start + self.bytes.len() as u64;
        let skip = if held.contains(&at) { (at - self.start) as usize } else { self.bytes.len() };
        if self.bytes.len() - skip < wanted {
            self.bytes.drain(..skip);
            self.start = at;
            self.fill(wanted.max(CHUNK_BYTES).min(reachable))?;
        }
        let from = (at - self.start) as usize;
        let to = self.bytes.len().min(from.saturating_add(reachable));
        Ok(self.bytes.get(from..to).unwrap_or_default())
    }

    /// Bytes from `at` on that [`Self::get`] gave last.
    pub(crate) fn held(&self, at: u64, length: usize) -> &[u8] {
        let from = at.checked_sub(self.start).and_then(|from| usize::try_from(from).ok());
        from.and_then(|from| self.bytes.get(from..)?.get(..length)).unwrap_or_default()
    }

    /// Reads anew what is asked for next.
    pub(crate) fn forget(&mut self) {
        self.bytes.clear();
    }

    fn fill(&mut self, length: usize) -> io::Result<()> {
        let mut have = self.bytes.len();
        self.bytes.resize(length.max(have), 0);
        while have < self.bytes.len() {
            match self.file.read_at(&mut self.bytes[have..], self.start + have as u64) {
                Ok(0) => break,
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.truncate(have);
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(have);
        Ok(())
    }
}
