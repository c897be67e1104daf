//! What each job left for the next daemon: its cursor, since when it stands as it does, and the last reading if it runs seldom.
//!
//! A view of the journal, kept in one file of the data folder.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    latest::Standing,
    reading::{Reading, Shape},
};

/// A reading that stands for the present for less than this is measured anew before anybody misses it, nanoseconds.
const FRESH_NS_MIN: i64 = 300 * 1_000_000_000;
/// A standing that holds for so much longer than the one in the file is written down again, nanoseconds.
const STANDING_OLD_NS: i64 = 60 * 1_000_000_000;
/// First bytes of the file; its version follows.
const MAGIC: &[u8; 7] = b"wpcurs\0";
/// Version 1 had no standings.
const VERSION: u8 = 2;

/// The cursor of every job that left one.
pub(super) struct Cursors {
    path: PathBuf,
    kept: Kept,
    changed: bool,
}

/// What is written down.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    cursors: HashMap<String, Vec<u8>>,
    /// The last reading of each slow job: the journal drops its segments long before it is stale.
    readings: HashMap<String, Reading>,
    /// How each job stood: the runs that began it may have left the journal long ago.
    standings: HashMap<String, Stood>,
}

/// What version 1 wrote down.
#[derive(Deserialize)]
struct KeptByV1 {
    cursors: HashMap<String, Vec<u8>>,
    readings: HashMap<String, Reading>,
}

/// How a job stood, and what it measured then.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Stood {
    pub(super) agent: String,
    pub(super) target: String,
    pub(super) standing: Standing,
}

/// Why the cursors of before cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum CursorsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is damaged: move it away, and jobs with a cursor begin anew", path.display())]
    Damaged { path: PathBuf },
    #[error("{} has format version {found}, known up to {VERSION}", path.display())]
    Newer { path: PathBuf, found: u8 },
}

impl Cursors {
    /// Reads what was kept; a missing file is nothing.
    pub(super) fn load(data: &Path) -> Result<Self, CursorsError> {
        let path = data.join("cursors");
        let kept = match fs::read(&path) {
            Ok(bytes) => decode(&bytes, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::default(),
            Err(source) => return Err(CursorsError::Read { path, source }),
        };
        Ok(Self { path, kept, changed: false })
    }

    /// Takes what a run left.
    pub(super) fn apply(&mut self, reading: &Reading) {
        let (job, outcome) = (&reading.job, &reading.outcome);
        if let Some(cursor) = &outcome.cursor {
            self.kept.cursors.insert(job.clone(), cursor.clone());
            self.changed = true;
        }
        if reading.stale_ns.saturating_sub(outcome.started_ns) >= FRESH_NS_MIN {
            self.kept.readings.insert(job.clone(), reading.clone());
            self.changed = true;
        } else {
            self.changed |= self.kept.readings.remove(job).is_some();
        }
    }

    /// Lends the last readings of slow jobs.
    pub(super) fn readings(&self) -> impl Iterator<Item = &Reading> {
        self.kept.readings.values()
    }

    /// Takes how every job of the configuration stands.
    pub(super) fn stand(&mut self, standings: HashMap<String, Stood>) {
        let alike = |(job, now): (&String, &Stood)| {
            let kept = self.kept.standings.get(job);
            kept.is_some_and(|kept| kept.measures_like(now) && kept.standing.is_like(now.standing, STANDING_OLD_NS))
        };
        if standings.len() != self.kept.standings.len() || !standings.iter().all(alike) {
            self.kept.standings = standings;
            self.changed = true;
        }
    }

    /// Lends how each job stood.
    pub(super) fn standings(&self) -> impl Iterator<Item = (&str, &Stood)> {
        self.kept.standings.iter().map(|(job, stood)| (job.as_str(), stood))
    }

    /// Lends every cursor.
    pub(super) fn all(&self) -> &HashMap<String, Vec<u8>> {
        &self.kept.cursors
    }

    /// Writes down what changed, durably.
    pub(super) fn store(&mut self) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let draft = self.path.with_extension("tmp");
        let mut file = File::create(&draft)?;
        file.write_all(&encode(&self.kept)?)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
        self.changed = false;
        Ok(())
    }
}

impl Stood {
    /// Whether both are of one agent and one target.
    fn measures_like(&self, other: &Self) -> bool {
        (&self.agent, &self.target) == (&other.agent, &other.target)
    }

    /// Whether it is of what this shape measures.
    pub(super) fn is_of(&self, shape: &Shape) -> bool {
        (&self.agent, &self.target) == (&shape.agent, &shape.target)
    }
}

fn encode(kept: &Kept) -> io::Result<Vec<u8>> {
    let body = postcard::to_stdvec(kept).map_err(io::Error::other)?;
    let sum = crc32c::crc32c(&body);
    Ok([MAGIC.as_slice(), &[VERSION], &sum.to_le_bytes(), &body].concat())
}

fn decode(bytes: &[u8], path: &Path) -> Result<Kept, CursorsError> {
    let damaged = || CursorsError::Damaged { path: path.to_owned() };
    let (&version, rest) = bytes.strip_prefix(MAGIC.as_slice()).and_then(<[u8]>::split_first).ok_or_else(damaged)?;
    if version > VERSION {
        return Err(CursorsError::Newer { path: path.to_owned(), found: version });
    }
    let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err(damaged());
    }
    match version {
        VERSION => postcard::from_bytes(body).map_err(|_| damaged()),
        _ => postcard::from_bytes::<KeptByV1>(body).map(Kept::from).map_err(|_| damaged()),
    }
}

impl From<KeptByV1> for Kept {
    fn from(KeptByV1 { cursors, readings }: KeptByV1) -> Self {
        Self { cursors, readings, standings: HashMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        latest::{JobView, Latest},
        reading::Cause,
    };
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::{Outcome, Status};

    fn left(cursor: &[u8], fresh_s: i64) -> Reading {
        let outcome = Outcome { status: Status::Ok, cursor: Some(cursor.into()), ..Outcome::failed(ErrorKind::LOCAL, "", 0) };
        Reading { job: "log".into(), cause: Cause::Schedule, slot: 0, due_ns: 0, stale_ns: fresh_s * 1_000_000_000, outcome }
    }

    #[test]
    fn cursors_outlive_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply(&left(b"line 7", 3600));
        cursors.store().unwrap();
        let mut again = Cursors::load(data.path()).unwrap();
        assert_eq!(again.all()["log"], b"line 7");
        assert_eq!(again.readings().collect::<Vec<_>>(), [&left(b"line 7", 3600)], "an hourly job shows its last values after a restart");
        again.apply(&left(b"line 8", 30));
        assert_eq!(again.readings().count(), 0, "a job that runs often needs no such memory");
    }

    #[test]
    fn how_a_job_stood_outlives_a_restart_and_is_not_written_down_at_each_run() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        let latest = Latest::default();
        let (agent, target, labels, metrics) = ("pop3".into(), "mx:110".into(), vec![], vec![]);
        let shape = Shape { job: "log".into(), agent, target, labels, step_s: 30, metrics };
        latest.set_jobs([JobView { shape: shape.clone(), next_due_ns: None }]);
        let standings = |at_s: i64| {
            let outcome = Outcome { started_ns: at_s * 1_000_000_000, ..left(b"", 0).outcome };
            latest.apply(&Reading { stale_ns: (at_s + 40) * 1_000_000_000, outcome, ..left(b"", 0) });
            let standing = latest.job("log").unwrap().standing().unwrap();
            HashMap::from([("log".to_owned(), Stood { agent: "pop3".into(), target: "mx:110".into(), standing })])
        };
        for (at_s, written) in [(1, true), (31, false), (60, false), (61, true), (120, false)] {
            cursors.stand(standings(at_s));
            assert_eq!(cursors.changed, written, "at {at_s} s");
            cursors.store().unwrap();
        }
        let again = Cursors::load(data.path()).unwrap();
        let (job, stood) = again.standings().next().unwrap();
        assert_eq!((job, stood.standing.since_ns(0), stood.is_of(&shape)), ("log", 1_000_000_000, true));
        assert!(!stood.is_of(&Shape { target: "mx2:110".into(), ..shape }));
    }

    #[test]
    fn an_older_file_is_understood_and_a_newer_one_refused() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("cursors");
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply(&left(b"line 7", 3600));
        let Kept { cursors, readings, .. } = &cursors.kept;
        let body = postcard::to_stdvec(&(cursors, readings)).unwrap();
        let file = |version: u8| [MAGIC.as_slice(), &[version], &crc32c::crc32c(&body).to_le_bytes(), &body].concat();
        fs::write(&path, file(1)).unwrap();
        let again = Cursors::load(data.path()).unwrap();
        assert_eq!((again.all()["log"].as_slice(), again.readings().count(), again.standings().count()), (b"line 7".as_slice(), 1, 0));
        fs::write(&path, file(3)).unwrap();
        let refusal = Cursors::load(data.path()).err().unwrap().to_string();
        assert!(refusal.ends_with("cursors has format version 3, known up to 2"), "{refusal}");
    }

    #[test]
    fn a_damaged_file_is_told_and_not_taken_for_an_empty_one() {
        let data = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::load(data.path()).unwrap();
        cursors.apply(&left(b"line 7", 3600));
        cursors.store().unwrap();
        let path = data.path().join("cursors");
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(matches!(Cursors::load(data.path()), Err(CursorsError::Damaged { .. })));
    }
}
