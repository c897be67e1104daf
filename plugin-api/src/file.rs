//! An open file of the measuring machine; the host owns it.

use std::{fmt, path::PathBuf};

use crate::{AgentError, ErrorKind, FileStat, abi::HostFileBox, cx::from_json};

/// Bytes asked for at once when a whole file is read.
const PIECE_BYTES: usize = 64 * 1024;

/// An open file, read at any place. It stays the same file when its path is renamed, removed or taken by another.
///
/// Whoever follows a log keeps it over runs and compares [`stat`](File::stat) with that of the path: another device or inode is a log that
/// was rotated, a size below the place read to one that was cut.
pub struct File {
    inner: HostFileBox,
    path: PathBuf,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({})", self.path.display())
    }
}

impl File {
    pub(crate) fn new(inner: HostFileBox, path: PathBuf) -> Self {
        Self { inner, path }
    }

    /// Reads from that byte on into `buf`, as much as there is at once; 0 is the end.
    ///
    /// Errors: kind `local`, naming the path as it was opened.
    pub async fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, AgentError> {
        let room = buf.len();
        let read = self.inner.read_at(offset, buf.into()).await.into_result()?;
        Ok(read.min(room))
    }

    /// Reads from that byte to the end.
    ///
    /// Errors: kind `limit` when there are more than `bytes_max`, else as [`read_at`](File::read_at).
    pub async fn read_from(&mut self, offset: u64, bytes_max: usize) -> Result<Vec<u8>, AgentError> {
        let mut bytes = Vec::new();
        loop {
            let had = bytes.len();
            // One byte more than allowed tells a file that ends just there from one that goes on.
            let wanted = PIECE_BYTES.min((bytes_max - had).saturating_add(1));
            bytes.resize(had + wanted, 0);
            let read = self.read_at(offset.saturating_add(had as u64), &mut bytes[had..]).await?;
            bytes.truncate(had + read);
            if bytes.len() > bytes_max {
                let message = format!("more than {bytes_max} bytes in {}", self.path.display());
                return Err(AgentError::new(ErrorKind::LIMIT, message));
            }
            if read == 0 {
                return Ok(bytes);
            }
        }
    }

    /// Tells what `stat` says of the open file, whatever stands at its path by now.
    ///
    /// Errors: kind `local`, naming the path as it was opened.
    pub async fn stat(&mut self) -> Result<FileStat, AgentError> {
        from_json(self.inner.stat().await)
    }
}
