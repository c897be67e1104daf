//! Bytes of a file, compressed or not.

use std::{
    io::Write,
    mem::take,
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::write::MultiGzDecoder;
use watchpost_plugin_api::{AgentError, Cx, File, FileStat};

use crate::mark::{Mark, TAIL_BYTES, hash};

/// Compressed bytes read at once; they may become a thousand times as many.
const PACKED_BYTES: usize = 4096;
/// RFC 1952 2.3.1: how a compressed file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// RFC 1952 2.3.1: how many bytes it had before it was compressed, modulo 2^32, stands in the last bytes.
const SIZE_BYTES: usize = 4;

/// When a run stops to read, so that it ends well before its deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    stop_at: Duration,
}

impl Budget {
    /// Leaves a fifth of the run's time.
    pub(crate) fn of(cx: &Cx) -> Self {
        let (elapsed, remaining) = (cx.elapsed(), cx.remaining());
        Self { stop_at: elapsed + remaining / 5 * 4 }
    }

    pub(crate) fn spent(self, cx: &Cx) -> bool {
        cx.elapsed() >= self.stop_at
    }
}

/// The bytes by which a file is known again at a place.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Its first bytes.
    pub(crate) head: Vec<u8>,
    /// The bytes before the place.
    pub(crate) tail: Vec<u8>,
}

/// An open file of a log.
pub(crate) struct Reader {
    pub(crate) path: PathBuf,
    pub(crate) stat: FileStat,
    file: File,
    packed: Option<Packed>,
    /// Time was over before a place in the compressed file was found.
    pub(crate) is_too_far: bool,
}

/// What is between a compressed file and its contents; read forwards only.
struct Packed {
    decoder: MultiGzDecoder<Vec<u8>>,
    /// Compressed bytes that were read.
    read: u64,
    /// Contents that nobody took yet, and where they begin.
    ready: Vec<u8>,
    taken: usize,
    offset: u64,
    ended: bool,
}

impl Reader {
    pub(crate) async fn open(cx: &Cx, path: &Path) -> Result<Self, AgentError> {
        let mut file = cx.open(path).await?;
        let stat = file.stat().await?;
        let mut magic = [0; 2];
        let packed = file.read_at(0, &mut magic).await? == 2 && magic == GZIP;
        Ok(Self { path: path.to_owned(), stat, file, packed: packed.then(Packed::new), is_too_far: false })
    }

    pub(crate) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Bytes behind a place; unknown of a compressed file.
    pub(crate) fn behind(&self, offset: u64) -> Option<u64> {
        (!self.is_packed()).then(|| self.stat.size.saturating_sub(offset))
    }

    /// Reads contents from that byte on; 0 is the end. Of a compressed file that means to go through all before it.
    pub(crate) async fn read_at(&mut self, cx: &Cx, budget: Budget, offset: u64, buf: &mut [u8]) -> Result<usize, AgentError> {
        let Some(packed) = &mut self.packed else { return self.file.read_at(offset, buf).await };
        if offset < packed.offset {
            *packed = Packed::new();
        }
        loop {
            let left = packed.ready.len() - packed.taken;
            let skipped = left.min(usize::try_from(offset - packed.offset).unwrap_or(usize::MAX));
            packed.take(skipped);
            if packed.offset == offset && packed.taken < packed.ready.len() {
                let bytes = buf.len().min(packed.ready.len() - packed.taken);
                buf[..bytes].copy_from_slice(&packed.ready[packed.taken..packed.taken + bytes]);
                packed.take(bytes);
                return Ok(bytes);
            }
            if packed.ended {
                return Ok(0);
            }
            if budget.spent(cx) && packed.offset < offset {
                self.is_too_far = true;
                return Err(AgentError::timeout().context(format!("while looking for a place in {}", self.path.display())));
            }
            packed.more(&mut self.file).await.map_err(|error| error.context(self.path.display()))?;
        }
    }

    /// Says whether a compressed file ends at that byte of its contents, as it says itself: all of it need not be gone through for that.
    ///
    /// One that was put together from several says so of its last part only; then it does not end where a mark is.
    pub(crate) async fn ends_at(&mut self, offset: u64) -> Result<bool, AgentError> {
        let Some(at) = self.stat.size.checked_sub(SIZE_BYTES as u64).filter(|_| self.is_packed()) else { return Ok(false) };
        let mut size = [0; SIZE_BYTES];
        let read = self.file.read_at(at, &mut size).await?;
        Ok(read == SIZE_BYTES && u64::from(u32::from_le_bytes(size)) == offset & u64::from(u32::MAX))
    }

    /// Says whether this is the file of that mark, by what it holds, and gives the bytes that tell.
    pub(crate) async fn known(&mut self, cx: &Cx, budget: Budget, mark: &Mark) -> Result<Option<Known>, AgentError> {
        if !self.is_packed() && self.stat.size < mark.offset {
            return Ok(None);
        }
        let known = self.bytes_at(cx, budget, mark.offset).await?;
        let same = known.tail.len() == mark.tail_bytes() && hash(&known.tail) == mark.tail && hash(&known.head) == mark.head;
        Ok(same.then_some(known))
    }

    /// Says whether the file begins as the one of that mark did, whatever comes then.
    pub(crate) async fn begins_like(&mut self, cx: &Cx, budget: Budget, mark: &Mark) -> Result<bool, AgentError> {
        let head = self.span(cx, budget, 0, mark.tail_bytes()).await?;
        Ok(mark.offset > 0 && hash(&head) == mark.head)
    }

    /// The bytes by which a place of this file is known.
    pub(crate) async fn bytes_at(&mut self, cx: &Cx, budget: Budget, offset: u64) -> Result<Known, AgentError> {
        let bytes = usize::try_from(offset).map_or(TAIL_BYTES, |offset| offset.min(TAIL_BYTES));
        let head = self.span(cx, budget, 0, bytes).await?;
        let tail = self.span(cx, budget, offset - bytes as u64, bytes).await?;
        Ok(Known { head, tail })
    }

    async fn span(&mut self, cx: &Cx, budget: Budget, offset: u64, bytes: usize) -> Result<Vec<u8>, AgentError> {
        let (mut span, mut had) = (vec![0; bytes], 0);
        while had < bytes {
            match self.read_at(cx, budget, offset + had as u64, &mut span[had..]).await? {
                0 => break,
                read => had += read,
            }
        }
        span.truncate(had);
        Ok(span)
    }
}

impl Packed {
    fn new() -> Self {
        Self { decoder: MultiGzDecoder::new(Vec::new()), read: 0, ready: Vec::new(), taken: 0, offset: 0, ended: false }
    }

    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.offset += bytes as u64;
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
    }

    async fn more(&mut self, file: &mut File) -> Result<(), AgentError> {
        let mut piece = [0; PACKED_BYTES];
        let read = file.read_at(self.read, &mut piece).await?;
        self.read += read as u64;
        let broken = |error| AgentError::local(format!("cannot decompress: {error}"));
        match read {
            0 => {
                self.decoder.try_finish().map_err(broken)?;
                self.ended = true;
            }
            _ => self.decoder.write_all(&piece[..read]).map_err(broken)?,
        }
        self.ready.append(&mut take(self.decoder.get_mut()));
        Ok(())
    }
}
