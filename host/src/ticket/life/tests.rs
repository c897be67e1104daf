//! Tickets whose systems answer this and that.

use super::{hearing::GONE_AFTER, *};
use crate::{
    alarm::notice::Step,
    notify::text::{sample, title},
};

pub(super) const SECOND: i64 = 1_000_000_000;
/// How long what was sent may take effect.
pub(super) const WINDOW: i64 = 20 * SECOND;
pub(super) const ALL: Can = Can {
    search: true,
    doubles: true,
    read: true,
    follows: true,
    comments: true,
    comment: true,
    resolve: true,
    reopen: true,
    take: true,
    versioned: false,
};

pub(super) fn step(seq: u64, alarm: u64, step: Step, second: i64) -> Notice {
    let mut notice = sample(step);
    (notice.seq, notice.alarm, notice.time_ns) = (seq, alarm, second * SECOND);
    notice.raised_ns = notice.raised_ns.min(notice.time_ns);
    notice
}

/// A ticket and its clock.
pub(super) struct Rig {
    pub(super) ticket: Ticket,
    pub(super) can: Can,
    pub(super) now_ns: i64,
}

impl Rig {
    pub(super) fn new(can: Can) -> Self {
        let notice = step(1, 7, Step::Raised, 0);
        let mut ticket = Ticket::new("desk", "System", "instance", &notice);
        ticket.take(&notice);
        Self { ticket, can, now_ns: 0 }
    }

    /// One whose ticket is made and open, and has its first step.
    pub(super) fn open(can: Can) -> Self {
        let mut rig = Self::new(can);
        if can.search {
            rig.asks(&Ask::Search, Heard::Found(Vec::new()));
        }
        rig.asks(&Ask::Create, Heard::Made("5".into()));
        rig.settles();
        rig
    }

    pub(super) fn next(&self) -> Next {
        self.ticket.next(self.can, self.now_ns, WINDOW)
    }

    /// The next question is this one, and is answered so.
    pub(super) fn asks(&mut self, ask: &Ask, heard: Heard) -> Vec<Seen> {
        assert_eq!(self.next(), Next::Ask(ask.clone()));
        self.ticket.send(ask, self.now_ns, WINDOW);
        self.now_ns += SECOND / 10;
        self.ticket.hear(ask, heard, self.now_ns)
    }

    pub(super) fn takes(&mut self, seq: u64, alarm: u64, what: Step) {
        // What is written here is written beside what is over.
        let active = what != Step::Annotated && !what.ends();
        let notice = Notice { active, ..step(seq, alarm, what, self.now_ns / SECOND) };
        assert!(self.ticket.tells_of(&notice, 3_600 * SECOND), "another ticket");
        self.ticket.take(&notice);
    }

    pub(super) fn settles(&mut self) {
        assert_eq!(self.next(), Next::Settled);
        self.ticket.settle();
    }

    pub(super) fn waits(&mut self) {
        let Next::Wait(until_ns) = self.next() else { panic!("{:?}", self.next()) };
        self.now_ns = until_ns;
    }
}

pub(super) fn stands(state: State) -> Heard {
    Heard::Stands { state: Some(state), word: state.name().into(), version: None, owner: None, closed_by: None, id: None }
}

pub(super) fn unknown() -> Heard {
    Heard::Unknown("no answer".into())
}

#[test]
fn a_life_is_made_commented_and_resolved() {
    let mut rig = Rig::open(ALL);
    rig.takes(2, 7, Step::Changed);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.settles();
    rig.takes(3, 7, Step::Cleared);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.asks(&Ask::Search, Heard::Found(vec!["5".into()]));
    rig.asks(&Ask::Read, stands(State::Open));
    rig.asks(&Ask::Resolve, Heard::Done);
    rig.settles();
    assert_eq!((rig.ticket.state, rig.ticket.error.clone()), (State::Resolved, None));
}

#[test]
fn a_create_that_may_have_been_done_is_looked_for_until_the_window_is_over() {
    let mut rig = Rig::new(ALL);
    rig.asks(&Ask::Search, Heard::Found(Vec::new()));
    rig.asks(&Ask::Create, unknown());
    let mut searches = 0;
    while rig.next() != Next::Ask(Ask::Create) {
        match rig.next() {
            Next::Wait(_) => rig.waits(),
            _ => {
                searches += 1;
                rig.asks(&Ask::Search, Heard::Found(Vec::new()));
            }
        }
    }
    assert!(rig.now_ns >= WINDOW && searches > 3, "{searches} searches until {}", rig.now_ns);
    // The second time it is found, though late.
    rig.asks(&Ask::Create, unknown());
    rig.asks(&Ask::Search, Heard::Found(Vec::new()));
    rig.waits();
    rig.asks(&Ask::Search, Heard::Found(vec!["10".into(), "9".into()]));
    assert_eq!((rig.ticket.id.as_deref(), rig.ticket.told), (Some("9"), 1));
    rig.asks(&Ask::Disown("10".into()), Heard::Done);
    rig.asks(&Ask::Retire("10".into()), Heard::Done);
    rig.asks(&Ask::Hear("10".into()), Heard::Comments(Vec::new()));
    rig.settles();
}

#[test]
fn a_refused_create_was_not_done_and_is_asked_again() {
    let mut rig = Rig::new(ALL);
    rig.asks(&Ask::Search, Heard::Found(Vec::new()));
    rig.asks(&Ask::Create, Heard::Refused("no such queue".into()));
    rig.asks(&Ask::Search, Heard::Found(Vec::new()));
    assert_eq!(rig.next(), Next::Ask(Ask::Create));
    assert_eq!(rig.ticket.unsure, None);
}

#[test]
fn a_comment_that_may_have_been_written_is_looked_for() {
    let mut rig = Rig::open(ALL);
    rig.takes(2, 7, Step::Changed);
    rig.asks(&Ask::Comment, unknown());
    rig.asks(&Ask::Look, Heard::Comments(Vec::new()));
    rig.waits();
    let text = format!("{}\n\n{}", title(&rig.ticket.notice), mark(&rig.ticket.key, 2));
    let seen = rig.asks(&Ask::Look, Heard::Comments(vec![Comment { id: "1".into(), author: None, text }]));
    assert_eq!(seen, []);
    rig.settles();
    // What the system refuses is not written again.
    rig.takes(3, 7, Step::Changed);
    rig.asks(&Ask::Comment, Heard::Refused("too long".into()));
    rig.settles();
    assert_eq!(rig.ticket.refused.as_deref(), Some("too long"));
}

#[test]
fn a_reopen_waits_until_no_resolve_can_take_effect_any_more() {
    let mut rig = Rig::open(ALL);
    rig.takes(2, 7, Step::Cleared);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.asks(&Ask::Search, Heard::Found(vec!["5".into()]));
    rig.asks(&Ask::Read, stands(State::Open));
    rig.asks(&Ask::Resolve, unknown());
    // It has not taken effect yet: it is asked again, and the first may still come.
    rig.asks(&Ask::Read, stands(State::Open));
    rig.asks(&Ask::Resolve, Heard::Done);
    rig.settles();
    rig.takes(3, 8, Step::Raised);
    rig.waits();
    assert!(rig.now_ns >= WINDOW);
    rig.asks(&Ask::Read, stands(State::Resolved));
    rig.asks(&Ask::Reopen, Heard::Done);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.settles();
    assert_eq!((rig.ticket.state, rig.ticket.alarm, rig.ticket.lives.clone()), (State::Open, 8, vec![7, 8]));
}

#[test]
fn what_people_do_is_seen_once_and_what_we_do_is_nobodys() {
    let mut rig = Rig::open(ALL);
    let read = |owner: Option<&str>, state: State, by: Option<&str>| Heard::Stands {
        state: Some(state),
        word: state.name().into(),
        version: None,
        owner: owner.map(Into::into),
        closed_by: by.map(Into::into),
        id: None,
    };
    let mut hears = |heard: Heard, now_s: i64| rig.ticket.hear(&Ask::Read, heard, now_s * SECOND);
    assert_eq!(hears(read(None, State::Open, None), 60), []);
    assert_eq!(hears(read(Some("alice"), State::Open, None), 120), [Seen::Took("alice".into())]);
    assert_eq!(hears(read(Some("alice"), State::Open, None), 180), []);
    let ended = Seen::Ended { by: Some("bob".into()), word: "resolved".into() };
    assert_eq!(hears(read(Some("alice"), State::Resolved, Some("bob")), 240), [ended]);
    assert_eq!(hears(read(Some("alice"), State::Open, None), 300), [Seen::Reopened]);
    let comment = |id: &str, text: &str| Comment { id: id.into(), author: Some("alice".into()), text: text.into() };
    let (told, ours) = (title(&rig.ticket.notice), mark(&rig.ticket.key, 1));
    let all = vec![comment("1", "on it"), comment("2", &format!("{told}\n\n{ours}")), comment("3", &format!("fine\n> {ours}"))];
    let seen = rig.ticket.hear(&Ask::Look, Heard::Comments(all.clone()), 360 * SECOND);
    assert_eq!(seen, [Seen::Wrote(all[0].clone()), Seen::Wrote(all[2].clone())]);
    assert_eq!(rig.ticket.hear(&Ask::Look, Heard::Comments(all), 420 * SECOND), []);
    // Our own resolve, whose answer was lost.
    rig.now_ns = 480 * SECOND;
    rig.takes(9, 7, Step::Cleared);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.asks(&Ask::Search, Heard::Found(vec!["5".into()]));
    rig.asks(&Ask::Read, stands(State::Open));
    rig.asks(&Ask::Resolve, unknown());
    assert_eq!(rig.asks(&Ask::Read, stands(State::Resolved)), []);
    rig.settles();
    let closed = rig.ticket.hear(&Ask::Read, stands(State::Closed), 600 * SECOND);
    assert_eq!(closed, [Seen::Ended { by: None, word: "closed".into() }]);
}

#[test]
fn a_ticket_that_cannot_be_reopened_or_is_gone_gives_way_to_another() {
    for can in [Can { reopen: false, ..ALL }, ALL] {
        let mut rig = Rig::open(can);
        rig.takes(2, 7, Step::Cleared);
        rig.asks(&Ask::Comment, Heard::Done);
        rig.asks(&Ask::Search, Heard::Found(vec!["5".into()]));
        rig.asks(&Ask::Read, stands(State::Open));
        rig.asks(&Ask::Resolve, Heard::Done);
        rig.settles();
        rig.takes(3, 8, Step::Raised);
        rig.asks(&Ask::Read, stands(State::Closed));
        if can.reopen {
            rig.asks(&Ask::Reopen, Heard::Refused("closed for good".into()));
        }
        assert_eq!(rig.next(), Next::Anew);
    }
    let mut rig = Rig::open(ALL);
    rig.takes(2, 7, Step::Changed);
    for _ in 0..=GONE_AFTER {
        rig.asks(&Ask::Comment, Heard::Gone("no such ticket".into()));
    }
    // Whether it is the ticket, or whoever stands in between.
    rig.asks(&Ask::Search, Heard::Found(Vec::new()));
    rig.asks(&Ask::Comment, Heard::Gone("no such ticket".into()));
    // The same life has no other: somebody took it away.
    rig.settles();
    assert!(!rig.ticket.tells_of(&step(9, 8, Step::Raised, 99), 3_600 * SECOND));
}

#[test]
fn a_system_that_knows_keys_by_itself_is_asked_at_once_and_again() {
    let can = Can { resolve: true, ..Can::default() };
    let mut rig = Rig::new(can);
    rig.asks(&Ask::Create, unknown());
    rig.asks(&Ask::Create, Heard::Made("watchpost-x".into()));
    rig.settles();
    rig.takes(2, 7, Step::Cleared);
    rig.asks(&Ask::Resolve, unknown());
    rig.asks(&Ask::Resolve, Heard::Done);
    rig.settles();
}

#[test]
fn what_came_from_the_ticket_is_not_written_into_it() {
    let mut rig = Rig::open(ALL);
    for (by, expected) in [("alice@desk", Next::Settled), ("alice@other-desk", Next::Ask(Ask::Comment)), ("desk", Next::Ask(Ask::Comment))]
    {
        let mut notice = step(rig.ticket.telling + 1, 7, Step::Acknowledged, 1);
        notice.by = Some(by.into());
        rig.ticket.take(&notice);
        assert_eq!(rig.next(), expected, "{by}");
    }
}

#[test]
fn a_later_life_has_the_ticket_only_if_it_begins_soon() {
    let mut rig = Rig::open(ALL);
    rig.ticket.ended_ns = Some(100 * SECOND);
    let raised = |second: i64| Notice { raised_ns: second * SECOND, ..step(9, 8, Step::Raised, second) };
    assert!(rig.ticket.tells_of(&raised(160), 60 * SECOND));
    assert!(!rig.ticket.tells_of(&raised(161), 60 * SECOND));
}

#[test]
fn a_key_is_the_same_for_the_same_ticket_alone() {
    let one = key("instance", "job/rule/series", 7);
    assert!(one.starts_with("watchpost-") && one.len() == 36, "{one}");
    assert!(one.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'));
    assert_eq!(one, key("instance", "job/rule/series", 7));
    for other in [key("other", "job/rule/series", 7), key("instance", "job/rule/other", 7), key("instance", "job/rule/series", 8)] {
        assert_ne!(one, other);
    }
}

/// A ticket of a situation, made for its first alarm.
fn of_situation() -> Rig {
    let notice = step(1, 7, Step::Raised, 0);
    let mut ticket = Ticket::new("desk", "System", "instance", &notice).of_situation("instance", "situation:7", 7);
    ticket.take(&notice);
    let mut rig = Rig { ticket, can: ALL, now_ns: 0 };
    rig.asks(&Ask::Search, Heard::Found(Vec::new()));
    rig.asks(&Ask::Create, Heard::Made("5".into()));
    rig.settles();
    rig
}

#[test]
fn a_ticket_of_a_situation_is_over_when_all_its_alarms_are() {
    let mut rig = of_situation();
    assert_eq!(rig.ticket.key, key("instance", "situation:7", 7));
    for (seq, alarm, what) in
        [(2, 8, Step::Raised), (3, 7, Step::Cleared), (4, 7, Step::Annotated), (5, 9, Step::Raised), (6, 8, Step::Withdrawn)]
    {
        rig.takes(seq, alarm, what);
        rig.asks(&Ask::Comment, Heard::Done);
        rig.settles();
        assert_eq!((rig.ticket.state, rig.ticket.over), (State::Open, false), "after step {seq}");
    }
    assert_eq!((rig.ticket.alarm, rig.ticket.lives.clone()), (9, vec![7, 8, 9]));
    rig.takes(7, 9, Step::Cleared);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.asks(&Ask::Search, Heard::Found(vec!["5".into()]));
    rig.asks(&Ask::Read, stands(State::Open));
    rig.asks(&Ask::Resolve, Heard::Done);
    rig.settles();
    // One that comes again opens it again; what is written beside one that is over does not.
    rig.takes(8, 8, Step::Annotated);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.settles();
    rig.takes(9, 10, Step::Raised);
    rig.asks(&Ask::Read, stands(State::Resolved));
    rig.asks(&Ask::Reopen, Heard::Done);
    rig.asks(&Ask::Comment, Heard::Done);
    rig.settles();
    assert_eq!((rig.ticket.state, rig.ticket.over), (State::Open, false));
}

#[test]
fn a_situation_of_very_many_alarms_is_told_of_in_one_ticket_to_its_end() {
    let mut rig = of_situation();
    let (others, mut seq) = (8..250, 1);
    let steps = others.clone().map(|alarm| (alarm, Step::Raised)).chain((7..250).map(|alarm| (alarm, Step::Cleared)));
    for (alarm, what) in steps {
        seq += 1;
        assert!(!rig.ticket.over, "before step {seq}");
        rig.takes(seq, alarm, what);
        rig.asks(&Ask::Comment, Heard::Done);
        if rig.next() == Next::Settled {
            rig.ticket.settle();
        }
    }
    assert!(rig.ticket.over && rig.ticket.resolves && rig.ticket.lives.len() <= 100);
}
