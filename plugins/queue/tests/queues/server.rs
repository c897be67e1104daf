//! A `showq` that says to each client what its script says.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, net::UnixListener, task::JoinHandle};

use crate::folder;

/// How a listing that was begun goes on.
#[derive(Clone, Debug)]
pub(crate) enum Then {
    /// It is all; the connection closes.
    Close,
    /// Nothing comes any more.
    Stall,
    /// These bytes come without end.
    Repeat(Vec<u8>),
}

/// A queue directory with a server at its socket, until it is dropped.
pub(crate) struct Showq {
    folder: TempDir,
    task: JoinHandle<()>,
}

impl Showq {
    /// Says these bytes, in pieces of so many.
    pub(crate) fn start(says: impl AsRef<[u8]>, piece: usize, then: Then) -> Self {
        let folder = folder();
        fs::create_dir(folder.path().join("public")).unwrap();
        fs::create_dir(folder.path().join("corrupt")).unwrap();
        let listener = UnixListener::bind(folder.path().join("public/showq")).unwrap();
        let says = says.as_ref().to_vec();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                for piece in says.chunks(piece) {
                    // The client may have heard enough.
                    let _ = stream.write_all(piece).await;
                    if piece.len() < says.len() {
                        tokio::task::yield_now().await;
                    }
                }
                match &then {
                    Then::Close => {}
                    Then::Stall => tokio::time::sleep(Duration::from_secs(60)).await,
                    Then::Repeat(bytes) => while stream.write_all(bytes).await.is_ok() {},
                }
            }
        });
        Self { folder, task }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Showq {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a listing begins with.
pub(crate) const HELLO: &str = "protocol\0mail_queue_list_protocol\0\0";

/// A message as it is listed: queue, id, when it came, bytes; recipients and their reasons.
pub(crate) fn message(queue: &str, id: &str, since: u64, bytes: u32, recipients: &[(&str, &str)]) -> String {
    let mut text = format!("queue_name\0{queue}\0queue_id\0{id}\0time\0{since}\0size\0{bytes}\0forced_expire\x000\0sender\0bob@lab.test\0");
    for (recipient, reason) in recipients {
        text += &format!("recipient\0{recipient}\0");
        if !reason.is_empty() {
            text += &format!("reason\0{reason}\0");
        }
    }
    text + "\0"
}
