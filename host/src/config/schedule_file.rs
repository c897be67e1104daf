//! The shape of a schedule file: `[[job]]` and `[defaults]`, nothing judged yet.

use super::{
    fault::{At, Fault, Faults, Place},
    reader::{Field, Reader, misshapen},
    text::{Data, Table},
};

/// Tables that have their place in the plan, and what they come with.
const LATER: [(&str, &str); 3] = [("rule", "comes with alarms"), ("maintenance", "comes with alarms"), ("row", "comes with the store")];

/// Keys of a job that have their place in the plan, and what they come with.
const LATER_IN_JOB: [(&str, &str); 3] =
    [("threshold", "comes with alarms"), ("active", "comes with time windows"), ("blackout", "comes with time windows")];

/// Keys that stand in the main file.
const OF_MAIN_FILE: [&str; 8] = ["data", "plugins", "schedules", "listen", "channel", "route", "person", "objective"];

/// What a job and `[defaults]` have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) agent: Field<String>,
    pub(super) every: Field<String>,
    pub(super) cron: Field<String>,
    pub(super) timezone: Field<String>,
    pub(super) timeout: Field<String>,
    pub(super) overlap: Field<String>,
    pub(super) labels: Field<Table>,
    pub(super) labels_max: Field<i64>,
    pub(super) samples: Field<i64>,
    pub(super) config: Field<Table>,
}

/// One `[[job]]` as written.
#[derive(Debug)]
pub(super) struct RawJob {
    pub(super) place: Place,
    pub(super) name: Field<String>,
    pub(super) targets: Field<Vec<At<RawTarget>>>,
    pub(super) settings: Settings,
}

/// One of a job's `targets` as written.
#[derive(Debug)]
pub(super) enum RawTarget {
    /// `"mx1:25"`.
    Text(String),
    /// `{ host = "mx1", … }`.
    Table(TargetTable),
}

/// A target that says more than host and port.
#[derive(Debug)]
pub(super) struct TargetTable {
    pub(super) name: Field<String>,
    pub(super) host: Field<String>,
    pub(super) port: Field<i64>,
    pub(super) labels: Field<Table>,
    /// Its other keys, and those of its own `config`.
    pub(super) config: Table,
}

/// A schedule file as written.
#[derive(Debug)]
pub(super) struct ScheduleFile {
    pub(super) defaults: Settings,
    pub(super) jobs: Vec<RawJob>,
}

/// Takes the shape of a schedule file.
pub(super) fn parse(tree: &At<Table>, faults: &mut Faults) -> ScheduleFile {
    let mut reader = Reader::new("a schedule file", &tree.value);
    let jobs = reader.tables("job", faults);
    let defaults = reader.table("defaults", faults).given();
    for (key, with) in LATER {
        reader.refuse(key, with, faults);
    }
    for key in OF_MAIN_FILE {
        reader.refuse(key, "belongs in watchpost.toml, not in a schedule file", faults);
    }
    reader.finish(faults);
    ScheduleFile {
        defaults: defaults.map(|table| parse_defaults(&table, faults)).unwrap_or_default(),
        jobs: jobs.iter().map(|table| parse_job(table, faults)).collect(),
    }
}

fn parse_defaults(table: &Table, faults: &mut Faults) -> Settings {
    let mut reader = Reader::new("`[defaults]`", table);
    let settings = Settings::parse(&mut reader, faults);
    reader.refuse("name", "belongs to one job, not to all", faults);
    reader.refuse("targets", "belongs to one job, not to all", faults);
    reader.finish(faults);
    settings
}

fn parse_job(at: &At<&Table>, faults: &mut Faults) -> RawJob {
    let mut reader = Reader::new("`[[job]]`", at.value);
    let name = reader.text("name", faults);
    let settings = Settings::parse(&mut reader, faults);
    let targets = match reader.list("targets", faults) {
        Field::Given(list) => {
            let targets: Vec<_> = list.value.iter().filter_map(|item| parse_target(item, faults)).collect();
            let broken = targets.is_empty() && !list.value.is_empty();
            if broken { Field::Broken } else { Field::Given(At { value: targets, place: list.place }) }
        }
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
    };
    reader.finish(faults);
    RawJob { place: at.place.clone(), name, targets, settings }
}

fn parse_target(item: &At<Data>, faults: &mut Faults) -> Option<At<RawTarget>> {
    let target = match &item.value {
        Data::Text(text) => RawTarget::Text(text.clone()),
        Data::Table(table) => RawTarget::Table(TargetTable::parse(table, faults)),
        other => {
            let fault = misshapen("targets", "a text or a table", other, &item.place);
            faults.push(fault.hint("write \"mx1:25\" or { host = \"mx1\", port = 25 }"));
            return None;
        }
    };
    Some(At { value: target, place: item.place.clone() })
}

impl Settings {
    fn parse(reader: &mut Reader<'_>, faults: &mut Faults) -> Self {
        for (key, with) in LATER_IN_JOB {
            reader.refuse(key, with, faults);
        }
        Self {
            agent: reader.text("agent", faults),
            every: reader.text("every", faults),
            cron: reader.text("cron", faults),
            timezone: reader.text("timezone", faults),
            timeout: reader.text("timeout", faults),
            overlap: reader.text("overlap", faults),
            labels: reader.table("labels", faults),
            labels_max: reader.whole("labels_max", faults),
            samples: reader.whole("samples", faults),
            config: reader.table("config", faults),
        }
    }

    /// Fills what a job leaves open from its file's `[defaults]`: `every` and `cron` as one choice, labels and config key by key.
    pub(super) fn over(self, defaults: &Self) -> Self {
        let timed = !self.every.is_absent() || !self.cron.is_absent();
        let unless_timed = |field: &Field<String>| if timed { Field::Absent } else { field.clone() };
        Self {
            agent: self.agent.or(defaults.agent.clone()),
            every: self.every.or(unless_timed(&defaults.every)),
            cron: self.cron.or(unless_timed(&defaults.cron)),
            timezone: self.timezone.or(defaults.timezone.clone()),
            timeout: self.timeout.or(defaults.timeout.clone()),
            overlap: self.overlap.or(defaults.overlap.clone()),
            labels: merged(self.labels, &defaults.labels),
            labels_max: self.labels_max.or(defaults.labels_max.clone()),
            samples: self.samples.or(defaults.samples.clone()),
            config: merged(self.config, &defaults.config),
        }
    }
}

/// Lays a table over another, key by key; the upper one's place stands for both.
pub(super) fn merged(upper: Field<Table>, lower: &Field<Table>) -> Field<Table> {
    match (upper, lower) {
        (Field::Given(upper), Field::Given(lower)) => {
            let mut table = lower.value.clone();
            table.overlay(&upper.value);
            Field::Given(At { value: table, place: upper.place })
        }
        (upper, lower) => upper.or(lower.clone()),
    }
}

impl TargetTable {
    fn parse(table: &Table, faults: &mut Faults) -> Self {
        let mut reader = Reader::new("a target", table);
        let (name, host) = (reader.text("name", faults), reader.text("host", faults));
        let (port, labels) = (reader.whole("port", faults), reader.table("labels", faults));
        let own = reader.table("config", faults).given();
        // Every other key is one of the agent's; the agent's schema judges it.
        let mut config =
            Table(table.0.clone().into_iter().filter(|(key, _)| !["name", "labels", "config"].contains(&key.as_str())).collect());
        if let Some(own) = own {
            for (key, entry) in own.value.0 {
                if let Some(twice) = config.0.get(&key) {
                    let fault = Fault::new(&entry.key, format!("`{key}`: set twice for one target"));
                    faults.push(fault.hint(format!("first set at {}", twice.key)));
                }
                config.0.insert(key, entry);
            }
        }
        Self { name, host, port, labels, config }
    }
}
