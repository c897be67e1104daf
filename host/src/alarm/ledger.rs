//! The ledger: which alarms there are and what rules remember, kept in step with the database.
//!
//! Readings come from the journal, each once and in order; what people do comes between them. Both change what is here first, and
//! [`commit`](Ledger::commit) makes it durable as one: place in the journal, memories, alarms, steps and what is to be told.

pub mod beginning;
mod behind;
mod hearing;
mod joining;
mod judging;
mod situating;
pub mod standing;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use beginning::Beginning;
use tokio::sync::broadcast;
use watchpost_plugin_api::Severity;

use super::{
    awaited::{Awaiting, Place},
    depend::{Depends, Moment},
    host::Unseen,
    judge::Memory,
    life::{Act, Input, Life, Refused, Stage},
    maintenance::{Announced, Maintained, Maintenance},
    notice::{Notice, Step},
    passing::Passing,
    record::{Alarm, Origin, Subject},
    seat::Seats,
    situation::Situations,
    store::{Batch, Memories, Outbox, Store, Written},
    together::Groups,
    turns::Turns,
    usual::Baselines,
    watch::Watch,
};

use crate::{
    config::{MaintenanceWindow, SEVERITIES},
    database::DatabaseError,
};

/// Who withdraws an alarm: whoever changed what is in force.
const CONFIGURATION: &str = "the configuration";
/// Why an alarm of the host is withdrawn.
const NOT_MEANT: &str = "what it is about is not in force any more, or alarms of its kind are not";
/// Steps that wait to be written, at most.
const PENDING_MAX: usize = 10_000;
/// Steps without an event that are read at the start, at most.
const UNANNOUNCED_MAX: usize = 10_000;
/// Steps that a slow listener may be behind.
const STREAM_MAX: usize = 1_024;
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;
/// Between two looks at what time does, nanoseconds.
const LOOK_EVERY_NS: i64 = 500_000_000;

/// Why somebody could not do something to an alarm.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// There is none of that number that goes on.
    #[error("no alarm {0} goes on; `watchpost alarms` lists all")]
    Unknown(u64),
    /// Its life does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be made durable, and did not happen.
    #[error("it cannot be stored")]
    Store(#[from] DatabaseError),
}

/// Makes events of steps that are durable.
pub trait Announcer: Send + std::fmt::Debug {
    /// Takes the steps of a commit, in order; some may come again in another life of the program.
    fn announce(&mut self, steps: &[Notice]);
    /// Takes steps again, in order, that an earlier life or a full disk may have kept from becoming events; `more` that follow are only counted.
    fn announce_again(&mut self, steps: &[Notice], more: u64);
    /// Number of the last step up to which all events are durable; nothing if there is no news.
    fn announced(&mut self) -> Option<u64>;
    /// Whether events were lost, and all steps after the last that was announced are wanted again.
    fn is_behind(&self) -> bool;
}

/// Which alarms there are, and what rules remember.
#[derive(Debug)]
pub struct Ledger {
    store: Store,
    watch: Arc<Watch>,
    /// The next record of the journal.
    position: u64,
    seq: u64,
    number: u64,
    memories: Memories,
    changed_memories: BTreeSet<(String, String, String)>,
    alarms: HashMap<String, Alarm>,
    changed_alarms: BTreeSet<String>,
    /// Lives that are over while another of the key has begun.
    over: Vec<Alarm>,
    pending: Vec<Notice>,
    awaiting: Awaiting,
    seats: Seats,
    /// Series that belong together, by rule and the job of a threshold.
    groups: HashMap<(String, Option<String>), Groups>,
    baselines: Baselines,
    /// Series that rules have begun to look at.
    beginnings: Vec<Beginning>,
    /// Those that did since the rules are in force.
    begun_once: HashSet<Place>,
    maintained: Maintained,
    depends: Depends,
    situations: Situations,
    maintenance_number: u64,
    stream: broadcast::Sender<Arc<Notice>>,
    announcer: Option<Box<dyn Announcer>>,
    announced: u64,
    looked_ns: i64,
    passing: Passing,
}

impl Ledger {
    /// Opens the alarms of a data folder; a new one begins where the journal ends: what was measured before there were alarms is none.
    pub fn open(data: &Path, outbox: Box<dyn Outbox>, journal_end: u64) -> Result<Self, DatabaseError> {
        let store = Store::open(data, outbox)?;
        let Written { position, seq, number, announced, memories, maintenance, maintenance_number, alarms } = store.read()?;
        let mut maintained = Maintained::default();
        maintenance.into_iter().for_each(|one| maintained.announce(one));
        Ok(Self {
            store,
            watch: Arc::default(),
            position: position.unwrap_or(journal_end),
            seq,
            number,
            memories,
            changed_memories: BTreeSet::new(),
            alarms: alarms.into_iter().map(|alarm| (alarm.subject.key.clone(), alarm)).collect(),
            changed_alarms: BTreeSet::new(),
            over: Vec::new(),
            pending: Vec::new(),
            awaiting: Awaiting::default(),
            seats: Seats::default(),
            groups: HashMap::new(),
            baselines: Baselines::default(),
            beginnings: Vec::new(),
            begun_once: HashSet::new(),
            maintained,
            depends: Depends::default(),
            situations: Situations::default(),
            maintenance_number,
            stream: broadcast::Sender::new(STREAM_MAX),
            announcer: None,
            announced,
            looked_ns: 0,
            passing: Passing::default(),
        })
    }

    /// Has events made of steps: first of those that an earlier life made and may have died before telling.
    pub fn announce_to(&mut self, mut announcer: Box<dyn Announcer>) -> Result<(), DatabaseError> {
        self.announce_again(announcer.as_mut())?;
        self.announcer = Some(announcer);
        Ok(())
    }

    fn announce_again(&self, announcer: &mut dyn Announcer) -> Result<(), DatabaseError> {
        let steps = self.store.steps_after(self.announced, UNANNOUNCED_MAX)?;
        let more = steps.last().map_or(0, |last| self.seq.saturating_sub(last.seq));
        announcer.announce_again(&steps, more);
        Ok(())
    }

    /// Has time pass as readings and looks say from an instant on, not as it does in this process: for tests of rules, and for the past.
    pub fn pass_as_said(&mut self, now_ns: i64) {
        self.passing = Passing::said(now_ns);
    }

    /// When time alone may do something next, nanoseconds since 1970, where it passes as it is said.
    pub fn next_ns(&self) -> Option<i64> {
        let (now, now_ns) = (self.passing.now(), self.passing.after(Duration::ZERO)?);
        let of_lives = self.alarms.values().filter_map(|alarm| alarm.life.next_ns());
        let of_awaited = self.awaiting.next(now).and_then(|rest| self.passing.after(rest));
        let opens = self.awaiting.opens_s(now, now_ns.div_euclid(SECOND_NS)).map(|at_s| at_s.saturating_mul(SECOND_NS));
        of_lives.chain(of_awaited).chain(self.awaiting.stale_ns()).chain(opens).filter(|next| *next > now_ns).min()
    }

    /// Takes turns with whoever else writes the alarms' database.
    pub fn take_turns(&mut self, turns: Turns) -> Result<(), DatabaseError> {
        self.store.take_turns(turns)
    }

    /// The next record of the journal that is wanted.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether steps wait to be written.
    pub fn has_steps(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether as many steps wait as may: then [`commit`](Self::commit) comes first.
    pub fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
    }

    /// Follows the steps from now on, each once it is durable.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Notice>> {
        self.stream.subscribe()
    }

    /// The rules in force.
    pub fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    /// An alarm that goes on, or went last of its key.
    pub fn alarm(&self, number: u64) -> Option<&Alarm> {
        self.alarms.values().find(|alarm| alarm.life.number == number)
    }

    /// How many alarms are active, by severity.
    pub fn active(&self) -> BTreeMap<Severity, usize> {
        let mut counts: BTreeMap<Severity, usize> = SEVERITIES.iter().map(|(severity, _)| (*severity, 0)).collect();
        counts.insert(Severity::Indeterminate, 0);
        for alarm in self.alarms.values().filter(|alarm| alarm.life.stage == Stage::Active) {
            *counts.entry(alarm.life.severity).or_default() += 1;
        }
        counts
    }

    /// Alarms that are active and silenced by nobody.
    pub fn told(&self) -> impl Iterator<Item = &Alarm> {
        let is_told = |alarm: &&Alarm| {
            let life = &alarm.life;
            life.stage == Stage::Active && life.shelved.is_none() && life.silenced.is_none() && life.held.is_none()
        };
        self.alarms.values().filter(is_told)
    }

    /// Takes the rules in force from now on; alarms of rules that are gone are withdrawn.
    pub fn set(&mut self, watch: Watch, now_ns: i64) {
        self.passing.reach(now_ns);
        self.watch = Arc::new(watch);
        self.seats.clear();
        self.begun_once.clear();
        self.groups.clear();
        let (watch, now) = (self.watch.clone(), self.passing.now());
        self.awaiting.retain(|(job, rule, _)| watch.has(job, rule));
        watch.await_all(|sight| {
            let named = sight.named();
            self.awaiting.expect(named.place.clone(), judging::awaited(&sight, &named, now));
        });
        let is_gone = |job: &str, rule: &str| !self.watch.has(job, rule);
        let forgotten: Vec<_> = self
            .memories
            .iter()
            .flat_map(|(job, memories)| memories.keys().map(move |(rule, series)| (job.clone(), rule.clone(), series.clone())))
            .filter(|(job, rule, _)| is_gone(job, rule))
            .collect();
        let gone: Vec<(String, String)> = self
            .alarms
            .values()
            .map(|alarm| &alarm.subject)
            .filter(|subject| subject.origin == Origin::Rule && is_gone(&subject.job, &subject.rule))
            .map(|subject| (subject.key.clone(), self.watch.why_not(&subject.job, &subject.rule)))
            .collect();
        for (job, rule, series) in forgotten {
            self.remember(&job, &rule, &series, Memory::default());
        }
        for (key, why) in gone {
            self.step(&key, &Input::Withdraw, now_ns, Some((CONFIGURATION, Some(&why))));
        }
    }

    /// Takes the hours of maintenance that come again.
    pub fn maintain(&mut self, windows: Vec<MaintenanceWindow>) {
        self.maintained.set(windows);
    }

    /// Takes maintenance that was announced then, where the past is told.
    pub fn maintain_too(&mut self, announced: Option<Maintenance>) {
        announced.into_iter().for_each(|one| self.maintained.announce(one));
    }

    /// All maintenance that was and will be announced, also what is over.
    pub fn announced(&self) -> Announced {
        self.maintained.remembered()
    }

    /// Maintenance that was announced and goes on.
    pub fn maintenance(&self, now_ns: i64) -> Vec<Maintenance> {
        self.maintained.announced().filter(|one| one.goes_on(now_ns)).cloned().collect()
    }

    /// Announces maintenance; it is durable when this comes back.
    pub fn announce(
        &mut self,
        series: String,
        by: &str,
        comment: Option<String>,
        (from_ns, until_ns): (i64, i64),
    ) -> Result<Maintenance, DatabaseError> {
        let number = self.maintenance_number + 1;
        let maintenance = Maintenance { number, series, by: by.to_owned(), comment, from_ns, until_ns, ended: None };
        self.store.maintain(&maintenance)?;
        self.maintenance_number = number;
        self.maintained.announce(maintenance.clone());
        Ok(maintenance)
    }

    /// Ends maintenance before its time is up; gives it, if there is one that goes on.
    pub fn end_maintenance(&mut self, number: u64, by: &str, now_ns: i64) -> Result<Option<Maintenance>, DatabaseError> {
        let Some(ended) = self.maintained.end(number, by, now_ns) else { return Ok(None) };
        if let Err(error) = self.store.maintain(&ended) {
            self.maintained.announce(Maintenance { ended: None, ..ended });
            return Err(error);
        }
        Ok(Some(ended))
    }

    /// Takes what is usual of series from now on; of jobs of which nothing could be learned what was known of them stays.
    pub fn is_usual<'j>(&mut self, mut baselines: Baselines, unread: impl IntoIterator<Item = &'j str>) {
        for job in unread {
            baselines.keep(job, &self.baselines);
        }
        self.baselines = baselines;
    }

    /// Takes what is usual of some series from now on; of the others it is as it was.
    pub fn is_usual_too(&mut self, baselines: Baselines) {
        self.baselines.extend(baselines);
    }

    /// Passes over a record that is no reading.
    pub fn pass(&mut self, position: u64) {
        self.position = self.position.max(position + 1);
    }

    /// Lets time do what it does.
    pub fn look(&mut self, now_ns: i64) {
        self.passing.reach(now_ns);
        if now_ns.saturating_sub(self.looked_ns).abs() < LOOK_EVERY_NS {
            return;
        }
        self.looked_ns = now_ns;
        self.miss(now_ns, self.passing.now());
        self.settle_host(now_ns);
        self.silence(now_ns);
        let is_due = |alarm: &&Alarm| alarm.life.next_ns().is_some_and(|next| next <= now_ns);
        let due: Vec<String> = self.alarms.values().filter(is_due).map(|alarm| alarm.subject.key.clone()).collect();
        for key in due {
            self.step(&key, &Input::Time, now_ns, None);
        }
        self.alarms.retain(|key, alarm| self.changed_alarms.contains(key) || !alarm.life.is_forgotten(now_ns));
    }

    /// Takes all that is wrong with the host now; of what was wrong before and is not among it, `unseen` says what became of it.
    pub fn hold_host(&mut self, found: Vec<(Subject, Severity)>, unseen: impl Fn(&Subject) -> Unseen, now_ns: i64) {
        let is_host = |alarm: &&Alarm| alarm.subject.origin == Origin::Host && alarm.life.trouble;
        let became = |alarm: &Alarm| match unseen(&alarm.subject) {
            Unseen::Over => Some(Input::Well),
            Unseen::Unknown => None,
            Unseen::Gone => Some(Input::Withdraw),
        };
        let over: Vec<(String, Input<'_>)> = self
            .alarms
            .values()
            .filter(is_host)
            .filter(|alarm| !found.iter().any(|(subject, _)| subject.key == alarm.subject.key))
            .filter_map(|alarm| Some((alarm.subject.key.clone(), became(alarm)?)))
            .collect();
        for (key, input) in over {
            if input == Input::Well {
                self.say_over(&key, None);
            }
            let said = (input == Input::Withdraw).then_some((CONFIGURATION, Some(NOT_MEANT)));
            self.step(&key, &input, now_ns, said);
        }
        for (subject, severity) in found {
            let key = subject.key.clone();
            // It is looked at once a second; that it goes on is no news.
            let goes_on = |alarm: &Alarm| alarm.life.trouble && alarm.life.severity == severity;
            if !self.alarms.get(&key).is_some_and(goes_on) {
                self.about(&key, subject, now_ns, &Input::Trouble(severity));
            }
        }
    }

    /// Takes a message of somebody: trouble, or none any more; durable when this comes back. Gives the alarm's number, if there is one.
    pub fn message(&mut self, subject: Subject, severity: Option<Severity>, who: &str, now_ns: i64) -> Result<Option<u64>, DatabaseError> {
        let (key, before) = (subject.key.clone(), self.pending.len());
        match severity {
            Some(severity) => self.about(&key, subject, now_ns, &Input::Trouble(severity)),
            None => {
                if let Some(alarm) = self.alarms.get_mut(&key) {
                    alarm.subject.text = subject.text;
                }
                self.step(&key, &Input::Well, now_ns, None);
            }
        }
        // What comes of it is whoever said it.
        let told =
            self.pending.iter_mut().skip(before).filter(|notice| [Step::Raised, Step::Changed, Step::Cleared].contains(&notice.step));
        told.for_each(|notice| notice.by = Some(who.to_owned()));
        self.commit()?;
        Ok(self.alarms.get(&key).map(|alarm| alarm.life.number))
    }

    /// Does what somebody wants done; it is durable when this comes back without an error, else it did not happen.
    pub fn act(&mut self, number: u64, who: &str, act: Act, now_ns: i64) -> Result<Alarm, ActError> {
        self.commit()?;
        let found = self.alarms.values().find(|alarm| alarm.life.number == number);
        let before = found.ok_or(ActError::Unknown(number))?.clone();
        let key = before.subject.key.clone();
        let seq = self.seq;
        // A message has no rule that sees it well.
        let act = match act {
            Act::Close { .. } => Act::Close { endless: before.subject.origin == Origin::Message },
            act => act,
        };
        let comment = match &act {
            Act::Annotate(text) => Some(text.clone()),
            _ => None,
        };
        if let Some(refused) = self.step(&key, &Input::Act(who, act), now_ns, Some((who, comment.as_deref()))) {
            return Err(refused.into());
        }
        if let Err(error) = self.commit() {
            self.pending.retain(|notice| notice.seq <= seq);
            self.seq = seq;
            self.alarms.insert(key, before);
            return Err(error.into());
        }
        self.alarms.get(&key).cloned().ok_or(ActError::Unknown(number))
    }

    /// Makes durable what has changed; gives the steps that are durable now.
    pub fn commit(&mut self) -> Result<Vec<Notice>, DatabaseError> {
        let announced = self.announcer.as_mut().and_then(|announcer| announcer.announced());
        self.announced = announced.unwrap_or(self.announced);
        let memory = |(job, rule, series): &(String, String, String)| {
            self.memories.get(job).and_then(|memories| memories.get(&(rule.clone(), series.clone())))
        };
        let memories = self.changed_memories.iter().map(|changed| {
            let (job, rule, series) = changed;
            (job.as_str(), rule.as_str(), series.as_str(), memory(changed))
        });
        let changed = self.changed_alarms.iter().filter_map(|key| self.alarms.get(key));
        let batch = Batch {
            position: self.position,
            seq: self.seq,
            number: self.number,
            announced: self.announced,
            memories: memories.collect(),
            alarms: self.over.iter().chain(changed).collect(),
            steps: &self.pending,
        };
        self.store.write(&batch)?;
        self.changed_memories.clear();
        self.changed_alarms.clear();
        self.over.clear();
        let steps = std::mem::take(&mut self.pending);
        if let Some(mut announcer) = self.announcer.take() {
            // Where they cannot be read it stays behind, and the next commit tries again.
            if !announcer.is_behind() || self.announce_again(announcer.as_mut()).is_err() {
                announcer.announce(&steps);
            }
            self.announcer = Some(announcer);
        }
        for notice in &steps {
            // Nobody may follow.
            let _followers = self.stream.send(Arc::new(notice.clone()));
        }
        Ok(steps)
    }

    /// Drops closed alarms that are too old or too many; gives how many.
    pub fn prune(&mut self, now_ns: i64) -> Result<usize, DatabaseError> {
        self.store.prune(now_ns)
    }

    /// Has alarms silenced that are maintained, and others told again.
    fn silence(&mut self, now_ns: i64) {
        self.maintained.forget(now_ns);
        let changed = self.alarms.values().filter(|alarm| alarm.life.stage == Stage::Active).filter_map(|alarm| {
            let why = self.maintained.silences(&alarm.subject, now_ns);
            (why != alarm.life.silenced).then(|| (alarm.subject.key.clone(), Input::Silence(why)))
        });
        let dependent = self.alarms.values().filter(|alarm| alarm.life.stage == Stage::Active && self.depends.has(&alarm.subject.job));
        let held = dependent.filter_map(|alarm| {
            let held = self.held(alarm, Moment::Passes, now_ns);
            (held != alarm.life.held).then(|| (alarm.subject.key.clone(), Input::Hold(held)))
        });
        for (key, input) in changed.chain(held).collect::<Vec<_>>() {
            self.step(&key, &input, now_ns, None);
        }
    }

    /// Takes what an alarm is about, and what happens to it.
    fn about(&mut self, key: &str, subject: Subject, now_ns: i64, input: &Input<'_>) {
        self.about_seen(key, subject, now_ns, input, (now_ns, 1));
    }

    /// The same, where a run has seen it that began at an instant; so often is enough to be sure.
    fn about_seen(&mut self, key: &str, subject: Subject, now_ns: i64, input: &Input<'_>, (begun_ns, times): (i64, u32)) {
        match self.alarms.get_mut(key) {
            // A life that is over keeps what it was about.
            Some(alarm) if alarm.life.stage == Stage::Active => alarm.subject = subject,
            Some(_) => {
                self.step(key, &Input::Supersede, now_ns, None);
                if let Some(alarm) = self.alarms.get_mut(key) {
                    if alarm.life.number > 0 && self.changed_alarms.remove(key) {
                        self.over.push(alarm.clone());
                    }
                    alarm.subject = subject;
                }
            }
            None => drop(self.alarms.insert(key.to_owned(), Alarm { life: Life::default(), subject, situation: None })),
        }
        // What begins while it is maintained is told to nobody.
        let why = self.alarms.get(key).and_then(|alarm| self.maintained.silences(&alarm.subject, now_ns));
        self.step(key, &Input::Silence(why), now_ns, None);
        if let Some(alarm) = self.alarms.get(key).filter(|alarm| self.depends.has(&alarm.subject.job)) {
            let moment = if alarm.life.stage == Stage::Active { Moment::Seen(begun_ns, times) } else { Moment::Begins };
            let held = self.held(alarm, moment, now_ns);
            self.step(key, &Input::Hold(held), now_ns, None);
        }
        self.step(key, input, now_ns, None);
    }

    /// Has an alarm's sentence say that it is over, where it told of trouble.
    fn say_over(&mut self, key: &str, because: Option<&str>) {
        if let Some(alarm) = self.alarms.get_mut(key).filter(|alarm| alarm.life.stage == Stage::Active) {
            alarm.subject.say_over(because);
        }
    }

    /// Makes a step of an alarm that is known; gives why not, where somebody is refused.
    fn step(&mut self, key: &str, input: &Input<'_>, now_ns: i64, said: Option<(&str, Option<&str>)>) -> Option<Refused> {
        let alarm = self.alarms.get_mut(key)?;
        let mut refused = None;
        // What time does is told as it was before the input.
        for input in [&Input::Time, input] {
            let before = alarm.life.number;
            let number = self.number + 1;
            let told = alarm.life.step(input, now_ns, || number);
            if alarm.life.number != before {
                self.number = number;
                alarm.situation = self.situations.begins(alarm, self.depends.on(&alarm.subject.job));
            }
            for step in told.steps {
                self.seq += 1;
                let said = said.filter(|_| *input != Input::Time);
                let (by, comment) = said.map_or((None, None), |(by, comment)| (Some(by), comment));
                self.pending.push(alarm.notice(self.seq, step, now_ns, (by, comment)));
            }
            refused = told.refused;
        }
        self.depends.stands(alarm);
        if alarm.life.number > 0 {
            self.changed_alarms.insert(key.to_owned());
        }
        refused
    }
}

#[cfg(test)]
mod tests;
