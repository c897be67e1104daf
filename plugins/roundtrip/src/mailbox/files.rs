//! A Maildir: files in `new`, and in `cur` once somebody has seen them.

use std::time::{Duration, SystemTime};

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, FileStat, PathBuf};

use super::{Eyes, Handle, place};
use crate::{arrival::Stamp, config::MaildirReceive, head::HEAD_BYTES_MAX};

/// Files of one folder that are looked through.
const FILES_MAX: usize = 100_000;
/// A file's time is that of its last byte; then it is synced and gets its name, and only so it can be seen.
const WRITTEN_WITHIN_NS: u64 = 100_000_000;

#[derive(Debug)]
pub(super) struct Way {
    folders: [PathBuf; 2],
    poll: Duration,
}

impl Way {
    pub(super) fn new(receive: &MaildirReceive) -> Self {
        // In this order, for messages go from `new` to `cur`: none is missed.
        Self { folders: ["new", "cur"].map(|folder| receive.path.join(folder).into()), poll: receive.poll.0 }
    }

    pub(super) async fn look(&self, eyes: &mut Eyes<'_>) -> Result<(), AgentError> {
        for folder in &self.folders {
            let (mut names, mut count) = (eyes.cx.scan_names(folder).await?, 0);
            while let Some(name) = names.next().await? {
                count += 1;
                if count > FILES_MAX {
                    let message = format!("more than {FILES_MAX} files in {}", folder.display());
                    return Err(AgentError::new(ErrorKind::LIMIT, message));
                }
                // What follows the colon changes when somebody reads the message.
                let unique = name.split_once(':').map_or(name.as_str(), |(unique, _)| unique);
                let place = place(unique);
                if name.starts_with('.') || eyes.have_seen(place) {
                    continue;
                }
                let path = PathBuf::from(folder.join(&name));
                match read(eyes.cx, &path).await? {
                    Read::Head(head, stat) => eyes.see(place, &head, |_| Some(stamp(&stat)), Handle::File(path)),
                    Read::NoFile => drop(eyes.foreign.insert(place)),
                    Read::Gone => {}
                }
            }
        }
        Ok(())
    }

    pub(super) async fn settle(&self, cx: &Cx, handles: &[Handle]) -> Result<(), AgentError> {
        for handle in handles {
            if let Handle::File(path) = handle {
                // One that has moved meanwhile is found where it is now, by the next run.
                cx.remove_file(path).await?;
            }
        }
        Ok(())
    }

    pub(super) fn poll(&self) -> Duration {
        self.poll
    }
}

enum Read {
    Head(Vec<u8>, FileStat),
    /// A folder, a pipe: no message.
    NoFile,
    /// Somebody moved or removed it since it was listed.
    Gone,
}

async fn read(cx: &Cx, path: &PathBuf) -> Result<Read, AgentError> {
    let mut file = match cx.open(path).await {
        Ok(file) => file,
        Err(error) => {
            return match cx.stat(path).await {
                Ok(stat) if stat.is_file() => Err(error),
                Ok(_) => Ok(Read::NoFile),
                Err(_) => Ok(Read::Gone),
            };
        }
    };
    let mut head = vec![0; HEAD_BYTES_MAX];
    let mut read = 0;
    while read < head.len() {
        let more = file.read_at(read as u64, &mut head[read..]).await?;
        if more == 0 {
            break;
        }
        read += more;
    }
    head.truncate(read);
    Ok(Read::Head(head, file.stat().await?))
}

fn stamp(stat: &FileStat) -> Stamp {
    let since = stat.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Stamp { at_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX), within_ns: WRITTEN_WITHIN_NS }
}
