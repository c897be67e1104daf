//! What becomes of a ticket by what its system says, and what that tells of people.

use std::collections::BTreeSet;

use super::{Ask, Comment, Heard, Seen, State, Ticket, Unsure, bears, mark};

/// Comments that are remembered as seen though the system does not list them, at most: the latest.
const SEEN_MAX: usize = 500;
/// So often the system has to say that it knows no such ticket, or that we may not, before that is believed: and once more, after a
/// search that it answered.
pub(super) const GONE_AFTER: u32 = 12;

impl Ticket {
    /// Takes what was heard; gives what a person did.
    pub fn hear(&mut self, ask: &Ask, heard: Heard, now_ns: i64) -> Vec<Seen> {
        if let Ask::Disown(id) | Ask::Retire(id) | Ask::Hear(id) = ask {
            return self.hear_of_duplicate(ask, id, heard);
        }
        self.weigh(ask, &heard);
        let is_sure = !matches!(heard, Heard::Unknown(_));
        let failed = match &heard {
            // What will never be taken is not asked again.
            Heard::Refused(_) if matches!(ask, Ask::Comment | Ask::Take | Ask::Reopen) => None,
            heard => heard.failure().map(str::to_owned),
        };
        let is_done = failed.is_none();
        if !is_done {
            self.attempts = self.attempts.saturating_add(1);
            self.failing = Some(ask.name().to_owned());
        } else if ask.changes() || self.failing.as_deref().is_none_or(|failing| failing == ask.name()) {
            // What is only asked on the way to what fails is no success of that.
            (self.attempts, self.failing) = (0, None);
        }
        self.error = failed;
        if is_done {
            self.asking = None;
        }
        if is_sure && self.unsure.as_ref().is_some_and(|unsure| unsure.ask == *ask) {
            self.unsure = None;
        }
        if is_sure && matches!(ask, Ask::Resolve | Ask::Reopen) && heard != Heard::Done {
            self.turned = None;
        }
        if is_sure && *ask == Ask::Comment {
            self.written = None;
        }
        match (ask, heard) {
            (Ask::Search, Heard::Found(ids)) => self.found(ids, now_ns),
            (Ask::Create, Heard::Made(id)) => self.made(id),
            (Ask::Comment, Heard::Done) => self.told = self.telling,
            (Ask::Comment, Heard::Refused(why)) => (self.told, self.refused) = (self.telling, Some(why)),
            (Ask::Take, Heard::Done) => (self.takes, self.took) = (false, true),
            (Ask::Take, Heard::Refused(_)) => self.takes = false,
            (Ask::Resolve, Heard::Done) => (self.state, self.resolves) = (State::Resolved, false),
            (Ask::Reopen, Heard::Done) => (self.state, self.reopens) = (State::Open, false),
            // What cannot be reopened stays as it is.
            (Ask::Reopen, Heard::Refused(_)) => self.state = State::Gone,
            (Ask::Look, Heard::Comments(comments)) => return self.read_comments(comments, true, now_ns),
            (Ask::Look, Heard::SomeComments(comments)) => return self.read_comments(comments, false, now_ns),
            (Ask::Look, _) => self.count_unlooked(),
            (Ask::Read, Heard::Stands { state, word, version, owner, closed_by, id }) => {
                self.follow(id);
                return self.stands(state, word, version, owner, closed_by, now_ns);
            }
            _ => {}
        }
        Vec::new()
    }

    /// Counts looks at comments that failed, where the ticket itself could be read just before.
    fn count_unlooked(&mut self) {
        let could_be_read = std::mem::take(&mut self.fresh);
        self.unlooked = self.unlooked.saturating_add(u32::from(could_be_read || self.unlooked == 0));
    }

    /// Counts how often the system says that there is no such ticket, or that we may not; whatever else goes wrong says nothing of that.
    fn weigh(&mut self, ask: &Ask, heard: &Heard) {
        let changes = matches!(ask, Ask::Comment | Ask::Resolve | Ask::Reopen | Ask::Take);
        let (is_read, is_behind) = (*ask == Ask::Read, self.is_behind());
        let says_no = match heard {
            Heard::Gone(_) => changes || is_read,
            // What is only read now and then may be out of our reach.
            Heard::Denied(_) => changes || (is_read && is_behind),
            _ => false,
        };
        if says_no {
            self.denied = self.denied.saturating_add(1);
            if self.denied > GONE_AFTER && std::mem::take(&mut self.vouched) {
                self.state = State::Gone;
            }
        } else if matches!(heard, Heard::Found(_)) {
            self.vouched = self.denied > GONE_AFTER;
        } else if (changes && *heard == Heard::Done) || (is_read && !is_behind && matches!(heard, Heard::Stands { .. })) {
            // One that can be read is not one that we may change.
            (self.denied, self.vouched) = (0, false);
        }
    }

    fn found(&mut self, mut ids: Vec<String>, now_ns: i64) {
        ids.sort_by_key(|id| id.parse::<u64>().unwrap_or(0));
        self.swept = true;
        if self.id.is_none() {
            let Some(first) = ids.first().cloned() else {
                self.searched_ns = Some(now_ns);
                return;
            };
            let asked_for = self.unsure.as_ref().filter(|unsure| unsure.ask == Ask::Create).map(|unsure| unsure.seq);
            self.made(first);
            self.unsure = None;
            match asked_for {
                // It tells of the step that it was made for.
                Some(seq) => self.told = seq,
                // An earlier daemon made it, and what is known here is older than that: the step may be in it.
                None => {
                    self.told = 0;
                    self.written = Some(Unsure { ask: Ask::Comment, seq: self.telling, since_ns: 0, until_ns: 0 });
                }
            }
        }
        self.found_others(ids, now_ns);
    }

    fn made(&mut self, id: String) {
        (self.id, self.state, self.told) = (Some(id), State::Open, self.telling);
        (self.searched_ns, self.fresh) = (None, false);
    }

    /// Takes comments: all, or some of them.
    fn read_comments(&mut self, comments: Vec<Comment>, all: bool, now_ns: i64) -> Vec<Seen> {
        (self.unlooked, self.looks) = (0, false);
        if let Some(unsure) = &self.written {
            let mark = mark(&self.key, unsure.seq);
            if comments.iter().any(|comment| bears(&comment.text, &mark)) {
                self.told = self.told.max(unsure.seq);
                self.written = None;
            } else if all {
                self.looked_ns = Some(now_ns);
            }
        }
        // What is still listed is still seen, however much that is: an answer is bounded.
        if all {
            let listed: BTreeSet<&str> = comments.iter().map(|comment| comment.id.as_str()).collect();
            let unlisted = self.seen.iter().filter(|id| !listed.contains(id.as_str())).count();
            let mut spare = unlisted.saturating_sub(SEEN_MAX);
            self.seen.retain(|id| {
                let stays = spare == 0 || listed.contains(id.as_str());
                spare -= usize::from(!stays);
                stays
            });
        }
        self.new_of(comments)
    }

    /// What people wrote that was not seen before; it is seen now.
    pub(super) fn new_of(&mut self, comments: Vec<Comment>) -> Vec<Seen> {
        let mut seen: BTreeSet<String> = self.seen.iter().cloned().collect();
        let mut wrote = Vec::new();
        for comment in comments {
            if !seen.insert(comment.id.clone()) {
                continue;
            }
            self.seen.push(comment.id.clone());
            if !self.is_ours(&comment.text) && !comment.text.trim().is_empty() {
                wrote.push(Seen::Wrote(comment));
            }
        }
        wrote
    }

    fn stands(
        &mut self,
        state: Option<State>,
        word: String,
        version: Option<String>,
        owner: Option<String>,
        closed_by: Option<String>,
        now_ns: i64,
    ) -> Vec<Seen> {
        let mut seen = Vec::new();
        let may_be_ours = |ask: &Ask| {
            let late = self.late.as_ref().is_some_and(|(late, until_ns)| late == ask && *until_ns > now_ns);
            late || self.unsure.as_ref().is_some_and(|unsure| unsure.ask == *ask)
        };
        match state {
            None => self.error = Some(format!("`{word}` is none of the states that the template knows")),
            Some(state) => {
                if self.state == State::Open && state.is_over() {
                    if may_be_ours(&Ask::Resolve) {
                        self.reopens |= !self.over;
                    } else {
                        seen.push(Seen::Ended { by: closed_by.clone(), word: word.clone() });
                    }
                } else if self.state == State::Resolved && state == State::Closed {
                    seen.push(Seen::Ended { by: closed_by.clone(), word: word.clone() });
                } else if self.state.is_over() && state == State::Open && !may_be_ours(&Ask::Reopen) {
                    seen.push(Seen::Reopened);
                }
                self.state = state;
                if state.is_over() {
                    self.resolves = false;
                } else {
                    self.reopens = false;
                }
                if self.unsure.as_ref().is_some_and(|unsure| matches!(unsure.ask, Ask::Resolve | Ask::Reopen | Ask::Take)) {
                    self.outlive();
                }
            }
        }
        // Who has it from the beginning was given it, and did not take it.
        let met = std::mem::replace(&mut self.met, true);
        if std::mem::take(&mut self.took) || !met {
            self.owner = owner;
        } else if owner != self.owner {
            seen.extend(owner.clone().map(Seen::Took));
            self.owner = owner;
        }
        (self.word, self.version, self.fresh) = (Some(word), version, true);
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Next,
            tests::{ALL, Rig, SECOND, stands, step, unknown},
        },
        *,
    };
    use crate::alarm::notice::Step;

    #[test]
    fn one_answer_that_there_is_no_such_ticket_ends_nothing_whatever_failed_before() {
        let mut rig = Rig::open(ALL);
        rig.takes(2, 7, Step::Changed);
        for _ in 0..20 {
            rig.asks(&Ask::Comment, Heard::Later("busy".into()));
        }
        for _ in 0..GONE_AFTER {
            rig.asks(&Ask::Comment, Heard::Gone("the way there is closed".into()));
        }
        rig.asks(&Ask::Comment, Heard::Done);
        rig.settles();
        rig.ticket.hear(&Ask::Read, Heard::Gone("once more".into()), rig.now_ns);
        assert_eq!((rig.ticket.state, rig.ticket.denied), (State::Open, 1));
    }

    #[test]
    fn a_ticket_that_nobody_lets_us_write_into_gives_way_to_that_of_the_next_life() {
        let mut rig = Rig::open(ALL);
        rig.takes(2, 7, Step::Cleared);
        for _ in 0..=GONE_AFTER {
            rig.asks(&Ask::Comment, Heard::Denied("it is archived".into()));
        }
        // That nobody is let in at all is no fault of the ticket.
        for _ in 0..30 {
            rig.asks(&Ask::Search, Heard::Later("answered 403".into()));
        }
        assert_eq!(rig.ticket.state, State::Open);
        rig.asks(&Ask::Search, Heard::Found(vec!["5".into()]));
        rig.asks(&Ask::Comment, Heard::Denied("it is archived".into()));
        assert_eq!((rig.ticket.state, rig.next()), (State::Gone, Next::Settled));
        assert!(!rig.ticket.tells_of(&step(3, 8, Step::Raised, 99), 3_600 * SECOND));
    }

    #[test]
    fn what_is_only_read_now_and_then_may_be_out_of_reach() {
        let mut rig = Rig::open(ALL);
        for _ in 0..50 {
            rig.ticket.hear(&Ask::Look, Heard::Denied("no right to read notes".into()), rig.now_ns);
            rig.ticket.hear(&Ask::Read, Heard::Denied("no right to read".into()), rig.now_ns);
        }
        assert_eq!((rig.ticket.state, rig.ticket.denied), (State::Open, 0));
    }

    #[test]
    fn whoever_has_it_from_the_beginning_did_not_take_it() {
        let mut rig = Rig::open(ALL);
        let owned = |owner: &str| match stands(State::Open) {
            Heard::Stands { state, word, version, closed_by, id, .. } => {
                Heard::Stands { state, word, version, owner: Some(owner.into()), closed_by, id }
            }
            heard => heard,
        };
        assert_eq!(rig.ticket.hear(&Ask::Read, owned("the queue's lead"), 60 * SECOND), []);
        assert_eq!(rig.ticket.hear(&Ask::Read, owned("the queue's lead"), 120 * SECOND), []);
        assert_eq!(rig.ticket.hear(&Ask::Read, owned("alice"), 180 * SECOND), [Seen::Took("alice".into())]);
    }

    fn comments(ids: std::ops::Range<u32>) -> Vec<Comment> {
        ids.map(|id| Comment { id: id.to_string(), author: Some("alice".into()), text: format!("line {id}") }).collect()
    }

    #[test]
    fn a_comment_is_new_once_however_many_there_are() {
        let mut rig = Rig::open(ALL);
        let mut hear = |ids, all| {
            let heard = if all { Heard::Comments(comments(ids)) } else { Heard::SomeComments(comments(ids)) };
            rig.ticket.hear(&Ask::Look, heard, 60 * SECOND).len()
        };
        assert_eq!((hear(0..2_000, true), hear(0..2_000, true), hear(0..2_001, true)), (2_000, 0, 1));
        assert_eq!(
            (hear(0..20, false), hear(1_900..2_000, true), hear(0..2_001, true)),
            (0, 0, 1_401),
            "only a list that forgets makes new"
        );
    }

    #[test]
    fn comments_that_cannot_be_read_for_good_hold_up_no_step() {
        let mut rig = Rig::open(ALL);
        rig.takes(2, 7, Step::Changed);
        rig.asks(&Ask::Comment, unknown());
        let too_long = || Heard::Unknown("the answer: length limit exceeded".into());
        rig.asks(&Ask::Look, too_long());
        // That nothing can be read for a while says nothing of the comments.
        for _ in 0..100 {
            rig.asks(&Ask::Read, unknown());
        }
        for _ in 0..GONE_AFTER {
            rig.asks(&Ask::Read, stands(State::Open));
            rig.asks(&Ask::Look, too_long());
        }
        assert_ne!(rig.next(), Next::Ask(Ask::Comment), "the first may still take effect");
        rig.now_ns += 60 * SECOND;
        rig.asks(&Ask::Comment, Heard::Done);
        rig.settles();
    }

    #[test]
    fn some_comments_say_nothing_of_one_that_is_not_among_them() {
        let mut rig = Rig::open(ALL);
        rig.takes(2, 7, Step::Changed);
        rig.asks(&Ask::Comment, unknown());
        rig.asks(&Ask::Look, Heard::SomeComments(comments(0..20)));
        let ours = Comment { id: "99".into(), author: None, text: format!("x\n{}", mark(&rig.ticket.key, 2)) };
        rig.asks(&Ask::Look, Heard::SomeComments(vec![ours]));
        rig.settles();
    }
}
