//! The main file: its shape, then its meaning.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    fault::{At, Fault, Faults, Place},
    reader::{Field, Reader},
    text::Table,
};

/// Where the web pages and `/metrics` listen unless said otherwise: loopback only.
const LISTEN: &str = "127.0.0.1:9470";

/// Tables that have their place in the plan, and what they come with.
const LATER: [(&str, &str); 5] = [
    ("channel", "comes with notifications"),
    ("route", "comes with notifications"),
    ("person", "comes with notifications"),
    ("objective", "comes with service levels"),
    ("plugin", "comes with the plugin sandbox"),
];

/// Keys that stand in a schedule file.
const OF_SCHEDULE_FILE: [&str; 5] = ["job", "defaults", "rule", "maintenance", "row"];

/// The main file as written.
pub(super) struct MainFile {
    place: Place,
    data: Field<String>,
    listen: Field<String>,
    plugins: Field<Vec<At<String>>>,
    schedules: Field<Vec<At<String>>>,
}

/// What the main file means; the schedules are still to be read. What was told of is absent.
pub(super) struct Main {
    pub(super) data: Option<At<PathBuf>>,
    pub(super) listen: Option<At<SocketAddr>>,
    pub(super) plugins: Vec<At<PathBuf>>,
    pub(super) schedules: Vec<At<PathBuf>>,
}

/// Takes the shape of the main file.
pub(super) fn parse(tree: &At<Table>, faults: &mut Faults) -> MainFile {
    let mut reader = Reader::new("watchpost.toml", &tree.value);
    let file = MainFile {
        place: tree.place.clone(),
        data: reader.text("data", faults),
        listen: reader.text("listen", faults),
        plugins: reader.texts("plugins", faults),
        schedules: reader.texts("schedules", faults),
    };
    for (key, with) in LATER {
        reader.refuse(key, with, faults);
    }
    for key in OF_SCHEDULE_FILE {
        reader.refuse(key, "belongs in a schedule file, not in watchpost.toml", faults);
    }
    reader.finish(faults);
    file
}

impl MainFile {
    /// Checks what it says; the schedules it names are read even where the rest is at fault.
    pub(super) fn check(self, faults: &mut Faults) -> Main {
        let place = self.place;
        let plugins = check_paths("plugins", self.plugins, &place, faults);
        for folder in &plugins {
            check_folder(folder, faults);
        }
        Main {
            data: or_default(self.data, "data", &place).and_then(|text| check_path("data", &text, faults)).map(absolute),
            listen: or_default(self.listen, LISTEN, &place).and_then(|text| check_listen(&text, faults)),
            plugins: plugins.into_iter().map(absolute).collect(),
            schedules: check_paths("schedules", self.schedules, &place, faults),
        }
    }
}

fn or_default(field: Field<String>, default: &str, place: &Place) -> Option<At<String>> {
    field.or(Field::Given(At { value: default.into(), place: place.clone() })).given()
}

fn check_listen(text: &At<String>, faults: &mut Faults) -> Option<At<SocketAddr>> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`listen`: \"{}\" is no address with a port", text.escape_debug());
        faults.push(Fault::new(&text.place, message).hint(format!("write \"{LISTEN}\" or \"[::1]:9470\", numbers and no names")));
        return None;
    };
    if !address.ip().is_loopback() {
        let fault = Fault::warning(&text.place, format!("`listen`: {address} is open to other machines, and nobody is asked who they are"));
        faults.push(fault.hint(format!("write \"{LISTEN}\" and let a proxy ask")));
    }
    Some(At { value: address, place: text.place.clone() })
}

/// Checks a list of paths; left out, it is the one folder that bears the key's name.
fn check_paths(key: &str, field: Field<Vec<At<String>>>, place: &Place, faults: &mut Faults) -> Vec<At<PathBuf>> {
    let default = vec![At { value: key.to_owned(), place: place.clone() }];
    let list = field.or(Field::Given(At { value: default, place: place.clone() })).given();
    list.into_iter().flat_map(|list| list.value).filter_map(|text| check_path(key, &text, faults)).collect()
}

fn check_path(key: &str, text: &At<String>, faults: &mut Faults) -> Option<At<PathBuf>> {
    if text.is_empty() || text.contains('\0') {
        faults.push(Fault::new(&text.place, format!("`{key}`: \"{}\" is no path", text.escape_debug())));
        return None;
    }
    Some(At { value: text.place.resolve(Path::new(&text.value)), place: text.place.clone() })
}

/// Makes a path hold for workers too, whatever folder they run in.
fn absolute(path: At<PathBuf>) -> At<PathBuf> {
    At { value: std::path::absolute(&path.value).unwrap_or(path.value), place: path.place }
}

fn check_folder(folder: &At<PathBuf>, faults: &mut Faults) {
    if let Err(error) = std::fs::read_dir(&folder.value) {
        faults.push(Fault::new(&folder.place, format!("`plugins`: cannot read folder {}: {error}", folder.display())));
    }
}
