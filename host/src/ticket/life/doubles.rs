//! Other tickets that bear the key: those that are ours are resolved, those that people made of ours are theirs.
//!
//! Ours are made twice only while a create is under way: what is found then, or right after it, was made by it. Whoever clones or splits a
//! ticket does so later, and has what comes of it.

use serde::{Deserialize, Serialize};

use super::{Ask, Can, Comment, GONE_AFTER, Heard, Seen, State, Ticket};

/// So long after a create can take effect no more, whatever bears the key is still taken for made by it, nanoseconds.
const GRACE_NS: i64 = 600_000_000_000;
/// Others that are remembered, at most.
const OTHERS_MAX: usize = 20;

/// What is known of other tickets that bear the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Doubles {
    /// Until when a create may take effect, nanoseconds since 1970; nothing if none was sent.
    pub until_ns: i64,
    /// When they were looked for last.
    pub swept_ns: i64,
    /// Those that are told to be duplicates, and not resolved yet.
    pub disowned: Vec<String>,
    /// Those that are resolved, and in which somebody may have written something.
    pub unheard: Vec<String>,
    /// Attempts to resolve or to read one that failed, one after the other.
    pub failures: u32,
    /// How often, since something went well, the system said that there is no such ticket.
    pub gone: u32,
    /// No attempt before this instant.
    pub next_ns: i64,
    /// Those that are not taken for ours.
    pub others: Vec<String>,
    /// Whether there is something to be done about them, though the alarm may be closed.
    pub owed: bool,
}

impl Ticket {
    /// Whether it is still to be looked for duplicates.
    pub fn is_to_be_swept(&self, can: Can) -> bool {
        can.doubles && self.id.is_some() && self.doubles.swept_ns < self.doubles.until_ns
    }

    /// Whether it is to be found out whether the system lets us in at all.
    pub fn is_doubtful(&self) -> bool {
        self.denied > GONE_AFTER && !self.vouched
    }

    /// Notes whether there is something to be done, whatever becomes of the alarm.
    pub fn note_debts(&mut self, can: Can) {
        self.doubles.owed = self.pays_at(can).is_some();
    }

    /// When something is to be done about duplicates, or comments are to be read once more: nothing if that is at no certain instant.
    pub fn pays_at(&self, can: Can) -> Option<i64> {
        // What nobody knows any more has no duplicates.
        if self.state == State::Gone {
            return None;
        }
        let sweeps = self.is_to_be_swept(can).then_some(self.doubles.until_ns);
        let looks = (self.looks && can.comments).then_some(0);
        let is_unheard = can.comments && !self.doubles.unheard.is_empty();
        let duplicates = (is_unheard || !self.duplicates.is_empty()).then_some(self.doubles.next_ns);
        sweeps.into_iter().chain(looks).chain(duplicates).min()
    }

    /// What is to be asked about a duplicate now.
    pub(super) fn next_of_duplicates(&self, can: Can, now_ns: i64) -> Option<Ask> {
        if self.doubles.next_ns > now_ns {
            return None;
        }
        let Some(duplicate) = self.duplicates.first().cloned() else {
            // Once it is resolved nobody writes into it any more.
            return self.doubles.unheard.first().filter(|_| can.comments).cloned().map(Ask::Hear);
        };
        let is_said = !can.comment || self.doubles.disowned.contains(&duplicate);
        Some(if is_said { Ask::Retire(duplicate) } else { Ask::Disown(duplicate) })
    }

    /// Takes what else was found to bear the key.
    pub(super) fn found_others(&mut self, ids: Vec<String>, now_ns: i64) {
        let is_ours = self.doubles.swept_ns < self.doubles.until_ns && now_ns <= self.doubles.until_ns.saturating_add(GRACE_NS);
        self.doubles.swept_ns = now_ns;
        for id in ids {
            let is_known = [&self.duplicates, &self.retired, &self.doubles.others].iter().any(|known| known.contains(&id));
            if is_known || self.id.as_ref() == Some(&id) {
                continue;
            }
            if is_ours {
                self.duplicates.push(id);
            } else if self.doubles.others.len() < OTHERS_MAX {
                self.doubles.others.push(id);
            }
        }
    }

    /// Takes what was heard of a duplicate; a failure holds up no step, and gives the next one its turn. Gives what people wrote there.
    pub(super) fn hear_of_duplicate(&mut self, ask: &Ask, id: &str, heard: Heard) -> Vec<Seen> {
        self.asking = None;
        let mut wrote = Vec::new();
        self.doubles.gone = self.doubles.gone.saturating_add(u32::from(matches!(heard, Heard::Gone(_))));
        // Said once that may be of a system that just comes up.
        let is_no_more = matches!(heard, Heard::Gone(_)) && self.doubles.gone > GONE_AFTER;
        match (ask, heard) {
            (Ask::Hear(_), Heard::Comments(comments)) => {
                self.doubles.unheard.retain(|other| other != id);
                wrote = self.written_in(id, comments);
            }
            (Ask::Hear(_), Heard::SomeComments(comments)) => wrote = self.written_in(id, comments),
            // What cannot be read is not waited for.
            (Ask::Hear(_), Heard::Done | Heard::Refused(_)) => self.doubles.unheard.retain(|other| other != id),
            (Ask::Hear(_), Heard::Gone(_)) if is_no_more => self.doubles.unheard.retain(|other| other != id),
            (Ask::Hear(_), Heard::Denied(_)) if self.doubles.failures >= GONE_AFTER => self.doubles.unheard.retain(|other| other != id),
            (Ask::Hear(_), heard) => {
                self.fails_with_duplicate(id, &heard);
                self.doubles.unheard.rotate_left(1);
                return wrote;
            }
            (Ask::Disown(_), Heard::Done | Heard::Refused(_)) => self.doubles.disowned.push(id.to_owned()),
            (Ask::Retire(_), Heard::Done | Heard::Refused(_)) => {
                self.retire(id);
                self.doubles.unheard.push(id.to_owned());
            }
            (_, Heard::Gone(_)) if is_no_more => self.retire(id),
            (_, heard) => {
                self.fails_with_duplicate(id, &heard);
                self.duplicates.rotate_left(1);
                return wrote;
            }
        }
        (self.error, self.doubles.failures, self.doubles.gone, self.doubles.next_ns) = (None, 0, 0, 0);
        wrote
    }

    fn retire(&mut self, id: &str) {
        self.duplicates.retain(|other| other != id);
        self.doubles.disowned.retain(|other| other != id);
        self.retired.push(id.to_owned());
    }

    fn fails_with_duplicate(&mut self, id: &str, heard: &Heard) {
        self.error = heard.failure().map(|why| format!("duplicate {id}: {why}"));
        self.doubles.failures = self.doubles.failures.saturating_add(1);
    }

    /// What people wrote into a duplicate: known by both ids, for another ticket's comments may be counted from one, too.
    fn written_in(&mut self, duplicate: &str, comments: Vec<Comment>) -> Vec<Seen> {
        let of_duplicate = comments.into_iter().map(|comment| Comment { id: in_duplicate(duplicate, &comment.id), ..comment });
        self.new_of(of_duplicate.collect())
    }
}

/// What a comment of a duplicate is known by.
pub fn in_duplicate(duplicate: &str, comment: &str) -> String {
    format!("{duplicate}/{comment}")
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Next, State,
            tests::{ALL, Rig, SECOND, WINDOW, stands, unknown},
        },
        *,
    };
    use crate::alarm::notice::Step;

    fn found(ids: &[&str]) -> Heard {
        Heard::Found(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    /// One whose create made two: 5, which stays, and 6.
    fn doubled() -> Rig {
        let mut rig = Rig::new(ALL);
        rig.asks(&Ask::Search, found(&[]));
        rig.asks(&Ask::Create, unknown());
        rig.asks(&Ask::Search, found(&["6", "5"]));
        rig
    }

    #[test]
    fn a_duplicate_that_cannot_be_resolved_holds_up_no_step_and_is_tried_again() {
        let mut rig = doubled();
        rig.asks(&Ask::Disown("6".into()), Heard::Outdated("another version".into()));
        rig.ticket.doubles.next_ns = rig.now_ns + 60 * SECOND;
        rig.settles();
        rig.takes(2, 7, Step::Changed);
        rig.asks(&Ask::Comment, Heard::Done);
        rig.settles();
        rig.takes(3, 7, Step::Cleared);
        rig.asks(&Ask::Comment, Heard::Done);
        rig.asks(&Ask::Search, found(&["5", "6"]));
        rig.asks(&Ask::Read, stands(State::Open));
        rig.asks(&Ask::Resolve, Heard::Done);
        rig.settles();
        assert_eq!((rig.ticket.attempts, rig.ticket.next_ns, rig.ticket.pays_at(ALL)), (0, 0, Some(WINDOW + SECOND / 10)));
        rig.now_ns += 60 * SECOND;
        // What is said is not said twice because it is not done.
        rig.asks(&Ask::Disown("6".into()), Heard::Done);
        rig.asks(&Ask::Retire("6".into()), Heard::Later("busy".into()));
        rig.asks(&Ask::Retire("6".into()), Heard::Done);
        rig.asks(&Ask::Hear("6".into()), Heard::Comments(Vec::new()));
        rig.settles();
        rig.ticket.note_debts(ALL);
        assert_eq!((rig.ticket.retired.clone(), rig.ticket.doubles.failures), (vec!["6".to_owned()], 0));
    }

    #[test]
    fn what_people_wrote_into_a_duplicate_is_read_once_it_is_resolved() {
        let comment = |id: &str, text: &str| Comment { id: id.into(), author: Some("alice".into()), text: text.into() };
        let mut rig = doubled();
        rig.asks(&Ask::Disown("6".into()), Heard::Done);
        rig.asks(&Ask::Retire("6".into()), Heard::Done);
        rig.asks(&Ask::Hear("6".into()), unknown());
        assert_eq!(rig.ticket.pays_at(ALL), Some(0), "it is owed until it is read");
        let ours = format!("told on in 5\n\n{}/duplicate", rig.ticket.key);
        rig.asks(&Ask::Hear("6".into()), Heard::SomeComments(vec![comment("0", &ours)]));
        let all = vec![comment("0", ""), comment("1", "on it")];
        let seen = rig.ticket.hear(&Ask::Hear("6".into()), Heard::Comments(all), rig.now_ns);
        assert_eq!(seen, [Seen::Wrote(comment("6/1", "on it"))]);
        rig.settles();
        // One of the same id in the ticket itself is another one.
        let own = vec![comment("1", "in the other")];
        assert_eq!(rig.ticket.hear(&Ask::Look, Heard::Comments(own.clone()), rig.now_ns), [Seen::Wrote(own[0].clone())]);
    }

    #[test]
    fn a_duplicate_that_cannot_be_read_is_not_waited_for() {
        let mut rig = Rig::open(ALL);
        rig.ticket.doubles.unheard = vec!["6".into(), "7".into()];
        rig.asks(&Ask::Hear("6".into()), Heard::Refused("not yours".into()));
        for _ in 0..=GONE_AFTER {
            rig.asks(&Ask::Hear("7".into()), Heard::Denied("no right to read it".into()));
        }
        rig.settles();
        rig.ticket.doubles.unheard = vec!["8".into()];
        for _ in 0..=GONE_AFTER {
            rig.asks(&Ask::Hear("8".into()), Heard::Gone("no such ticket".into()));
        }
        rig.settles();
        let mut rig = Rig::open(Can { comments: false, ..ALL });
        rig.ticket.doubles.unheard = vec!["6".into()];
        rig.settles();
    }

    #[test]
    fn one_answer_that_there_is_no_such_duplicate_leaves_none_unsaid_and_open() {
        let mut rig = doubled();
        rig.asks(&Ask::Disown("6".into()), Heard::Gone("it just comes up".into()));
        rig.asks(&Ask::Disown("6".into()), Heard::Later("busy".into()));
        rig.asks(&Ask::Disown("6".into()), Heard::Done);
        rig.asks(&Ask::Retire("6".into()), Heard::Gone("it just comes up".into()));
        assert_eq!((rig.ticket.duplicates.clone(), rig.ticket.doubles.gone), (vec!["6".to_owned()], 1));
        for _ in 0..GONE_AFTER {
            rig.asks(&Ask::Retire("6".into()), Heard::Gone("it was deleted".into()));
        }
        rig.settles();
        assert_eq!(rig.ticket.pays_at(Can { doubles: false, ..ALL }), None);
    }

    #[test]
    fn of_two_duplicates_one_that_fails_gives_the_other_its_turn() {
        let mut rig = doubled();
        rig.ticket.hear(&Ask::Search, found(&["5", "6", "7"]), rig.now_ns);
        rig.asks(&Ask::Disown("6".into()), Heard::Denied("no".into()));
        rig.asks(&Ask::Disown("7".into()), Heard::Done);
    }

    #[test]
    fn what_somebody_clones_of_ours_is_nobodys_duplicate() {
        let mut rig = Rig::open(ALL);
        assert_eq!(rig.ticket.pays_at(ALL), Some(WINDOW + SECOND / 10), "it is looked for once the create can take effect no more");
        rig.now_ns = WINDOW + SECOND;
        rig.ticket.hear(&Ask::Search, found(&["5"]), rig.now_ns);
        assert_eq!(rig.ticket.pays_at(ALL), None, "and then no more");
        rig.takes(2, 7, Step::Cleared);
        rig.asks(&Ask::Comment, Heard::Done);
        rig.asks(&Ask::Read, stands(State::Open));
        rig.asks(&Ask::Resolve, Heard::Done);
        rig.settles();
        // Even if it is seen.
        rig.ticket.hear(&Ask::Search, found(&["5", "6"]), rig.now_ns);
        assert_eq!(rig.next(), Next::Settled);
        assert_eq!((rig.ticket.duplicates.len(), rig.ticket.doubles.others.as_slice()), (0, &["6".to_owned()][..]));
    }

    #[test]
    fn what_is_seen_for_the_first_time_long_after_is_told_and_left_alone() {
        let mut rig = Rig::open(ALL);
        rig.ticket.hear(&Ask::Search, found(&["5", "6"]), WINDOW + GRACE_NS + SECOND);
        assert_eq!((rig.next(), rig.ticket.doubles.others.len()), (Next::Settled, 1));
        // Of a ticket that an older state of us does not know it made, nobody knows what else it made.
        let mut rig = Rig::new(ALL);
        rig.asks(&Ask::Search, found(&["5", "6"]));
        rig.now_ns = 0;
        assert_eq!((rig.ticket.id.as_deref(), rig.ticket.duplicates.len()), (Some("5"), 0));
    }
}
