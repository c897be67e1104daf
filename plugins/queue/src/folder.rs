//! Queues that are just files: a directory, and a Maildir.

use std::{collections::HashSet, path::Path};

use watchpost_plugin_api::{AgentError, Cx};

use crate::{found::Found, tally::ALL};

/// Counts the files of a directory, but for those whose name begins with a dot.
pub(crate) async fn count_directory(cx: &Cx, path: &Path, found: &mut Found) -> Result<(), AgentError> {
    found.tally.has(&[ALL]);
    count_files(cx, path, ALL, found, |_| true).await
}

/// Counts the messages of a Maildir: those that nobody has seen yet, and those that somebody has. What is still being written is in `tmp`
/// and is no message yet.
pub(crate) async fn count_maildir(cx: &Cx, path: &Path, found: &mut Found) -> Result<(), AgentError> {
    found.tally.has(&["new", "cur"]);
    // In this order, for messages go from `new` to `cur`: none is missed, and one that was counted there is not counted here again.
    let mut seen = HashSet::new();
    // What follows the colon is added when it moves.
    let mut is_another = |name: &str| seen.insert(name.split_once(':').map_or(name, |(unique, _)| unique).to_owned());
    count_files(cx, &path.join("new"), "new", found, &mut is_another).await?;
    count_files(cx, &path.join("cur"), "cur", found, &mut is_another).await
}

async fn count_files(
    cx: &Cx,
    path: &Path,
    queue: &'static str,
    found: &mut Found,
    mut counts: impl FnMut(&str) -> bool,
) -> Result<(), AgentError> {
    let mut scan = cx.scan(path).await?;
    while let Some(entry) = scan.next().await? {
        if entry.is_file() && !entry.name.starts_with('.') && counts(&entry.name) {
            found.tally.add(queue, Some(entry.size), entry.modified)?;
        }
    }
    Ok(())
}
