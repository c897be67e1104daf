//! Where front ends of RRD files ask as they ask rrdcached, in `[rrdcached]`; without it nobody is answered.

use std::path::PathBuf;

use super::{
    At, Fault, Faults, Place, Rule,
    main_file::{absolute, check_path},
    reader::{Field, Reader},
    text::Table,
};

/// Keys that the table has.
const KEYS: [&str; 2] = ["group", "socket"];

/// Who may read series as from rrdcached.
#[derive(Clone, Debug, PartialEq)]
pub struct RrdcachedSettings {
    /// The unix socket.
    pub socket: At<PathBuf>,
    /// The group that may connect as well as the daemon's user, e.g. "www-data".
    pub group: Option<At<String>>,
}

impl RrdcachedSettings {
    /// Whether both say the same, wherever it stands.
    pub(super) fn alike(one: Option<&Self>, other: Option<&Self>) -> bool {
        let said = |settings: &Self| (settings.socket.value.clone(), settings.group.as_ref().map(|group| group.value.clone()));
        one.map(said) == other.map(said)
    }
}

/// Takes shape and meaning of the table.
pub(super) fn check(table: Field<Table>, faults: &mut Faults) -> Option<RrdcachedSettings> {
    let At { value: table, place } = table.given()?;
    let mut reader = Reader::new("[rrdcached]", &KEYS, &table);
    let (group, socket) = (reader.text("group", faults), reader.text("socket", faults));
    reader.finish(faults);
    let socket = socket.required("socket", &place, "name the file of a unix socket, e.g. socket = \"run/rrdcached.sock\"", faults);
    let socket = socket.and_then(|text| check_path("socket", &text, faults)).map(absolute);
    let group = group.given().filter(|group| check_group(group, &group.place, faults));
    Some(RrdcachedSettings { socket: socket?, group })
}

/// Says whether it can be the name of a group; whether there is one of that name is seen when the daemon starts.
fn check_group(name: &str, place: &Place, faults: &mut Faults) -> bool {
    let legal = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
    if !legal {
        let message = format!("`group`: \"{}\" is no name of a group", name.escape_debug());
        faults.push(Fault::new(Rule::GroupIllegal, place, message).hint("name a group of this machine, e.g. \"www-data\""));
    }
    legal
}
