//! Answers to what agents ask: names and files.

use std::{fs, io, net::IpAddr, os::unix::fs::MetadataExt, path::Path};

use serde::{Serialize, de::DeserializeOwned};
use watchpost_plugin_api::{
    AgentError, FileStat, RecordType,
    wire::{DirEntry, Resolve},
};

use crate::stream::reason;

/// Entries of a directory that are handed out; a directory with more is a `limit` error.
const ENTRIES_MAX: usize = 1_000_000;

/// Answers one question; both are JSON.
pub(crate) async fn answer(question: &str, detail: &str) -> Result<String, AgentError> {
    match question {
        "resolve" => json(&resolve(&parse::<Resolve>(detail)?).await?),
        "stat" => json(&off_thread(parse(detail)?, stat).await?),
        "read_dir" => json(&off_thread(parse(detail)?, read_dir).await?),
        other => Err(AgentError::local(format!("this host does not know how to `{other}`; the agent wants a newer one"))),
    }
}

fn parse<T: DeserializeOwned>(detail: &str) -> Result<T, AgentError> {
    serde_json::from_str(detail).map_err(|error| AgentError::local(format!("the agent's question is not understood: {error}")))
}

fn json<T: Serialize>(value: &T) -> Result<String, AgentError> {
    serde_json::to_string(value).map_err(|error| AgentError::local(error.to_string()))
}

async fn resolve(wanted: &Resolve) -> Result<Vec<IpAddr>, AgentError> {
    let name = wanted.name.trim_matches(['[', ']']);
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| {
        let text = reason(&error);
        let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
        AgentError::resolve(format!("no address for {name}: {text}"))
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|found| found.ip()).filter(|address| fits(wanted.record, address)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(AgentError::resolve(format!("no address of that family for {name}")));
    }
    Ok(addresses)
}

fn fits(record: RecordType, address: &IpAddr) -> bool {
    match record {
        RecordType::A => address.is_ipv4(),
        RecordType::Aaaa => address.is_ipv6(),
        _ => true,
    }
}

/// Runs what may wait for a disk beside the worker's one thread.
async fn off_thread<T: Send + 'static>(
    path: std::path::PathBuf,
    body: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, AgentError> {
    let shown = path.display().to_string();
    let done = tokio::task::spawn_blocking(move || body(&path)).await.map_err(|error| AgentError::local(error.to_string()))?;
    done.map_err(|error| match error.kind() {
        io::ErrorKind::QuotaExceeded => AgentError::limit(format!("{ENTRIES_MAX} entries of {shown}")),
        _ => AgentError::local(format!("cannot read {shown}: {}", reason(&error))),
    })
}

fn stat(path: &Path) -> io::Result<FileStat> {
    fs::metadata(path).map(|meta| told(&meta))
}

fn told(meta: &fs::Metadata) -> FileStat {
    let modified_ns = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
    FileStat { size: meta.len(), is_dir: meta.is_dir(), inode: meta.ino(), modified_ns }
}

fn read_dir(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // An entry that vanished since it was listed is no entry.
        let Some(meta) = ignore_vanished(entry.metadata())? else { continue };
        if entries.len() == ENTRIES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        entries.push(DirEntry { name: entry.file_name().to_string_lossy().into_owned(), stat: told(&meta) });
    }
    Ok(entries)
}

fn ignore_vanished<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}
