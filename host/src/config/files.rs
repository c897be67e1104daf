//! From the main file to every job: which files are read, and what holds between them.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    At, Draft, Fault, Faults, Place, Rule, Settled,
    alarm_rule::{self, AlarmRule},
    channel,
    declared::Declared,
    job::{self, Checked, Job},
    main_file::{self, Paths, usual_hint},
    maintenance::MaintenanceWindow,
    name::JobName,
    objective,
    person::{self, Persons},
    roster,
    route::{self, Known},
    row::{self, Row},
    schedule_file,
    text::{self, Table},
    timing::Almanac,
};
use crate::schedule::UnixTime;

/// Reads everything there is to be read.
pub(super) fn read(file: &Path, now: UnixTime, faults: &mut Faults) -> Draft {
    let Some(tree) = read_tree(file, faults) else { return Draft::default() };
    let main = main_file::parse(&tree, faults).check(faults);
    let Read { jobs, rows, rules, rule_names, threshold_names, maintenance, whole: schedules_whole } =
        read_schedules(&main.schedules, &tree.place, now, faults);
    let objectives = objective::check(main.objectives, &mut Almanac::at(now), faults);
    let channels = channel::check(&main.channels, faults);
    let channels_whole = channels.len() == main.channels.len();
    let [of_channels, of_persons, of_rosters] = [&main.channels, &main.persons, &main.rosters].map(|tables| Declared::by(tables));
    let mut almanac = Almanac::at(now);
    let Persons { persons, channels: own, used } = person::check(&main.persons, &channels, &of_channels, &mut almanac, faults);
    let rosters = roster::check(&main.rosters, &persons, &channels, &of_persons, &mut almanac, faults);
    let declared = [&of_channels, &of_persons, &of_rosters];
    let known = Known { channels: &channels, persons: &persons, rosters: &rosters, used: &used, declared, channels_whole };
    let routes = route::check(&main.routes, &known, &mut almanac, faults);
    let secret_files = channel::secret_files(&main.channels);
    let channels = channels.into_iter().map(|channel| channel.value).chain(own).collect();
    let persons = persons.into_iter().map(|person| person.value).collect();
    let rosters = rosters.into_iter().map(|roster| roster.value).collect();
    let job_names = jobs.iter().map(|checked| checked.name().map(|name| name.as_str().to_owned())).collect::<Option<_>>();
    let job_names = job_names.filter(|_| schedules_whole);
    let jobs_whole = schedules_whole && jobs.iter().all(|checked| matches!(checked, Checked::Sound(_)));
    let mut sound = Vec::with_capacity(jobs.len());
    let (mut faulty, mut faulty_depend_on) = (Vec::new(), Vec::new());
    for checked in jobs {
        match checked {
            Checked::Sound(mut job) => {
                job.keeping.get_or_insert_with(|| main.store.archives.clone());
                sound.push(*job);
            }
            Checked::Faulty { name, asks, depends_on } => {
                faulty.extend(asks.map(|asks| *asks));
                let name = name.map(|name| name.as_str().to_owned());
                faulty_depend_on.extend(depends_on.into_iter().map(|on| (name.clone(), on)));
            }
        }
    }
    sound.sort_by(|a, b| a.name.value.cmp(&b.name.value));
    let Paths { paths: plugins, whole: plugins_whole, .. } = main.plugins;
    let (rrdcached, store, host_alarms) = (main.rrdcached, main.store, main.host_alarms);
    let settled = main.data.zip(main.listen).map(|(data, listen)| Settled { data, listen, rrdcached, store, host_alarms });
    Draft {
        settled,
        plugins,
        plugins_whole,
        of_plugins: main.of_plugins,
        jobs: sound,
        faulty,
        rows,
        rules,
        maintenance,
        objectives,
        channels,
        routes,
        persons,
        rosters,
        secret_files,
        job_names,
        jobs_whole,
        faulty_depend_on,
        rule_names: rule_names.into_iter().chain(threshold_names).map(|name| name.value).collect(),
    }
}

/// What schedules hold.
struct Read {
    jobs: Vec<Checked>,
    rows: Vec<Row>,
    rules: Vec<AlarmRule>,
    /// The names of all rules, those with a fault among them.
    rule_names: Vec<At<String>>,
    /// The same of thresholds.
    threshold_names: Vec<At<String>>,
    maintenance: Vec<MaintenanceWindow>,
    /// Whether every job there is bears one of the names that are known.
    whole: bool,
}

/// Reads every schedule.
fn read_schedules(schedules: &Paths, main: &Place, now: UnixTime, faults: &mut Faults) -> Read {
    let (mut almanac, mut known) = (Almanac::at(now), HashSet::new());
    let (mut read, mut found) = (
        Read {
            jobs: Vec::new(),
            rows: Vec::new(),
            rules: Vec::new(),
            rule_names: Vec::new(),
            threshold_names: Vec::new(),
            maintenance: Vec::new(),
            whole: schedules.whole,
        },
        Faults::default(),
    );
    for named in &schedules.paths {
        let files = schedule_files(named, schedules.usual, &mut found);
        read.whole &= files.is_some();
        for schedule in files.into_iter().flatten() {
            if known.insert(schedule.clone()) {
                read_schedule(&schedule, &named.place, &mut almanac, &mut read, &mut found);
            } else {
                let message = format!("`schedules`: {} is named twice", schedule.display());
                found
                    .push(Fault::new(Rule::SchedulesTwice, &named.place, message).hint("its jobs are read once: leave one of the two out"));
            }
        }
    }
    // Where something was told of, a job may be behind it.
    if read.jobs.is_empty() && schedules.whole && !found.stop() {
        let place = schedules.paths.first().map_or(main, |named| &named.place);
        let fault = Fault::new(Rule::SchedulesEmpty, place, "`schedules`: no job in them, nothing will be measured");
        found.push(fault.hint("jobs are `[[job]]` tables in files that end in .toml"));
    }
    tell_duplicates(read.jobs.iter().filter_map(Checked::name), &mut found);
    tell_taken(&read.jobs, &mut found);
    row::tell_unknown_jobs(&read.rows, &read.jobs, read.whole, &mut found);
    // Thresholds have names of their own in their job, and were held to that.
    let (thresholds, rules): (Vec<_>, Vec<_>) = std::mem::take(&mut read.rules).into_iter().partition(|rule| rule.of_job.is_some());
    alarm_rule::tell_twice(&read.rule_names, "rule", &mut found);
    read.rules = alarm_rule::firsts(rules).into_iter().chain(thresholds).collect();
    faults.extend(found);
    read
}

/// Reads the jobs of one schedule file, those without a fault.
pub(super) fn jobs_of(file: &Path, now: UnixTime, faults: &mut Faults) -> Vec<Job> {
    let Some(tree) = read_tree(file, faults) else { return Vec::new() };
    let (schedule, mut almanac) = (schedule_file::parse(&tree, faults), Almanac::at(now));
    let checked: Vec<Checked> =
        schedule.jobs.into_iter().flat_map(|raw| job::check(raw, &schedule.defaults, &mut almanac, faults)).collect();
    tell_duplicates(checked.iter().filter_map(Checked::name), faults);
    let sound = |checked| if let Checked::Sound(job) = checked { Some(*job) } else { None };
    checked.into_iter().filter_map(sound).collect()
}

/// Reads the rows of one schedule file, its jobs left aside.
pub(super) fn rows_of(file: &Path, faults: &mut Faults) -> Vec<Row> {
    let Some(tree) = read_tree(file, faults) else { return Vec::new() };
    row::check(schedule_file::parse_rows(&tree, faults), faults)
}

/// Reads where the data folder is; faults of other keys are kept only when there is none.
pub(super) fn data_folder(file: &Path, faults: &mut Faults) -> Option<PathBuf> {
    let tree = read_tree(file, faults)?;
    Some(main_file::parse(&tree, faults).check(faults).data?.value)
}

fn read_tree(file: &Path, faults: &mut Faults) -> Option<At<Table>> {
    match text::read(file) {
        Ok(bytes) => text::parse(file, &bytes, faults),
        Err(error) => {
            let message = format!("cannot read {}: {}", file.display(), crate::chain(&error));
            faults.push(Fault::new(Rule::FileUnreadable, &Place::whole(file), message));
            None
        }
    }
}

/// Reads one schedule file.
fn read_schedule(schedule: &Path, named_at: &Place, almanac: &mut Almanac, read: &mut Read, faults: &mut Faults) {
    let tree = match text::read(schedule) {
        Ok(bytes) => text::parse(schedule, &bytes, faults),
        Err(error) => {
            faults.push(unreadable(schedule, named_at, &error));
            None
        }
    };
    let Some(tree) = tree else {
        read.whole = false;
        return;
    };
    let file = schedule_file::parse(&tree, faults);
    read.whole &= file.whole;
    read.rows.extend(row::check(file.rows, faults));
    read.rule_names.extend(alarm_rule::names(&file.rules));
    read.rules.extend(alarm_rule::check_rules(file.rules, almanac, faults));
    read.maintenance.extend(file.maintenance.into_iter().filter_map(|raw| raw.check(almanac, faults)));
    for mut raw in file.jobs {
        read.threshold_names.extend(alarm_rule::names(&raw.thresholds));
        let thresholds = alarm_rule::check_thresholds(std::mem::take(&mut raw.thresholds), almanac, faults);
        let jobs = job::check(raw, &file.defaults, almanac, faults);
        let sound = |checked: &Checked| if let Checked::Sound(job) = checked { Some(job.name.clone()) } else { None };
        for name in jobs.iter().filter_map(sound) {
            read.rules.extend(alarm_rule::of_job(&thresholds, &name));
        }
        read.jobs.extend(jobs);
    }
}

/// Lists the files a name of `schedules` stands for: itself, or a folder's `*.toml` in order of their names.
fn schedule_files(named: &At<PathBuf>, usual: bool, faults: &mut Faults) -> Option<Vec<PathBuf>> {
    let files = match fs::metadata(&named.value) {
        Ok(found) if found.is_dir() => toml_files(named),
        Ok(_) => Ok(vec![named.value.clone()]),
        Err(error) => Err(error),
    };
    let told = |error: &io::Error| faults.push(unreadable(named, &named.place, error).maybe_hint(usual_hint("schedules", usual)));
    files.inspect_err(told).ok()
}

fn unreadable(schedule: &Path, named_at: &Place, error: &io::Error) -> Fault {
    let message = format!("`schedules`: cannot read {}: {}", schedule.display(), crate::chain(error));
    Fault::new(Rule::SchedulesUnreadable, named_at, message)
}

fn toml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == "toml") && !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Tells of every name that an earlier job bears, whatever else is wrong with either.
fn tell_duplicates<'j>(names: impl Iterator<Item = &'j At<JobName>>, faults: &mut Faults) {
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for At { value: name, place } in names {
        if let Some(first) = first.get(name.as_str()) {
            let fault = Fault::new(Rule::NameTwice, place, format!("job `{name}`: declared twice"));
            faults.push(fault.hint(format!("first declared at {first}")));
        } else {
            first.insert(name.as_str(), place);
        }
    }
}

/// Tells of every former name that a job still bears, or that two jobs had.
fn tell_taken(jobs: &[Checked], faults: &mut Faults) {
    let names: HashMap<&str, &Place> = jobs.iter().filter_map(Checked::name).map(|name| (name.as_str(), &name.place)).collect();
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for At { value: was, place } in jobs.iter().filter_map(Checked::was) {
        if let Some(taken) = names.get(was.as_str()) {
            let fault = Fault::new(Rule::WasTaken, place, format!("`was`: a job is called `{was}`"));
            faults.push(fault.hint(format!("it is declared at {taken}; its series are its own")));
        } else if let Some(first) = first.insert(was.as_str(), place) {
            let fault = Fault::new(Rule::WasTwice, place, format!("`was`: `{was}` is said to be another job now already"));
            faults.push(fault.hint(format!("first said at {first}")));
        }
    }
}
