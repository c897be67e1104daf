//! An alarm's life: what happens to it, and what is told of that.
//!
//! | stage    | trouble                       | well             | own, annotate, shelve, ack | close                         | withdraw  | time                                   |
//! |----------|-------------------------------|------------------|----------------------------|-------------------------------|-----------|----------------------------------------|
//! | closed   | new life: Raised              | -                | refused                    | refused                       | -         | shelf ends, untold                     |
//! | active   | counted; other severity: Changed | Cleared       | told                       | Cleared, Closed; refused where its rule clears it | Withdrawn | ack ends: Unacknowledged; shelf ends: Unshelved |
//! | flapping | counted; worse: Changed       | nothing told     | told                       | as active                     | Withdrawn | calm: Settled, then Cleared if well     |
//! | cleared  | Closed, then a new life       | -                | told; ack refused          | Closed                        | Withdrawn | as active; a day later: Closed          |
//!
//! A life that is raised for the [`FLAPS`]th time within [`FLAP_SPAN_NS`] is flapping: told once, then nothing but worse until it has been
//! calm for [`CALM_NS`]. Maintenance, or what it depends on ([`super::depend`]), silences it: Silenced and Unsilenced, told while it is active. An acknowledgement ends with its time or with the life; a shelf is of the key, and outlasts lives.

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Severity;

use super::{depend::Held, notice::Step};

/// Nanoseconds of a minute.
const MINUTE_NS: i64 = 60 * 1_000_000_000;
/// Raised so often within [`FLAP_SPAN_NS`], it is flapping.
pub const FLAPS: usize = 5;
/// Over how long raises are counted.
pub const FLAP_SPAN_NS: i64 = 30 * MINUTE_NS;
/// Without a change for so long, it has settled.
pub const CALM_NS: i64 = 15 * MINUTE_NS;
/// Cleared for so long, it is closed.
pub const CLOSES_AFTER_NS: i64 = 24 * 60 * MINUTE_NS;
/// Entries of a severity history, at most: the latest.
const HISTORY_MAX: usize = 50;
/// Notes beside one alarm, at most: the latest.
const NOTES_MAX: usize = 50;

/// Where a life stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Its reason is there, as far as is told.
    Active,
    /// Its reason is gone.
    Cleared,
    /// It is done with, or never was.
    #[default]
    Closed,
}

/// What somebody did that has an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Until {
    /// Who.
    pub by: String,
    /// When it ends, nanoseconds since 1970; nothing: not by itself.
    pub until_ns: Option<i64>,
}

/// What somebody wrote beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// When, nanoseconds since 1970.
    pub time_ns: i64,
    /// Who.
    pub by: String,
    /// What.
    pub text: String,
}

/// The state of an alarm: of the life that goes on, or of the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// Number of the life; 0 before the first.
    pub number: u64,
    /// Where it stands.
    pub stage: Stage,
    /// How bad it is; how bad it was, once it is cleared.
    pub severity: Severity,
    /// When it began, nanoseconds since 1970, as all times here.
    pub raised_ns: i64,
    /// When its reason was last seen.
    pub last_ns: i64,
    /// How often its reason was seen.
    pub count: u64,
    /// When it was cleared.
    pub cleared_ns: Option<i64>,
    /// When it was closed.
    pub closed_ns: Option<i64>,
    /// Who takes care of it.
    pub owner: Option<String>,
    /// Who has seen it.
    pub acknowledged: Option<Until>,
    /// Who wants nobody told, and until when.
    pub shelved: Option<Until>,
    /// Why nobody is told of it for now: maintenance.
    #[serde(default)]
    pub silenced: Option<String>,
    /// Why nobody is told of it for now: what it depends on.
    #[serde(default)]
    pub held: Option<Held>,
    /// Whether it comes and goes.
    pub flapping: bool,
    /// Whether the reason is there at this moment, whatever is told.
    pub trouble: bool,
    /// When its severities began.
    pub history: Vec<(i64, Severity)>,
    /// What people wrote.
    pub notes: Vec<Note>,
    /// When trouble came or went last.
    changed_ns: i64,
    /// When it was raised lately, told or not.
    raises: Vec<i64>,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            number: 0,
            stage: Stage::Closed,
            severity: Severity::Indeterminate,
            raised_ns: 0,
            last_ns: 0,
            count: 0,
            cleared_ns: None,
            closed_ns: None,
            owner: None,
            acknowledged: None,
            shelved: None,
            silenced: None,
            held: None,
            flapping: false,
            trouble: false,
            history: Vec::new(),
            notes: Vec::new(),
            changed_ns: 0,
            raises: Vec::new(),
        }
    }
}

/// What happens to an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Its reason is seen.
    Trouble(Severity),
    /// Its reason is seen to be gone.
    Well,
    /// Time passes.
    Time,
    /// Its reason will be seen anew: the life that is cleared gives way.
    Supersede,
    /// Nobody is to be told of it for this reason, or for none any more.
    Silence(Option<String>),
    /// What it depends on holds it, or does not any more.
    Hold(Option<Held>),
    /// Its job or its rule is gone.
    Withdraw,
    /// Somebody does something.
    Act(&'a str, Act),
}

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Takes care of it.
    Own,
    /// Has seen it; until then, or for as long as it lives.
    Acknowledge(Option<i64>),
    /// Takes that back.
    Unacknowledge,
    /// Writes something beside it.
    Annotate(String),
    /// Wants nobody told until then.
    Shelve(i64),
    /// Wants people told again.
    Unshelve,
    /// Is done with it; says whether nothing else ends it.
    Close {
        /// Whether its rule never sees it well: an event, a message.
        endless: bool,
    },
}

/// Why somebody cannot do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is closed.
    #[error("it is closed")]
    Closed,
    /// Its reason is gone.
    #[error("its reason is gone; it can be closed")]
    Cleared,
    /// Its reason is there.
    #[error("its reason is still there, and its rule clears it; shelve it, or disable the rule")]
    Active,
    /// It comes and goes, and its reason is gone at this moment.
    #[error("it is flapping: its reason is gone for now, and it clears by itself after {} minutes of calm; shelve it until then", CALM_NS / MINUTE_NS)]
    Flapping,
    /// Nobody has acknowledged it.
    #[error("it is not acknowledged")]
    NotAcknowledged,
    /// Nobody has shelved it.
    #[error("it is not shelved")]
    NotShelved,
    /// What ends before now never was.
    #[error("its end has passed already")]
    Over,
}

/// What came of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What is to be told, in order: also what time has done before somebody was refused.
    pub steps: Vec<Step>,
    /// Why somebody could not do what he wanted.
    pub refused: Option<Refused>,
}

impl Life {
    /// Takes what happens; gives what is to be told.
    ///
    /// `number` makes the number of a new life.
    pub fn step(&mut self, input: &Input<'_>, now_ns: i64, number: impl FnOnce() -> u64) -> Told {
        let mut steps = self.time(now_ns);
        let refused = match input {
            Input::Time => None,
            Input::Trouble(severity) => {
                self.trouble(*severity, now_ns, number, &mut steps);
                None
            }
            Input::Well => {
                self.well(now_ns, &mut steps);
                None
            }
            Input::Silence(why) => {
                self.silence(|life| life.silenced.clone_from(why), &mut steps);
                None
            }
            Input::Hold(held) => {
                self.silence(|life| life.held.clone_from(held), &mut steps);
                None
            }
            Input::Supersede => {
                if self.stage == Stage::Cleared {
                    self.close(now_ns);
                    steps.push(Step::Closed);
                }
                None
            }
            Input::Withdraw => {
                if self.stage != Stage::Closed {
                    self.close(now_ns);
                    steps.push(Step::Withdrawn);
                }
                None
            }
            Input::Act(..) if self.stage == Stage::Closed => Some(Refused::Closed),
            Input::Act(who, act) => self.act(who, act, now_ns, &mut steps).err(),
        };
        Told { steps, refused }
    }

    /// When time does something to it, nanoseconds since 1970; nothing if it never does.
    pub fn next_ns(&self) -> Option<i64> {
        let end = |until: &Option<Until>| until.as_ref().and_then(|until| until.until_ns);
        let settles = (self.stage == Stage::Active && self.flapping).then(|| self.changed_ns.saturating_add(CALM_NS));
        let closes = self.cleared_ns.filter(|_| self.stage == Stage::Cleared).map(|cleared_ns| cleared_ns.saturating_add(CLOSES_AFTER_NS));
        [end(&self.acknowledged), end(&self.shelved), settles, closes].into_iter().flatten().min()
    }

    /// Whether nothing of it has to be remembered.
    pub fn is_forgotten(&self, now_ns: i64) -> bool {
        let recent = self.raises.last().is_some_and(|raise| now_ns.saturating_sub(*raise) < FLAP_SPAN_NS);
        self.stage == Stage::Closed && self.shelved.is_none() && !recent
    }

    /// Why nobody is told of it for now, if so: a shelf, maintenance, what it depends on.
    pub fn silent(&self) -> Option<String> {
        let shelf = self.shelved.as_ref().map(|shelf| format!("shelved by {}", shelf.by));
        shelf.or_else(|| self.silenced.clone()).or_else(|| self.held.as_ref().map(Held::why))
    }

    fn silence(&mut self, change: impl FnOnce(&mut Self), told: &mut Vec<Step>) {
        let is_silenced = |life: &Self| life.silenced.is_some() || life.held.is_some();
        let was = is_silenced(self);
        change(self);
        if self.stage == Stage::Active && was != is_silenced(self) {
            told.push(if was { Step::Unsilenced } else { Step::Silenced });
        }
    }

    fn trouble(&mut self, severity: Severity, now_ns: i64, number: impl FnOnce() -> u64, told: &mut Vec<Step>) {
        let is_new = !self.trouble;
        if is_new {
            self.changed_ns = now_ns;
            self.raises.push(now_ns);
            self.raises.retain(|raise| now_ns.saturating_sub(*raise) < FLAP_SPAN_NS);
        }
        self.trouble = true;
        if self.stage != Stage::Active {
            if self.stage == Stage::Cleared {
                self.close(now_ns);
                told.push(Step::Closed);
            }
            self.begin(severity, now_ns, number());
            told.push(Step::Raised);
        } else {
            self.count = self.count.saturating_add(1);
            self.last_ns = self.last_ns.max(now_ns);
            let is_worse = severity > self.severity;
            if severity != self.severity && (is_worse || !self.flapping) {
                self.severity = severity;
                self.remember(now_ns);
                told.push(Step::Changed);
            }
        }
        if is_new && !self.flapping && self.raises.len() >= FLAPS {
            self.flapping = true;
            told.push(Step::Flapping);
        }
        // Never more than are counted.
        self.raises.drain(..self.raises.len().saturating_sub(FLAPS));
    }

    fn well(&mut self, now_ns: i64, told: &mut Vec<Step>) {
        if self.trouble {
            self.trouble = false;
            self.changed_ns = now_ns;
        }
        if self.stage == Stage::Active && !self.flapping {
            self.clear(now_ns);
            told.push(Step::Cleared);
        }
    }

    /// What time alone does.
    fn time(&mut self, now_ns: i64) -> Vec<Step> {
        let mut told = Vec::new();
        if is_over(self.acknowledged.as_ref(), now_ns) {
            self.acknowledged = None;
            told.push(Step::Unacknowledged);
        }
        if is_over(self.shelved.as_ref(), now_ns) {
            self.shelved = None;
            if self.stage != Stage::Closed {
                told.push(Step::Unshelved);
            }
        }
        if self.stage == Stage::Active && self.flapping && now_ns.saturating_sub(self.changed_ns) >= CALM_NS {
            self.flapping = false;
            self.raises.clear();
            told.push(Step::Settled);
            if !self.trouble {
                self.clear(now_ns);
                told.push(Step::Cleared);
            }
        }
        let is_old = |cleared: i64| now_ns.saturating_sub(cleared) >= CLOSES_AFTER_NS;
        if self.stage == Stage::Cleared && self.cleared_ns.is_some_and(is_old) {
            self.close(now_ns);
            told.push(Step::Closed);
        }
        told
    }

    fn act(&mut self, who: &str, act: &Act, now_ns: i64, told: &mut Vec<Step>) -> Result<(), Refused> {
        match act {
            Act::Own => {
                self.owner = Some(who.to_owned());
                told.push(Step::Owned);
            }
            Act::Acknowledge(_) if self.stage != Stage::Active => return Err(Refused::Cleared),
            Act::Acknowledge(until_ns) => {
                if until_ns.is_some_and(|until| until <= now_ns) {
                    return Err(Refused::Over);
                }
                self.acknowledged = Some(Until { by: who.to_owned(), until_ns: *until_ns });
                told.push(Step::Acknowledged);
            }
            Act::Unacknowledge => {
                self.acknowledged.take().ok_or(Refused::NotAcknowledged)?;
                told.push(Step::Unacknowledged);
            }
            Act::Annotate(text) => {
                self.notes.push(Note { time_ns: now_ns, by: who.to_owned(), text: text.clone() });
                self.notes.drain(..self.notes.len().saturating_sub(NOTES_MAX));
                told.push(Step::Annotated);
            }
            Act::Shelve(until_ns) => {
                if *until_ns <= now_ns {
                    return Err(Refused::Over);
                }
                self.shelved = Some(Until { by: who.to_owned(), until_ns: Some(*until_ns) });
                told.push(Step::Shelved);
            }
            Act::Unshelve => {
                self.shelved.take().ok_or(Refused::NotShelved)?;
                told.push(Step::Unshelved);
            }
            Act::Close { endless } => {
                if self.stage == Stage::Active {
                    if !endless {
                        return Err(if self.trouble { Refused::Active } else { Refused::Flapping });
                    }
                    self.trouble = false;
                    self.clear(now_ns);
                    told.push(Step::Cleared);
                }
                self.close(now_ns);
                told.push(Step::Closed);
            }
        }
        Ok(())
    }

    fn begin(&mut self, severity: Severity, now_ns: i64, number: u64) {
        let (shelved, raises, changed_ns) = (self.shelved.take(), std::mem::take(&mut self.raises), self.changed_ns);
        let (silenced, held) = (self.silenced.take(), self.held.take());
        *self = Self {
            number,
            stage: Stage::Active,
            severity,
            raised_ns: now_ns,
            last_ns: now_ns,
            count: 1,
            shelved,
            silenced,
            held,
            trouble: true,
            raises,
            changed_ns,
            ..Self::default()
        };
        self.remember(now_ns);
    }

    fn remember(&mut self, now_ns: i64) {
        self.history.push((now_ns, self.severity));
        self.history.drain(..self.history.len().saturating_sub(HISTORY_MAX));
    }

    fn clear(&mut self, now_ns: i64) {
        self.stage = Stage::Cleared;
        self.cleared_ns = Some(now_ns);
        self.flapping = false;
        self.held = None;
        // Whoever has seen it has seen this life, and it is over.
        self.acknowledged = None;
    }

    fn close(&mut self, now_ns: i64) {
        self.stage = Stage::Closed;
        self.closed_ns = Some(now_ns);
        self.flapping = false;
        self.trouble = false;
        self.held = None;
        self.acknowledged = None;
    }
}

fn is_over(until: Option<&Until>, now_ns: i64) -> bool {
    until.and_then(|until| until.until_ns).is_some_and(|until| until <= now_ns)
}

#[cfg(test)]
#[path = "life/tests.rs"]
mod tests;
