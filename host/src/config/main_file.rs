//! The main file: its shape, then its meaning.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    At, Fault, Faults, Place, Rule, host_alarms,
    objective::RawObjective,
    path,
    plugin::{self, PluginTables},
    reader::{Field, Reader, Texts},
    rrdcached::{self, RrdcachedSettings},
    store::{self, StoreSettings},
    text::Table,
};
use crate::alarm::host::HostRules;

/// Keys that it has.
const KEYS: [&str; 13] = [
    "channel",
    "data",
    "host_alarms",
    "listen",
    "objective",
    "person",
    "plugin",
    "plugins",
    "roster",
    "route",
    "rrdcached",
    "schedules",
    "store",
];

/// Where the web pages and `/metrics` listen unless said otherwise: loopback only.
const LISTEN: &str = "127.0.0.1:9470";

/// Keys that stand in a schedule file.
const OF_SCHEDULE_FILE: [&str; 5] = ["job", "defaults", "rule", "maintenance", "row"];

/// The main file as written.
pub(super) struct MainFile {
    place: Place,
    data: Field<String>,
    listen: Field<String>,
    plugins: Field<Texts>,
    plugin: Field<Table>,
    rrdcached: Field<Table>,
    schedules: Field<Texts>,
    store: Field<Table>,
    host_alarms: Field<Table>,
    objectives: Vec<RawObjective>,
    channels: Vec<At<Table>>,
    routes: Vec<At<Table>>,
    persons: Vec<At<Table>>,
    rosters: Vec<At<Table>>,
}

/// What the main file means; the schedules are still to be read. What was told of is absent.
pub(super) struct Main {
    pub(super) data: Option<At<PathBuf>>,
    pub(super) listen: Option<At<SocketAddr>>,
    pub(super) plugins: Paths,
    pub(super) of_plugins: PluginTables,
    pub(super) rrdcached: Option<RrdcachedSettings>,
    pub(super) schedules: Paths,
    pub(super) store: StoreSettings,
    pub(super) host_alarms: HostRules,
    pub(super) objectives: Vec<RawObjective>,
    pub(super) channels: Vec<At<Table>>,
    pub(super) routes: Vec<At<Table>>,
    pub(super) persons: Vec<At<Table>>,
    pub(super) rosters: Vec<At<Table>>,
}

/// Files or folders that a key names.
pub(super) struct Paths {
    pub(super) paths: Vec<At<PathBuf>>,
    /// Whether they are all that the key was to name.
    pub(super) whole: bool,
    /// Whether the key is left out, and its own name is taken for a folder.
    pub(super) usual: bool,
}

/// Takes the shape of the main file.
pub(super) fn parse(tree: &At<Table>, faults: &mut Faults) -> MainFile {
    let mut reader = Reader::new("watchpost.toml", &KEYS, &tree.value);
    for key in OF_SCHEDULE_FILE {
        reader.refuse_here(key, "belongs in a schedule file, not in watchpost.toml", faults);
    }
    let file = MainFile {
        place: tree.place.clone(),
        data: reader.text("data", faults),
        listen: reader.text("listen", faults),
        plugins: reader.texts("plugins", faults),
        plugin: reader.table("plugin", faults),
        rrdcached: reader.table("rrdcached", faults),
        schedules: reader.texts("schedules", faults),
        store: reader.table("store", faults),
        host_alarms: reader.table("host_alarms", faults),
        objectives: reader.tables("objective", faults).iter().map(|table| RawObjective::parse(table, faults)).collect(),
        channels: owned(reader.tables("channel", faults)),
        routes: owned(reader.tables("route", faults)),
        persons: owned(reader.tables("person", faults)),
        rosters: owned(reader.tables("roster", faults)),
    };
    reader.finish(faults);
    file
}

impl MainFile {
    /// Checks what it says; plugins and schedules that it names are read even where the rest is at fault.
    pub(super) fn check(self, faults: &mut Faults) -> Main {
        let place = self.place;
        let mut plugins = Paths::check("plugins", self.plugins, &place, faults);
        let (named, usual) = (plugins.paths.len(), plugins.usual);
        plugins.paths.retain(|folder| can_be_read(folder, usual, faults));
        plugins.whole &= plugins.paths.len() == named;
        Main {
            data: or_default(self.data, "data", &place).and_then(|text| check_path("data", &text, faults)).map(absolute),
            listen: or_default(self.listen, LISTEN, &place).and_then(|text| check_listen(&text, faults)),
            plugins: Paths { paths: plugins.paths.into_iter().map(absolute).collect(), ..plugins },
            of_plugins: plugin::check(self.plugin, faults),
            rrdcached: rrdcached::check(self.rrdcached, faults),
            schedules: Paths::check("schedules", self.schedules, &place, faults),
            store: store::check(self.store, faults),
            host_alarms: host_alarms::check(self.host_alarms, faults),
            objectives: self.objectives,
            channels: self.channels,
            routes: self.routes,
            persons: self.persons,
            rosters: self.rosters,
        }
    }
}

impl Paths {
    /// Checks a list of paths; left out, it is the one folder that bears the key's name.
    fn check(key: &str, field: Field<Texts>, place: &Place, faults: &mut Faults) -> Self {
        let (texts, usual) = match field {
            Field::Given(texts) => (texts.value, false),
            Field::Absent => (Texts { items: vec![At { value: key.to_owned(), place: place.clone() }], whole: true }, true),
            Field::Broken => (Texts { items: Vec::new(), whole: false }, false),
        };
        let paths: Vec<_> = texts.items.iter().filter_map(|text| check_path(key, text, faults)).collect();
        let whole = texts.whole && paths.len() == texts.items.len();
        Self { paths, whole, usual }
    }
}

fn owned(tables: Vec<At<&Table>>) -> Vec<At<Table>> {
    tables.into_iter().map(|at| At { value: at.value.clone(), place: at.place }).collect()
}

/// Says what a key means that is left out, where that is no help.
pub(super) fn usual_hint(key: &str, usual: bool) -> Option<String> {
    usual.then(|| format!("left out, it means: {key} = [\"{key}\"]"))
}

fn or_default(field: Field<String>, default: &str, place: &Place) -> Option<At<String>> {
    field.or(Field::Given(At { value: default.into(), place: place.clone() })).given()
}

fn check_listen(text: &At<String>, faults: &mut Faults) -> Option<At<SocketAddr>> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        let message = format!("`listen`: \"{}\" is no address with a port", text.escape_debug());
        let fault = Fault::new(Rule::ListenIllegal, &text.place, message);
        faults.push(fault.hint(format!("write \"{LISTEN}\" or \"[::1]:9470\", numbers and no names")));
        return None;
    };
    if !address.ip().is_loopback() {
        let message = format!("`listen`: {address} is open to other machines, and nobody is asked who they are");
        let fault = Fault::new(Rule::ListenOpen, &text.place, message);
        faults.push(fault.hint(format!("write \"{LISTEN}\" and let a proxy ask")));
    }
    Some(At { value: address, place: text.place.clone() })
}

pub(super) fn check_path(key: &str, text: &At<String>, faults: &mut Faults) -> Option<At<PathBuf>> {
    if text.is_empty() || text.contains('\0') {
        let fault = Fault::new(Rule::PathIllegal, &text.place, format!("`{key}`: \"{}\" is no path", text.escape_debug()));
        faults.push(fault.hint("a path has a character at least, and no NUL"));
        return None;
    }
    Some(At { value: text.place.resolve(Path::new(&text.value)), place: text.place.clone() })
}

/// Makes a path hold for workers too, whatever folder they run in.
pub(super) fn absolute(path: At<PathBuf>) -> At<PathBuf> {
    At { value: path::absolute(&path.value), place: path.place }
}

fn can_be_read(folder: &At<PathBuf>, usual: bool, faults: &mut Faults) -> bool {
    let Err(error) = std::fs::read_dir(&folder.value) else { return true };
    let message = format!("`plugins`: cannot read folder {}: {}", folder.display(), crate::chain(&error));
    faults.push(Fault::new(Rule::PluginsUnreadable, &folder.place, message).maybe_hint(usual_hint("plugins", usual)));
    false
}
