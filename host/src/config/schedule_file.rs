//! The shape of a schedule file: `[[job]]`, `[[rule]]`, `[[maintenance]]`, `[[row]]` and `[defaults]`, nothing judged yet.

use super::{
    At, Fault, Faults, Place, Rule,
    alarm_rule::RawAlarmRule,
    maintenance::RawMaintenance,
    reader::{Field, Reader, Texts, misshapen},
    row::RawRow,
    text::{Data, Table},
};

/// Keys of the file.
const KEYS: [&str; 5] = ["defaults", "job", "maintenance", "row", "rule"];

/// Keys of a job: those of [`Settings`], and its own three.
const KEYS_OF_JOB: [&str; 21] = [
    "name",
    "was",
    "agent",
    "every",
    "cron",
    "timezone",
    "active",
    "blackout",
    "holidays",
    "timeout",
    "overlap",
    "labels",
    "labels_max",
    "samples",
    "quarantine_after",
    "archives",
    "heartbeat",
    "config",
    "depends_on",
    "targets",
    "threshold",
];

/// Keys of `[defaults]`.
const KEYS_OF_DEFAULTS: [&str; 17] = [
    "agent",
    "every",
    "cron",
    "timezone",
    "active",
    "blackout",
    "holidays",
    "timeout",
    "overlap",
    "labels",
    "labels_max",
    "samples",
    "quarantine_after",
    "archives",
    "heartbeat",
    "config",
    "depends_on",
];

/// Keys of a target that are not its agent's.
const KEYS_OF_TARGET: [&str; 3] = ["name", "labels", "config"];

/// Keys that stand in the main file.
const OF_MAIN_FILE: [&str; 11] =
    ["data", "host_alarms", "plugins", "schedules", "listen", "channel", "route", "person", "roster", "objective", "plugin"];

/// What a job and `[defaults]` have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) agent: Field<String>,
    pub(super) every: Field<String>,
    pub(super) cron: Field<String>,
    pub(super) timezone: Field<String>,
    /// Whether the job says its zone itself.
    pub(super) zone_is_own: bool,
    pub(super) active: Field<Texts>,
    pub(super) blackout: Field<Texts>,
    pub(super) holidays: Field<String>,
    pub(super) timeout: Field<String>,
    pub(super) overlap: Field<String>,
    pub(super) labels: Field<Table>,
    pub(super) labels_max: Field<i64>,
    pub(super) samples: Field<i64>,
    pub(super) quarantine_after: Field<i64>,
    pub(super) archives: Field<Data>,
    pub(super) heartbeat: Field<String>,
    pub(super) depends_on: Field<Texts>,
    pub(super) config: Field<Table>,
    /// Whether a part of `config` was told of and is lost: a key may have been in it.
    pub(super) config_lost: bool,
}

/// One `[[job]]` as written.
#[derive(Debug)]
pub(super) struct RawJob {
    pub(super) place: Place,
    pub(super) name: Field<String>,
    /// What it was called before.
    pub(super) was: Field<String>,
    pub(super) targets: Field<Vec<RawTarget>>,
    pub(super) thresholds: Vec<RawAlarmRule>,
    pub(super) settings: Settings,
}

/// One of a job's `targets` as written.
#[derive(Debug)]
pub(super) struct RawTarget {
    pub(super) place: Place,
    pub(super) said: TargetSaid,
}

/// What a target says.
#[derive(Debug)]
pub(super) enum TargetSaid {
    /// `"mx1:25"`.
    Text(String),
    /// `{ host = "mx1", … }`.
    Table(Box<TargetTable>),
    /// What was told of already.
    Broken,
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
    /// Whether a part of its own `config` was told of and is lost.
    pub(super) config_lost: bool,
}

/// A schedule file as written.
#[derive(Debug)]
pub(super) struct ScheduleFile {
    pub(super) defaults: Settings,
    pub(super) jobs: Vec<RawJob>,
    pub(super) rows: Vec<RawRow>,
    pub(super) rules: Vec<RawAlarmRule>,
    pub(super) maintenance: Vec<RawMaintenance>,
    /// Whether every job in it is one of those.
    pub(super) whole: bool,
}

/// Takes the shape of a schedule file.
pub(super) fn parse(tree: &At<Table>, faults: &mut Faults) -> ScheduleFile {
    let told = faults.iter().len();
    let mut reader = reader_of(&tree.value, faults);
    let (jobs, rows, rules) = (reader.tables("job", faults), reader.tables("row", faults), reader.tables("rule", faults));
    let maintenance = reader.tables("maintenance", faults);
    let defaults = reader.table("defaults", faults);
    reader.finish(faults);
    // What was told of may have been meant for jobs: `[[jbo]]`.
    let whole = faults.iter().len() == told;
    ScheduleFile {
        whole,
        defaults: match defaults {
            Field::Given(table) => parse_defaults(&table, faults),
            Field::Absent => Settings::default(),
            Field::Broken => Settings::broken(),
        },
        jobs: jobs.iter().map(|table| parse_job(table, faults)).collect(),
        rows: rows.iter().map(|table| RawRow::parse(table, faults)).collect(),
        maintenance: maintenance.iter().map(|table| RawMaintenance::parse(table, faults)).collect(),
        rules: rules.iter().map(|table| RawAlarmRule::parse_rule(table, faults)).collect(),
    }
}

/// Takes the shape of the rows of a schedule file alone; what is wrong with its jobs is not told of.
pub(super) fn parse_rows(tree: &At<Table>, faults: &mut Faults) -> Vec<RawRow> {
    let mut reader = reader_of(&tree.value, faults);
    let rows = reader.tables("row", faults);
    reader.finish(faults);
    rows.iter().map(|table| RawRow::parse(table, faults)).collect()
}

fn reader_of<'t>(tree: &'t Table, faults: &mut Faults) -> Reader<'t> {
    let mut reader = Reader::new("a schedule file", &KEYS, tree);
    for key in OF_MAIN_FILE {
        reader.refuse_here(key, "belongs in watchpost.toml, not in a schedule file", faults);
    }
    reader
}

fn parse_defaults(table: &Table, faults: &mut Faults) -> Settings {
    let mut reader = Reader::new("`[defaults]`", &KEYS_OF_DEFAULTS, table);
    for key in ["name", "targets", "threshold", "was"] {
        reader.refuse_here(key, "belongs to one job, not to all", faults);
    }
    let settings = Settings::parse(&mut reader, faults);
    reader.finish(faults);
    settings
}

fn parse_job(at: &At<&Table>, faults: &mut Faults) -> RawJob {
    let mut reader = Reader::new("`[[job]]`", &KEYS_OF_JOB, at.value);
    let settings = Settings::parse(&mut reader, faults);
    let (name, was) = (reader.text("name", faults), reader.text("was", faults));
    let targets = match reader.list("targets", faults) {
        Field::Given(list) => {
            let value = list.value.iter().map(|item| parse_target(item, faults)).collect();
            Field::Given(At { value, place: list.place })
        }
        Field::Absent => Field::Absent,
        Field::Broken => Field::Broken,
    };
    let thresholds = reader.tables("threshold", faults).iter().map(|table| RawAlarmRule::parse_threshold(table, faults)).collect();
    reader.finish(faults);
    RawJob { place: at.place.clone(), name, was, targets, thresholds, settings }
}

fn parse_target(item: &At<Data>, faults: &mut Faults) -> RawTarget {
    let said = match &item.value {
        Data::Text(text) => TargetSaid::Text(text.clone()),
        Data::Table(table) => TargetSaid::Table(Box::new(TargetTable::parse(table, faults))),
        other => {
            let fault = misshapen("targets", "a text or a table", other, &item.place);
            faults.extend(fault.map(|fault| fault.hint("write \"mx1:25\" or { host = \"mx1\", port = 25 }")));
            TargetSaid::Broken
        }
    };
    RawTarget { place: item.place.clone(), said }
}

impl Settings {
    fn parse(reader: &mut Reader<'_>, faults: &mut Faults) -> Self {
        let config = reader.table("config", faults);
        Self {
            agent: reader.text("agent", faults),
            every: reader.text("every", faults),
            cron: reader.text("cron", faults),
            timezone: reader.text("timezone", faults),
            zone_is_own: false,
            active: reader.text_or_texts("active", faults),
            blackout: reader.text_or_texts("blackout", faults),
            holidays: reader.text("holidays", faults),
            timeout: reader.text("timeout", faults),
            overlap: reader.text("overlap", faults),
            labels: reader.table("labels", faults),
            labels_max: reader.whole("labels_max", faults),
            samples: reader.whole("samples", faults),
            quarantine_after: reader.whole("quarantine_after", faults),
            archives: reader.any("archives", faults),
            heartbeat: reader.text("heartbeat", faults),
            depends_on: reader.text_or_texts("depends_on", faults),
            config_lost: config.is_broken(),
            config,
        }
    }

    /// Settings of which nothing can be known.
    fn broken() -> Self {
        Self {
            agent: Field::Broken,
            every: Field::Broken,
            cron: Field::Broken,
            timezone: Field::Broken,
            zone_is_own: false,
            active: Field::Broken,
            blackout: Field::Broken,
            holidays: Field::Broken,
            timeout: Field::Broken,
            overlap: Field::Broken,
            labels: Field::Broken,
            labels_max: Field::Broken,
            samples: Field::Broken,
            quarantine_after: Field::Broken,
            archives: Field::Broken,
            heartbeat: Field::Broken,
            depends_on: Field::Broken,
            config: Field::Broken,
            config_lost: true,
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
            zone_is_own: !self.timezone.is_absent(),
            timezone: self.timezone.or(defaults.timezone.clone()),
            active: self.active.or(defaults.active.clone()),
            blackout: self.blackout.or(defaults.blackout.clone()),
            holidays: self.holidays.or(defaults.holidays.clone()),
            timeout: self.timeout.or(defaults.timeout.clone()),
            overlap: self.overlap.or(defaults.overlap.clone()),
            labels: merged(self.labels, &defaults.labels),
            labels_max: self.labels_max.or(defaults.labels_max.clone()),
            samples: self.samples.or(defaults.samples.clone()),
            quarantine_after: self.quarantine_after.or(defaults.quarantine_after.clone()),
            archives: self.archives.or(defaults.archives.clone()),
            heartbeat: self.heartbeat.or(defaults.heartbeat.clone()),
            depends_on: self.depends_on.or(defaults.depends_on.clone()),
            config: if self.config.is_broken() { defaults.config.clone() } else { merged(self.config, &defaults.config) },
            config_lost: self.config_lost || defaults.config_lost,
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
        let mut reader = Reader::open(table);
        let (name, host) = (reader.text("name", faults), reader.text("host", faults));
        let (port, labels) = (reader.whole("port", faults), reader.table("labels", faults));
        let own = reader.table("config", faults);
        let config_lost = own.is_broken();
        // Every other key is one of the agent's; the agent's schema judges it.
        let of_agent = |key: &String| !KEYS_OF_TARGET.contains(&key.as_str());
        let mut config = Table(table.0.iter().filter(|(key, _)| of_agent(key)).map(|(key, entry)| (key.clone(), entry.clone())).collect());
        for (key, broken) in [("host", host.is_broken()), ("port", port.is_broken())] {
            if broken {
                config.break_off(key);
            }
        }
        for (key, entry) in own.given().into_iter().flat_map(|own| own.value.0) {
            if let Some(twice) = config.0.get(&key) {
                let fault = Fault::new(Rule::TargetKeyTwice, &entry.key, format!("`{}`: set twice for one target", key.escape_debug()));
                faults.push(fault.hint(format!("first set at {}", twice.key)));
            }
            config.0.insert(key, entry);
        }
        Self { name, host, port, labels, config, config_lost }
    }
}
