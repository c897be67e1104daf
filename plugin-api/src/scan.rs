//! A directory read piece by piece: for those that may hold a million entries.

use std::{fmt, vec};

use crate::{
    AgentError, DirEntry,
    abi::HostScanBox,
    cx::from_json,
    wire::{Named, Scanned},
};

/// A directory being read, in the order that its file system gives. What comes or goes meanwhile may be told or not.
pub struct Scan(Pieces<DirEntry>);

/// The names of a directory being read, without the cost of a `stat` for each.
pub struct ScanNames(Pieces<Named>);

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scan")
    }
}

impl fmt::Debug for ScanNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanNames")
    }
}

impl Scan {
    pub(crate) fn new(inner: HostScanBox) -> Self {
        Self(Pieces::new(inner))
    }

    /// Gives the next entry; `None` at the end.
    ///
    /// Errors: kind `local`, naming the directory.
    pub async fn next(&mut self) -> Result<Option<DirEntry>, AgentError> {
        self.0.next().await
    }
}

impl ScanNames {
    pub(crate) fn new(inner: HostScanBox) -> Self {
        Self(Pieces::new(inner))
    }

    /// Gives the next name, bytes that are no UTF-8 replaced; `None` at the end.
    ///
    /// Errors: kind `local`, naming the directory.
    pub async fn next(&mut self) -> Result<Option<String>, AgentError> {
        Ok(self.0.next().await?.map(|entry| entry.name))
    }
}

/// What the host gives in pieces, one by one.
struct Pieces<T> {
    inner: HostScanBox,
    here: vec::IntoIter<T>,
    last: bool,
}

impl<T: serde::de::DeserializeOwned> Pieces<T> {
    fn new(inner: HostScanBox) -> Self {
        Self { inner, here: Vec::new().into_iter(), last: false }
    }

    async fn next(&mut self) -> Result<Option<T>, AgentError> {
        loop {
            if let Some(entry) = self.here.next() {
                return Ok(Some(entry));
            }
            if self.last {
                return Ok(None);
            }
            let scanned: Scanned<T> = from_json(self.inner.next().await)?;
            (self.here, self.last) = (scanned.entries.into_iter(), scanned.last);
        }
    }
}
