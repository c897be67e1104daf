//! Situations of the ledger's alarms.

use std::collections::HashMap;

use super::Ledger;
use crate::{
    alarm::{
        life::Stage,
        record::{Alarm, Subject},
        situation::{Situation, situation},
    },
    reading::Shape,
};

impl Ledger {
    /// Takes which jobs there are, by what they have in common, and whether the target of each may be on a host.
    pub fn situate<'s>(&mut self, jobs: impl IntoIterator<Item = (&'s Shape, bool)>) {
        self.situations.know(jobs);
        let mut alarms: Vec<&Alarm> = self.alarms.values().filter(|alarm| alarm.life.number > 0).collect();
        alarms.sort_by_key(|alarm| alarm.life.raised_ns);
        for alarm in alarms {
            self.situations.began(alarm, self.depends.on(&alarm.subject.job));
        }
    }

    /// A situation as it stands, of alarms that are not closed; nothing where no two belong to it.
    pub fn situation(&self, number: u64) -> Option<Situation> {
        let is_of = |alarm: &&Alarm| {
            let life = &alarm.life;
            life.number > 0 && life.stage != Stage::Closed && alarm.situation.unwrap_or(life.number) == number
        };
        let alarms: Vec<Alarm> = self.alarms.values().filter(is_of).cloned().collect();
        let mut of_jobs: HashMap<String, usize> = HashMap::new();
        for alarm in alarms.iter().filter(|alarm| self.depends.has(&alarm.subject.job)) {
            *of_jobs.entry(alarm.subject.job.clone()).or_default() += 1;
        }
        let dependents = |source: &Subject| {
            let on_it = of_jobs.iter().filter(|(job, _)| **job != source.job && self.depends.is_on(job, source));
            on_it.map(|(_, count)| count).sum()
        };
        (alarms.len() > 1).then(|| situation(number, alarms, dependents))
    }
}
