//! What an operator says of one library, in `[plugin.NAME]`: whether it is confined, and its bounds.

use std::collections::BTreeMap;

use super::{
    At, Fault, Faults, Rule,
    near::did_you_mean,
    reader::{Field, Reader, misshapen},
    text::{Data, Table},
};

/// Keys that such a table has.
const KEYS: [&str; 2] = ["memory_bytes_max", "sandbox"];

/// Whether a library is confined, by its word.
const SANDBOXES: [(&str, bool); 2] = [("full", true), ("none", false)];

/// Address space that a worker can be given, bytes: what it needs to load anything, and what no machine has.
const MEMORY_BYTES: std::ops::RangeInclusive<i64> = (128 << 20)..=(1 << 46);

/// What an operator says of one library.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginSettings {
    /// Whether its worker is held to what its jobs need; yes unless it is said otherwise.
    pub sandbox: Option<bool>,
    /// Address space of its worker, bytes.
    pub memory_bytes_max: Option<u64>,
}

/// What is said of libraries, by their names; each with the place of its table.
pub type PluginTables = BTreeMap<String, At<PluginSettings>>;

/// Takes shape and meaning of the tables below `[plugin]`.
pub(super) fn check(tables: Field<Table>, faults: &mut Faults) -> PluginTables {
    let mut known = PluginTables::new();
    for (name, entry) in tables.given().map(|tables| tables.value.0).unwrap_or_default() {
        match &entry.value.value {
            Data::Table(table) => {
                let settings = settings(table, faults);
                known.insert(name, At { value: settings, place: entry.key });
            }
            other => faults.extend(misshapen(&format!("plugin.{name}"), "a table", other, &entry.value.place)),
        }
    }
    known
}

fn settings(table: &Table, faults: &mut Faults) -> PluginSettings {
    let mut reader = Reader::new("a table of a plugin", &KEYS, table);
    let (sandbox, memory) = (reader.text("sandbox", faults), reader.whole("memory_bytes_max", faults));
    reader.finish(faults);
    PluginSettings {
        sandbox: sandbox.given().and_then(|word| check_sandbox(&word, faults)),
        memory_bytes_max: memory.given().and_then(|bytes| check_memory(&bytes, faults)),
    }
}

fn check_sandbox(word: &At<String>, faults: &mut Faults) -> Option<bool> {
    let Some((_, confined)) = SANDBOXES.iter().find(|(known, _)| *known == word.value) else {
        let message = format!("`sandbox`: \"{}\" is none that there is", word.escape_debug());
        let hint = did_you_mean(word, "sandboxes", SANDBOXES.iter().map(|(known, _)| *known));
        faults.push(Fault::new(Rule::SandboxUnknown, &word.place, message).hint(hint));
        return None;
    };
    if !confined {
        let message = "`sandbox`: nothing holds this library: it may touch whatever watchpost may";
        let fault = Fault::new(Rule::SandboxNone, &word.place, message);
        faults.push(fault.hint("for libraries that you trust as watchpost itself, e.g. ones that start setgid programs such as postqueue"));
    }
    Some(*confined)
}

fn check_memory(bytes: &At<i64>, faults: &mut Faults) -> Option<u64> {
    if !MEMORY_BYTES.contains(&bytes.value) {
        let (least, most) = (MEMORY_BYTES.start(), MEMORY_BYTES.end());
        let message = format!("`memory_bytes_max`: {} is not in the range {least} to {most}", bytes.value);
        faults.push(Fault::new(Rule::MemoryOutOfRange, &bytes.place, message).hint("it counts address space, e.g. 4294967296 for 4 GiB"));
        return None;
    }
    u64::try_from(bytes.value).ok()
}
