//! A table of the kernel, read line by line, whatever its length.

use watchpost_plugin_api::{AgentError, Cx};

/// Bytes asked for at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Longest line taken: a path is no longer than 108 bytes, the rest some 200.
const LINE_BYTES_MAX: usize = 4096;

/// Gives every line but the first, which names the columns.
///
/// Errors: kind `local`, naming the path; `protocol` for a line that nobody understands.
pub(crate) async fn read(cx: &Cx, path: &str, mut take: impl FnMut(&str) -> Option<()> + Send) -> Result<(), AgentError> {
    let mut file = cx.open(path).await?;
    let (mut piece, mut begun, mut offset, mut is_head) = (vec![0; PIECE_BYTES], Vec::new(), 0, true);
    loop {
        let read = file.read_at(offset, &mut piece).await?;
        offset += read as u64;
        for part in piece[..read].split_inclusive(|&byte| byte == b'\n') {
            begun.extend_from_slice(part);
            if begun.len() > LINE_BYTES_MAX {
                return Err(AgentError::protocol(format!("a line of more than {LINE_BYTES_MAX} bytes in {path}")));
            }
            if begun.last() != Some(&b'\n') {
                continue; // the rest comes with the next piece
            }
            let line = String::from_utf8_lossy(&begun);
            if !is_head && take(line.trim_end_matches('\n')).is_none() {
                return Err(AgentError::protocol(format!("{path} has a line that is none of its table")));
            }
            is_head = false;
            begun.clear();
        }
        if read == 0 {
            return Ok(());
        }
    }
}
