//! Series files through librrd.
//!
//! Paths are absolute and free of `%` (librrd takes its error text for a format), headers are checked before librrd sees them,
//! templates are never used (the crate frees them too early), past stamps are skipped.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rrd::ConsolidationFn;
use rrd::error::RrdError;
use rrd::ops::{create, fetch, info, update as librrd_update};
use watchpost_plugin_api::Kind;

use super::archive::{Archive, Consolidation, XFF};
use super::gate;
use super::header::{self, Header};
use super::outside::Fact;
use super::row::{Datum, Row};
use super::shape::{FileShape, Source};
use super::update::{self, EnterError, Entered};
use super::writer::{Fetched, SeriesWriter, Wanted, WriteError};

/// Rows given to librrd in one call.
const ROWS_PER_CALL: usize = 1_000;
/// What librrd says when another process holds the file.
const LOCKED: &str = "could not lock RRD";

/// The owner of this process's series files.
#[derive(Debug, Default)]
pub struct Librrd(());

impl Librrd {
    /// Takes ownership; make one for a data folder.
    pub fn new() -> Self {
        Self(())
    }
}

impl SeriesWriter for Librrd {
    fn create(&self, path: &Path, shape: &FileShape, start: i64) -> Result<(), WriteError> {
        check_path(path)?;
        let fault = |error: RrdError| fault(path, &error);
        let sources: Result<Vec<_>, _> = shape.sources.iter().map(data_source).collect();
        let archives: Result<Vec<_>, _> = shape.archives.iter().map(archive).collect();
        let (sources, archives) = (sources.map_err(fault)?, archives.map_err(fault)?);
        let step = Duration::from_secs(shape.step.into());
        let _alone = gate::writing(path);
        create::create(path, instant(start), step, true, None, &[], &sources, &archives).map_err(fault)?;
        header::scatter(path, shape, &lot(path)).map_err(|error| WriteError::Header { path: path.into(), source: error.into() })
    }

    fn append(&self, path: &Path, rows: &[Row]) -> Result<(), WriteError> {
        check_path(path)?;
        let entered = {
            let _alone = gate::writing(path);
            update::enter(path, rows)
        };
        match entered {
            Ok(Entered::All) => Ok(()),
            Ok(Entered::Locked) => Err(WriteError::Locked { path: path.into() }),
            Ok(Entered::NotOurs) => append_with_librrd(path, rows),
            Err(EnterError::Read(error)) => Err(WriteError::Header { path: path.into(), source: error.into() }),
            Err(EnterError::Write(source)) => Err(WriteError::Write { path: path.into(), source }),
            Err(EnterError::Torn(source)) => Err(WriteError::Torn { path: path.into(), source }),
        }
    }

    fn fetch(&self, path: &Path, wanted: &Wanted) -> Result<Fetched, WriteError> {
        self.info(path)?.ok_or_else(|| WriteError::Missing { path: path.into() })?;
        let resolution = Duration::from_secs(wanted.step.into());
        let data = fetch::fetch(path, function(wanted.consolidation), instant(wanted.from), instant(wanted.to), resolution)
            .map_err(|error| fault(path, &error))?;
        let rows = data.rows().iter().map(|row| {
            let values = row.as_slice().iter().map(|value| Some(*value).filter(|value| !value.is_nan()));
            (seconds(row.timestamp()), values.collect())
        });
        Ok(Fetched { step: u32::try_from(data.step().as_secs()).unwrap_or(u32::MAX), rows: rows.collect() })
    }

    fn info(&self, path: &Path) -> Result<Option<Header>, WriteError> {
        head(path)
    }
}

fn head(path: &Path) -> Result<Option<Header>, WriteError> {
    check_path(path)?;
    let _open = gate::reading(path);
    header::read(path).map_err(|source| WriteError::Header { path: path.into(), source })
}

/// Appends rows as librrd does it.
pub(super) fn append_with_librrd(path: &Path, rows: &[Row]) -> Result<(), WriteError> {
    let header = head(path)?.ok_or_else(|| WriteError::Missing { path: path.into() })?;
    let new = rows.partition_point(|row| row.stamp <= header.last.stamp);
    let _alone = gate::writing(path);
    for part in rows.get(new..).unwrap_or_default().chunks(ROWS_PER_CALL) {
        let batch = part.iter().map(|row| (instant(row.stamp).into(), row.cells.iter().map(datum).collect::<Vec<_>>()));
        librrd_update::update_all(path, librrd_update::Options { skip_past_updates: true }, batch).map_err(|error| fault(path, &error))?;
    }
    Ok(())
}

/// Reads everything that a file says of itself, in rrdtool's order; its header must have been checked.
pub(super) fn facts(path: &Path) -> Result<Vec<(String, Fact)>, WriteError> {
    check_path(path)?;
    let _open = gate::reading(path);
    let known = info::info(path).map_err(|error| fault(path, &error))?;
    let fact = |value: info::InfoValue| match value {
        info::InfoValue::Value(value) => Some(Fact::Value(value)),
        info::InfoValue::Count(count) => Some(Fact::Count(count)),
        info::InfoValue::String(text) => Some(Fact::Text(text)),
        info::InfoValue::Int(number) => u64::try_from(number).ok().map(Fact::Count),
        info::InfoValue::Blob(_) => None,
    };
    let mut facts: Vec<_> = known.into_iter().filter_map(|(key, value)| Some((key, fact(value)?))).collect();
    let indexes: BTreeMap<String, u64> =
        facts.iter().filter_map(|(key, fact)| Some((source_of(key)?.to_owned(), index(key, fact)?))).collect();
    facts.sort_by_cached_key(|(key, _)| rank(key, &indexes));
    Ok(facts)
}

/// Where data sources and archives stand in the order, and what each of them says in which order. Source: rrdinfo(1).
const FACTS: [&str; 21] = [
    "filename",
    "rrd_version",
    "step",
    "last_update",
    "header_size",
    "index",
    "type",
    "minimal_heartbeat",
    "min",
    "max",
    "last_ds",
    "value",
    "unknown_sec",
    "cf",
    "rows",
    "cur_row",
    "pdp_per_row",
    "xff",
    "cdp_prep",
    "value",
    "unknown_datapoints",
];

/// Of `ds[up].index`: `up`.
fn source_of(key: &str) -> Option<&str> {
    key.strip_prefix("ds[")?.split_once(']').map(|(name, _)| name)
}

fn index(key: &str, fact: &Fact) -> Option<u64> {
    match fact {
        Fact::Count(count) if key.ends_with("].index") => Some(*count),
        _ => None,
    }
}

/// The file itself, its data sources by number, its archives by number; each as rrdtool tells of it.
fn rank(key: &str, indexes: &BTreeMap<String, u64>) -> (u8, u64, u64, usize) {
    let place = |word: &str| FACTS.iter().position(|known| *known == word).unwrap_or(FACTS.len());
    let numbered = |text: &str| text.split_once(']').and_then(|(number, rest)| Some((number.parse::<u64>().ok()?, rest.to_owned())));
    if let Some(source) = source_of(key) {
        let said = key.rsplit_once('.').map_or(key, |(_, said)| said);
        return (1, indexes.get(source).copied().unwrap_or(u64::MAX), 0, place(said));
    }
    let Some((archive, rest)) = key.strip_prefix("rra[").and_then(numbered) else { return (0, 0, 0, place(key)) };
    match rest.strip_prefix(".cdp_prep[").and_then(numbered) {
        Some((column, said)) => (2, archive, 1 + column, place(said.trim_start_matches('.'))),
        None => (2, archive, 0, place(rest.trim_start_matches('.'))),
    }
}

/// Refuses what librrd would take for something else than a file: `sql//…`, or a format.
fn check_path(path: &Path) -> Result<(), WriteError> {
    let text = path.to_str().filter(|text| path.is_absolute() && !text.contains('%'));
    text.map(|_| ()).ok_or_else(|| WriteError::Library { path: path.into(), message: "a path is absolute, of UTF-8 and without %".into() })
}

/// What the first rows of a file are drawn by: job and file, wherever the data folder lies.
fn lot(path: &Path) -> String {
    let name = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{}/{}", name(path.parent().and_then(Path::file_name)), name(path.file_name()))
}

fn fault(path: &Path, error: &RrdError) -> WriteError {
    match error {
        RrdError::LibRrdError(message) if message.contains(LOCKED) => WriteError::Locked { path: path.into() },
        RrdError::LibRrdError(message) if message.trim().is_empty() => WriteError::Library { path: path.into(), message: wordless(path) },
        RrdError::LibRrdError(message) => WriteError::Library { path: path.into(), message: message.clone() },
        other => WriteError::Library { path: path.into(), message: other.to_string() },
    }
}

/// What can be said where librrd says nothing, as it does when there is no room for a new file.
fn wordless(path: &Path) -> String {
    let facts = path.parent().and_then(|folder| rustix::fs::statvfs(folder).ok());
    facts.map_or("it gives no reason".into(), |facts| {
        format!("it gives no reason; {} KiB are free there", facts.f_bavail * facts.f_frsize / 1024)
    })
}

fn data_source(source: &Source) -> Result<create::DataSource, RrdError> {
    let name = create::DataSourceName::new(source.name.as_str())?;
    Ok(match source.kind {
        Kind::Gauge => create::DataSource::gauge(&name, source.heartbeat, None, None),
        Kind::Counter => create::DataSource::counter(&name, source.heartbeat, None, None),
    })
}

fn archive(archive: &Archive) -> Result<create::Archive, RrdError> {
    Ok(create::Archive::new(function(archive.consolidation), XFF, archive.steps, archive.rows)?)
}

fn function(consolidation: Consolidation) -> ConsolidationFn {
    match consolidation {
        Consolidation::Average => ConsolidationFn::Avg,
        Consolidation::Min => ConsolidationFn::Min,
        Consolidation::Max => ConsolidationFn::Max,
        Consolidation::Last => ConsolidationFn::Last,
    }
}

/// Text of every digit an `f64` has goes to librrd; its own reading of it is off by up to three units in the last place.
fn datum(cell: &Datum) -> librrd_update::Datum {
    match cell {
        Datum::Unknown => librrd_update::Datum::Unspecified,
        Datum::Gauge(value) => librrd_update::Datum::Float(*value),
        Datum::Total(total) => librrd_update::Datum::Int(*total),
    }
}

fn instant(stamp: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(stamp).unwrap_or(0))
}

fn seconds(instant: SystemTime) -> i64 {
    instant.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_word_tells_how_much_room_there_is() {
        let here = tempfile::tempdir().unwrap();
        let said = |folder: &Path| fault(&folder.join("a.rrd"), &RrdError::LibRrdError(String::new())).to_string();
        let told = said(here.path());
        assert!(told.contains("a.rrd: it gives no reason; ") && told.ends_with(" KiB are free there"), "{told}");
        assert!(said(&here.path().join("none")).ends_with("a.rrd: it gives no reason"));
    }
}
