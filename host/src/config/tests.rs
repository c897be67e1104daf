//! Claims about the room as a whole; one file per subject.

mod binding;
mod broken;
mod files;
mod golden;
mod places;
mod probe;
mod secrets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::DateTime;
use tempfile::TempDir;

use super::{Faults, Loaded, load};
use crate::schedule::UnixTime;

/// The main file of a house that holds whatever a test puts into `schedules/`.
const MAIN: &str = "plugins = [\"plugins\"]\nschedules = [\"schedules\"]\n";

/// One job that has nothing wrong.
const SOUND: &str = "[[job]]\nname = \"sound\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"mx1\" }\n";

/// A folder with a main file, a folder for plugins and one for schedules.
struct House(TempDir);

impl House {
    fn new() -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        fs::create_dir(house.path().join("plugins")).unwrap();
        house.with("watchpost.toml", MAIN).with("schedules/.hidden.toml", "no toml")
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.lay(name, text);
        self
    }

    /// Puts a file there.
    fn lay(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Puts the files of a case there: schedules, and maybe a main file.
    fn lay_all(&self, case: &Path) {
        for file in fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap().to_str().unwrap();
            let place = if name == "watchpost.toml" { name.into() } else { format!("schedules/{name}") };
            self.lay(&place, fs::read(&file).unwrap());
        }
    }

    fn main(&self) -> PathBuf {
        self.path().join("watchpost.toml")
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Loaded, Faults> {
        load(&self.main(), now())
    }

    /// Shows faults as a person sees them who stands in the house.
    fn shown(&self, faults: &Faults) -> String {
        faults.to_string().replace(&format!("{}/", self.path().display()), "")
    }
}

fn now() -> UnixTime {
    UnixTime::from_secs(DateTime::parse_from_rfc3339("2026-10-01T00:00:00Z").unwrap().timestamp())
}
