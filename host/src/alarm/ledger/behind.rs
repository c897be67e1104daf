//! What alarms depend on: how that stands, and which alarms it holds.

use super::Ledger;
use crate::{
    alarm::{
        depend::{self, Depends, Held, Moment},
        judge::Memory,
        record::Alarm,
        seat::Seats,
        watch::{Sight, Watch},
    },
    reading::Reading,
    series::selector::Shown,
};

impl Ledger {
    /// Takes what depends on what from now on.
    pub fn depend(&mut self, mut depends: Depends) {
        depends.go_on_as(&self.depends);
        self.alarms.values().for_each(|alarm| depends.stands(alarm));
        self.depends = depends;
    }

    /// Sees how the series of a reading stand that others depend on.
    pub(super) fn look_behind(&mut self, watch: &Watch, reading: &Reading) {
        if !self.depends.looks_at(&reading.job) {
            return;
        }
        let memories = self.memories.get(&reading.job);
        let is_calm = |sight: &Sight<'_>| {
            let own: Vec<(String, String)> = sight.spec.keys.iter().cloned().zip(sight.labels.iter().cloned()).collect();
            let (series, rule) = (Shown { metric: &sight.spec.name, labels: &own }.to_string(), sight.rule.name.value.clone());
            memories.and_then(|memories| memories.get(&(rule, series))).is_none_or(Memory::is_calm)
        };
        self.depends.saw(reading, |meant| {
            let mut is_well = None;
            watch.look(reading, &mut Seats::default(), |sight, _| {
                if depend::is_of(meant, &sight) {
                    is_well = Some(is_well.unwrap_or(true) && is_calm(&sight));
                }
            });
            is_well
        });
    }

    /// Why an alarm is held by what it depends on, if it is.
    pub(super) fn held(&self, alarm: &Alarm, moment: Moment, now_ns: i64) -> Option<Held> {
        depend::next(alarm.life.held.as_ref(), self.depends.standing(&alarm.subject.job), moment, now_ns)
    }
}
