//! Situations: alarms that begin together on things that have something in common, the likely cause first.
//!
//! An alarm joins the situation of another that began within [`TOGETHER_NS`] when, in this order, one depends on the other or both on the
//! same, both are of one job, of one host, or share a label that tells jobs apart. A program that a job runs is no host: such a job is of the one
//! that its label `host` names. A situation bears the number of the alarm that began it,
//! and an alarm stays in it for its life; two situations are never made one.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use super::{
    life::Stage,
    maintenance::is_meant,
    record::{Alarm, Subject},
};
use crate::{config::Job, reading::Shape, series::layout::UP};

/// How long after the last alarm of a situation another one still begins with it.
pub const TOGETHER_NS: i64 = 5 * 60 * 1_000_000_000;
/// A label that more jobs have than this, and more than half of them, tells nothing.
const CARRIERS_MAX: usize = 10;
/// What is remembered of late before what is old is forgotten; more, and twice what was left by then.
const LATELY_MIN: usize = 10_000;

/// The label that names the host of what is measured, where a target does not.
const HOST_LABEL: &str = "host";

/// What two alarms may have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Common {
    /// They are of this job, or depend on it.
    Job(String),
    /// They are of targets on this host.
    Host(String),
    /// They bear this label.
    Label(String, String),
}

/// Which situations began of late.
#[derive(Debug, Default)]
pub struct Situations {
    /// How many jobs bear a label.
    carriers: HashMap<(String, String), usize>,
    jobs: usize,
    /// Jobs whose targets are on no host.
    hostless: HashSet<String>,
    lately: HashMap<Common, (u64, i64)>,
    /// So many of them are remembered before what is old is forgotten.
    lately_max: usize,
}

impl Situations {
    /// Takes which jobs there are, and whether the target of each may be on a host.
    pub fn know<'s>(&mut self, jobs: impl IntoIterator<Item = (&'s Shape, bool)>) {
        (self.carriers, self.jobs, self.hostless) = (HashMap::new(), 0, HashSet::new());
        for (shape, has_host) in jobs {
            self.jobs += 1;
            if !has_host {
                self.hostless.insert(shape.job.clone());
            }
            for label in &shape.labels {
                *self.carriers.entry(label.clone()).or_default() += 1;
            }
        }
    }

    /// Takes an alarm that has just begun, of a job that depends on others; gives the situation that it begins with, if there is one.
    pub fn begins<'d>(&mut self, alarm: &Alarm, on: impl IntoIterator<Item = &'d str>) -> Option<u64> {
        let (number, now_ns) = (alarm.life.number, alarm.life.raised_ns);
        let commons = self.commons(&alarm.subject, on);
        let is_near = |at_ns: i64| now_ns.saturating_sub(at_ns) <= TOGETHER_NS;
        let found = commons.iter().filter_map(|common| self.lately.get(common)).find(|(other, at_ns)| *other != number && is_near(*at_ns));
        let joined = found.map(|(other, _)| *other);
        if self.lately.len() > self.lately_max.max(LATELY_MIN) {
            self.lately.retain(|_, (_, at_ns)| is_near(*at_ns));
            self.lately_max = self.lately.len() * 2;
        }
        self.lately.extend(commons.into_iter().map(|common| (common, (joined.unwrap_or(number), now_ns))));
        joined
    }

    /// Takes an alarm that began before the program did.
    pub fn began<'d>(&mut self, alarm: &Alarm, on: impl IntoIterator<Item = &'d str>) {
        let at = (alarm.situation.unwrap_or(alarm.life.number), alarm.life.raised_ns);
        let commons = self.commons(&alarm.subject, on);
        self.lately.extend(commons.into_iter().map(|common| (common, at)));
    }

    /// What an alarm may have in common with others, what says most first.
    fn commons<'d>(&self, subject: &Subject, on: impl IntoIterator<Item = &'d str>) -> Vec<Common> {
        let depends = on.into_iter().map(|job| Common::Job(job.to_owned()));
        let job = Some(&subject.job).filter(|job| !job.is_empty()).map(|job| Common::Job(job.clone()));
        // What only a program is the target of is of the host that it is said to be of.
        let declared = || subject.labels.iter().find(|(key, _)| key == HOST_LABEL).map_or("", |(_, host)| host.as_str());
        let target = if self.hostless.contains(&subject.job) { declared() } else { &subject.target };
        let host = Some(target.rsplit_once(':').map_or(target, |(host, _)| host))
            .filter(|host| !host.is_empty())
            .map(|host| Common::Host(host.to_owned()));
        let tells = |label: &&(String, String)| {
            let carriers = self.carriers.get(*label).copied().unwrap_or_default();
            carriers > 1 && carriers < self.jobs && (carriers <= CARRIERS_MAX || carriers * 2 <= self.jobs)
        };
        let labels = subject.labels.iter().filter(tells).map(|(key, value)| Common::Label(key.clone(), value.clone()));
        depends.chain(job).chain(host).chain(labels).collect()
    }
}

/// Alarms that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// The number of the alarm that began it.
    pub number: u64,
    /// When it began, nanoseconds since 1970.
    pub since_ns: i64,
    /// The worst of what is active; of all, where nothing is any more.
    pub severity: Severity,
    /// How many of its alarms are active.
    pub active: usize,
    /// Why the first is the likely cause.
    pub because: String,
    /// Its alarms, the likely cause first.
    pub alarms: Vec<Alarm>,
}

/// Puts alarms together that belong to a situation of two at least, the latest situation first.
pub fn situations(alarms: Vec<Alarm>, jobs: &[Job]) -> Vec<Situation> {
    let mut together: HashMap<u64, Vec<Alarm>> = HashMap::new();
    for alarm in alarms {
        together.entry(alarm.situation.unwrap_or(alarm.life.number)).or_default().push(alarm);
    }
    let several = together.into_iter().filter(|(_, alarms)| alarms.len() > 1);
    let jobs: HashMap<&str, &Job> = jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    let in_order = |(number, alarms): (u64, Vec<Alarm>)| {
        let dependents = Dependents::of(&alarms, &jobs);
        situation(number, alarms, |source| dependents.on(source))
    };
    let mut found: Vec<Situation> = several.map(in_order).collect();
    found.sort_by_key(|situation| Reverse(situation.number));
    found
}

/// Puts the alarms of one situation in order, by how many of them depend on what each is about.
pub fn situation(number: u64, alarms: Vec<Alarm>, dependents: impl Fn(&Subject) -> usize) -> Situation {
    let mut ranked: Vec<(usize, Alarm)> = alarms.iter().map(|alarm| (dependents(&alarm.subject), alarm.clone())).collect();
    let is_down = |alarm: &Alarm| alarm.subject.series == UP;
    ranked.sort_by_key(|(dependents, alarm)| {
        let life = &alarm.life;
        (Reverse(*dependents), !is_down(alarm), life.raised_ns, Reverse(life.severity), life.number)
    });
    let because = match ranked.first() {
        Some((1, _)) => "one of the others depends on it".to_owned(),
        Some((dependents @ 2.., _)) => format!("{dependents} of the others depend on it"),
        Some((_, alarm)) if is_down(alarm) => "it is down, and was so first".to_owned(),
        _ => "it began first".to_owned(),
    };
    let is_active = |alarm: &&Alarm| alarm.life.stage == Stage::Active;
    let (active, worst) = (alarms.iter().filter(is_active).count(), |alarms: &mut dyn Iterator<Item = &Alarm>| {
        alarms.map(|alarm| alarm.life.severity).max().unwrap_or(Severity::Indeterminate)
    });
    let severity = if active > 0 { worst(&mut alarms.iter().filter(is_active)) } else { worst(&mut alarms.iter()) };
    let since_ns = alarms.iter().map(|alarm| alarm.life.raised_ns).min().unwrap_or_default();
    Situation { number, since_ns, severity, active, because, alarms: ranked.into_iter().map(|(_, alarm)| alarm).collect() }
}

/// Alarms whose jobs depend on something: how many there are of each job, by what it depends on. Many depend on the same.
struct Dependents<'j>(HashMap<Vec<&'j str>, (&'j Job, HashMap<&'j str, usize>)>);

impl<'j> Dependents<'j> {
    fn of(alarms: &[Alarm], jobs: &HashMap<&str, &'j Job>) -> Self {
        let mut found: HashMap<Vec<&str>, (&Job, HashMap<&str, usize>)> = HashMap::new();
        for job in alarms.iter().filter_map(|alarm| jobs.get(alarm.subject.job.as_str())).filter(|job| !job.depends_on.is_empty()) {
            let on = job.depends_on.iter().map(|on| on.said.as_str()).collect();
            *found.entry(on).or_insert_with(|| (job, HashMap::new())).1.entry(job.name.as_str()).or_default() += 1;
        }
        Self(found)
    }

    /// How many alarms of other jobs depend on what an alarm is about.
    fn on(&self, source: &Subject) -> usize {
        let is_of_it = |(job, _): &&(&Job, _)| job.depends_on.iter().any(|on| is_meant(&on.series, source));
        let others =
            |of_jobs: &HashMap<&str, usize>| of_jobs.iter().filter(|(job, _)| **job != source.job).map(|(_, count)| count).sum::<usize>();
        self.0.values().filter(is_of_it).map(|(_, of_jobs)| others(of_jobs)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{
        life::Life,
        record::Origin,
        x733::{EventType, ProbableCause},
    };

    const SECOND: i64 = 1_000_000_000;

    fn alarm(number: u64, at_s: i64, job: &str, target: &str, labels: &[(&str, &str)]) -> Alarm {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut life = Life::default();
        (life.number, life.raised_ns, life.stage, life.severity) = (number, at_s * SECOND, Stage::Active, Severity::Major);
        let subject = Subject {
            key: format!("{job}/{number}"),
            origin: Origin::Rule,
            rule: "r".into(),
            agent: "smtp".into(),
            job: job.into(),
            target: target.into(),
            series: "total_time".into(),
            labels,
            event_type: EventType::QualityOfService,
            cause: ProbableCause::ThresholdCrossed,
            value: None,
            bound: None,
            text: format!("{job} is slow"),
            instruction: None,
            link: None,
        };
        Alarm { life, subject, situation: None }
    }

    fn shape(job: &str, labels: &[(&str, &str)]) -> Shape {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Shape { job: job.into(), agent: "smtp".into(), target: String::new(), labels, step_s: 60, metrics: Vec::new() }
    }

    /// Eleven jobs of two sites in one country.
    fn known() -> Situations {
        let shapes: Vec<Shape> =
            (0..11).map(|at| shape(&format!("j{at}"), &[("site", if at < 4 { "paris" } else { "rome" }), ("area", "eu")])).collect();
        let mut situations = Situations::default();
        situations.know(shapes.iter().map(|shape| (shape, true)));
        situations
    }

    #[test]
    fn alarms_that_begin_together_join_by_what_says_most() {
        let (paris, rome) = ([("site", "paris"), ("area", "eu")], [("site", "rome"), ("area", "eu")]);
        let mut situations = known();
        let mut begins = |alarm: Alarm, on: &[&str]| situations.begins(&alarm, on.iter().copied());
        assert_eq!(begins(alarm(1, 0, "j0", "mx0:25", &paris), &[]), None);
        assert_eq!(begins(alarm(2, 10, "j4", "mx4:25", &rome), &[]), None, "what all jobs have tells nothing");
        assert_eq!(begins(alarm(3, 20, "j1", "mx1:25", &paris), &[]), Some(1), "the site");
        assert_eq!(begins(alarm(4, 30, "j5", "mx0:143", &rome), &[]), Some(1), "the host is nearer than the site");
        assert_eq!(begins(alarm(5, 40, "j6", "mx6:25", &paris), &["j4"]), Some(2), "what it depends on is nearer than all");
        assert_eq!(begins(alarm(6, 50, "j7", "mx7:25", &[]), &["link"]), None);
        assert_eq!(begins(alarm(7, 60, "j8", "mx8:25", &[]), &["link"]), Some(6), "both depend on the same");
        assert_eq!(begins(alarm(8, 70, "link", "gw", &[]), &[]), Some(6), "and that fails as well");
        assert_eq!(begins(alarm(9, 70, "j8", "mx8:25", &[]), &[]), Some(6), "another of the same job");
        assert_eq!(begins(alarm(10, 70 + 301, "j8", "mx8:25", &[]), &[]), None, "much later it is another matter");
    }

    #[test]
    fn one_program_that_many_jobs_run_is_no_host() {
        let shapes = [shape("check-a", &[]), shape("check-b", &[("host", "mx1")]), shape("check-c", &[]), shape("mx", &[])];
        let mut situations = Situations::default();
        situations.know(shapes.iter().map(|shape| (shape, shape.job == "mx")));
        let mut begins = |alarm: Alarm| situations.begins(&alarm, []);
        assert_eq!(begins(alarm(1, 0, "check-a", "check_disk", &[])), None);
        assert_eq!(begins(alarm(2, 10, "check-c", "check_disk", &[])), None, "the program is the same, and nothing else");
        assert_eq!(begins(alarm(3, 20, "mx", "mx1:25", &[])), None);
        assert_eq!(begins(alarm(4, 30, "check-b", "check_disk", &[("host", "mx1")])), Some(3), "it says whose host it is about");
    }

    #[test]
    fn what_began_before_the_program_did_is_joined_too() {
        let mut situations = known();
        let before = Alarm { situation: Some(3), ..alarm(4, 0, "j0", "mx0:25", &[]) };
        situations.began(&before, []);
        assert_eq!(situations.begins(&alarm(5, 60, "j0", "mx0:25", &[]), []), Some(3));
    }

    /// Ten thousand jobs, a fifth of which fail with the gateway that all depend on: whoever asks in a storm has the answer soon.
    #[test]
    fn what_most_depend_on_is_the_likely_cause_and_is_found_soon() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jobs.toml");
        let job = |name: String, on: &str| format!("[[job]]\nname = \"{name}\"\nagent = \"smtp\"\nevery = \"60s\"\n{on}");
        let text = job("gw".into(), "") + &(0..10_000).map(|at| job(format!("j{at}"), "depends_on = \"gw\"\n")).collect::<String>();
        std::fs::write(&file, text).unwrap();
        let jobs = crate::config::jobs_of(&file, crate::schedule::UnixTime::FIRST).unwrap();
        let of = |number: u64, job: &str| Alarm { situation: Some(1), ..alarm(number, 1, job, "x", &[]) };
        let mut gateway = of(2_001, "gw");
        gateway.subject.series = UP.into();
        let mut alarms: Vec<Alarm> = (1..=2_000).map(|number| of(number, &format!("j{}", number % 1_000))).collect();
        alarms.push(gateway);
        let began = std::time::Instant::now();
        let found = situations(alarms, &jobs);
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
        assert_eq!((found[0].alarms[0].life.number, found[0].because.as_str()), (2_001, "2000 of the others depend on it"));
    }

    #[test]
    fn the_likely_cause_is_first() {
        let of = |number, situation| Alarm { situation, ..alarm(number, i64::try_from(number).unwrap(), "a", "x", &[]) };
        let mut down = of(3, Some(1));
        down.subject.series = UP.into();
        let mut worse = of(2, Some(1));
        worse.life.severity = Severity::Critical;
        let mut cleared = of(4, Some(1));
        cleared.life.stage = Stage::Cleared;
        let found = situations(vec![of(1, None), worse, down, cleared, of(9, None)], &[]);
        assert_eq!(found.len(), 1, "one alone is no situation");
        let numbers: Vec<u64> = found[0].alarms.iter().map(|alarm| alarm.life.number).collect();
        assert_eq!((numbers, found[0].because.as_str()), (vec![3, 1, 2, 4], "it is down, and was so first"));
        assert_eq!((found[0].number, found[0].severity, found[0].active), (1, Severity::Critical, 3));
    }
}
