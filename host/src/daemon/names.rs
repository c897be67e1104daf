//! Names that an operator set apart, remembered over restarts: jobs that are paused, plugins that are disabled.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The file of paused jobs in the data folder.
pub(super) const PAUSED: &str = "paused";
/// The file of disabled plugins.
pub(super) const DISABLED: &str = "disabled";

/// Names, one a line, in a file of the data folder.
pub(super) struct Names {
    path: PathBuf,
    names: BTreeSet<String>,
}

impl Names {
    /// Reads what was remembered; a missing file is nothing.
    pub(super) fn load(data: &Path, file: &str) -> io::Result<Self> {
        let path = data.join(file);
        let names = match fs::read_to_string(&path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, names })
    }

    /// Whether a name is among them.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Takes a name in, or out, and remembers it.
    ///
    /// Errors: it cannot be remembered; then nothing changes.
    pub(super) fn set(&mut self, name: &str, held: bool) -> io::Result<()> {
        let mut names = self.names.clone();
        let changed = if held { names.insert(name.to_owned()) } else { names.remove(name) };
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
    fn what_was_set_apart_stays_so_over_a_restart() {
        let data = tempfile::tempdir().unwrap();
        let load = |file| Names::load(data.path(), file).unwrap();
        load(PAUSED).set("pop-paris", true).unwrap();
        assert!(load(PAUSED).holds("pop-paris") && !load(DISABLED).holds("pop-paris"));
        load(PAUSED).set("pop-paris", false).unwrap();
        assert!(!load(PAUSED).holds("pop-paris"));
    }
}
