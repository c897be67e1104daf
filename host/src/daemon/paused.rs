//! Jobs that an operator paused: remembered over restarts.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The names of paused jobs, one a line, in a file of the data folder.
pub(super) struct Paused {
    path: PathBuf,
    names: BTreeSet<String>,
}

impl Paused {
    /// Reads what was paused before; a missing file is nothing.
    pub(super) fn load(data: &Path) -> io::Result<Self> {
        let path = data.join("paused");
        let names = match fs::read_to_string(&path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, names })
    }

    pub(super) fn holds(&self, job: &str) -> bool {
        self.names.contains(job)
    }

    /// Pauses or resumes a job, and remembers it.
    pub(super) fn set(&mut self, job: &str, paused: bool) -> io::Result<()> {
        let mut names = self.names.clone();
        let changed = if paused { names.insert(job.to_owned()) } else { names.remove(job) };
        if changed {
            self.store(&names)?;
            self.names = names;
        }
        Ok(())
    }

    fn store(&self, names: &BTreeSet<String>) -> io::Result<()> {
        let draft = self.path.with_extension("tmp");
        let mut file = File::create(&draft)?;
        for name in names {
            writeln!(file, "{name}")?;
        }
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_paused_stays_paused_over_a_restart() {
        let data = tempfile::tempdir().unwrap();
        Paused::load(data.path()).unwrap().set("pop-paris", true).unwrap();
        let mut again = Paused::load(data.path()).unwrap();
        assert!(again.holds("pop-paris"));
        again.set("pop-paris", false).unwrap();
        assert!(!Paused::load(data.path()).unwrap().holds("pop-paris"));
    }
}
