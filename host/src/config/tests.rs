//! Claims about the room as a whole; one file per subject.

mod binding;
mod broken;
mod files;
mod golden;
mod places;

use std::{fs, path::Path};

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
        let file = self.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<Loaded, Faults> {
        load(&self.path().join("watchpost.toml"), now())
    }

    /// Shows faults as a person sees them who stands in the house.
    fn shown(&self, faults: &Faults) -> String {
        faults.to_string().replace(&format!("{}/", self.path().display()), "")
    }
}

fn now() -> UnixTime {
    UnixTime::from_secs(DateTime::parse_from_rfc3339("2026-10-01T00:00:00Z").unwrap().timestamp())
}
