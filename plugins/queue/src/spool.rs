//! Files of a queue that is at work: what is listed may be gone when it is read.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use watchpost_plugin_api::{AgentError, Cx};

/// Bytes of an envelope; the largest that servers write, for tens of thousands of recipients, are some megabytes.
const ENVELOPE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes read at once: most envelopes whole.
const PIECE_BYTES: usize = 16 * 1024;

/// Files that could not be read as they should. Those that are gone by the end left the queue meanwhile, which is no fault.
#[derive(Debug, Default)]
pub(crate) struct Doubts<T>(Vec<Doubt<T>>);

#[derive(Debug)]
struct Doubt<T> {
    folder: PathBuf,
    name: String,
    about: T,
}

impl<T> Doubts<T> {
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// Doubts a file of a folder.
    pub(crate) fn add(&mut self, folder: &Path, name: &str, about: T) {
        self.0.push(Doubt { folder: folder.to_owned(), name: name.to_owned(), about });
    }

    /// Looks again, and gives what is still there.
    ///
    /// Errors: kind `local`, naming a folder that can be read no more and is not gone.
    pub(crate) async fn settle(self, cx: &Cx) -> Result<Vec<T>, AgentError> {
        let mut folders: HashMap<PathBuf, HashSet<String>> = HashMap::new();
        let mut remaining = Vec::new();
        for Doubt { folder, name, about } in self.0 {
            if !folders.contains_key(&folder) {
                let names = names(cx, &folder).await?;
                folders.insert(folder.clone(), names);
            }
            if folders.get(&folder).is_some_and(|names| names.contains(&name)) {
                remaining.push(about);
            }
        }
        Ok(remaining)
    }
}

/// Names in a folder; none if the folder is gone.
async fn names(cx: &Cx, folder: &Path) -> Result<HashSet<String>, AgentError> {
    let failure = match listed(cx, folder).await {
        Ok(names) => return Ok(names),
        Err(failure) => failure,
    };
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return Err(failure) };
    // The folder above is the queue's own, and stays; or the one above that does.
    let is_there = match listed(cx, parent).await {
        Ok(names) => names.contains(&*name.to_string_lossy()),
        Err(_) => match (parent.parent(), parent.file_name()) {
            (Some(above), Some(name)) => listed(cx, above).await?.contains(&*name.to_string_lossy()),
            _ => true,
        },
    };
    if is_there { Err(failure) } else { Ok(HashSet::new()) }
}

async fn listed(cx: &Cx, folder: &Path) -> Result<HashSet<String>, AgentError> {
    let mut scan = cx.scan_names(folder).await?;
    let mut names = HashSet::new();
    while let Some(name) = scan.next().await? {
        names.insert(name);
    }
    Ok(names)
}

/// Reads an envelope that was listed with so many bytes.
///
/// Errors: kind `local`, naming the file; `limit` when it is larger than any envelope is.
pub(crate) async fn envelope(cx: &Cx, path: &Path, listed: u64) -> Result<Vec<u8>, AgentError> {
    let mut file = cx.open(path).await?;
    let mut bytes = vec![0; PIECE_BYTES];
    let read = file.read_at(0, &mut bytes).await?;
    bytes.truncate(read);
    // Nobody writes on in a file of a queue: with what was listed it has ended, and a look for more would cost as much as the first.
    if read as u64 != listed {
        bytes.extend(file.read_from(read as u64, ENVELOPE_BYTES_MAX).await?);
    }
    Ok(bytes)
}
