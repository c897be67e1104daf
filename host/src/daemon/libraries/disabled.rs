//! Plugins that an operator disabled: remembered over restarts.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use super::super::Daemon;
use crate::plugin::Plugin;

/// The names of disabled plugins, one a line, in a file of the data folder.
pub(in crate::daemon) struct Disabled {
    path: PathBuf,
    names: BTreeSet<String>,
}

impl Disabled {
    /// Reads what was disabled before; a missing file is nothing.
    pub(in crate::daemon) fn load(data: &Path) -> io::Result<Self> {
        let path = data.join("disabled");
        let names = match fs::read_to_string(&path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path, names })
    }

    fn set(&mut self, plugin: &str, disabled: bool) -> io::Result<()> {
        let mut names = self.names.clone();
        let changed = if disabled { names.insert(plugin.to_owned()) } else { names.remove(plugin) };
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

impl Daemon {
    /// Disables a plugin or enables it again, and remembers it.
    ///
    /// Errors: it cannot be remembered; then nothing changes.
    pub(in crate::daemon) fn enable(&self, plugin: &Plugin, enabled: bool) -> io::Result<()> {
        let mut disabled = self.libraries.disabled.lock().unwrap_or_else(PoisonError::into_inner);
        disabled.set(&plugin.name(), !enabled)?;
        drop(disabled);
        plugin.enable(enabled);
        Ok(())
    }

    /// Has a library that was just loaded rest, if that is what an operator wants.
    pub(in crate::daemon) fn rest_if_disabled(&self, plugin: &Plugin) {
        let disabled = self.libraries.disabled.lock().unwrap_or_else(PoisonError::into_inner);
        if disabled.names.contains(&plugin.name()) {
            plugin.enable(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_disabled_stays_disabled_over_a_restart() {
        let data = tempfile::tempdir().unwrap();
        Disabled::load(data.path()).unwrap().set("smtp", true).unwrap();
        let mut again = Disabled::load(data.path()).unwrap();
        assert!(again.names.contains("smtp"));
        again.set("smtp", false).unwrap();
        assert!(Disabled::load(data.path()).unwrap().names.is_empty());
    }
}
