//! Lives of alarms that are to be told, and the tickets that there are to be of them: of an alarm alone, and of those that begin together.

use std::collections::BTreeMap;

use super::system::{BEGIN_NS, Chance};
use crate::{
    alarm::notice::{Notice, Step},
    notify::text::sample,
    ticket::life::key,
};

const SECOND: i64 = 1_000_000_000;
/// How soon an alarm is raised again to be told in the ticket that there is.
const REOPEN_WITHIN: i64 = 600 * SECOND;
/// Which alarms have a ticket for their situation.
pub(super) const TOGETHER: &str = "{kind=\"together\"}";
/// Seconds after the last alarm of a situation in which another one still begins with it, and less than that.
const WITH_IT: u64 = 290;

/// One ticket that there is to be: the lives that it tells of, and the steps that are in it.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) key: String,
    pub(super) steps: Vec<u64>,
    pub(super) lives: Vec<u64>,
    pub(super) of_situation: bool,
}

/// Stories that are being told.
struct Stories<'s> {
    instance: &'s str,
    chance: &'s Chance,
    /// Steps, and the ticket that each is in.
    told: Vec<(Notice, usize)>,
    expected: Vec<Expected>,
    number: u64,
}

/// The steps of all lives in their order, and the tickets that there are to be.
pub(super) fn stories(lives: u64, instance: &str, chance: &Chance) -> (Vec<Notice>, Vec<Expected>) {
    let mut stories = Stories { instance, chance, told: Vec::new(), expected: Vec::new(), number: 0 };
    let mut group = 0;
    while stories.number < lives {
        group += 1;
        let at_ns = BEGIN_NS + i64::try_from(chance.below(lives * 2)).unwrap() * SECOND;
        if chance.below(8) == 0 {
            stories.together(group, at_ns);
        } else {
            stories.alone(group, at_ns, lives);
        }
    }
    let Stories { mut told, mut expected, .. } = stories;
    told.sort_by_key(|(notice, _)| (notice.time_ns, notice.seq));
    let mut notices = Vec::new();
    for ((notice, at), seq) in told.into_iter().zip(1..) {
        let ticket = &mut expected[at];
        ticket.steps.push(seq);
        if !ticket.lives.contains(&notice.alarm) {
            ticket.lives.push(notice.alarm);
        }
        notices.push(Notice { seq, ..notice });
    }
    (notices, expected)
}

impl Stories<'_> {
    /// Most alarms have one life, some more: soon after the one before, or long after it.
    fn alone(&mut self, group: u64, mut at_ns: i64, lives: u64) {
        let alarm_key = format!("job/rule/{group}");
        let mut ended_ns = None::<i64>;
        loop {
            if ended_ns.is_none_or(|ended| at_ns - ended > REOPEN_WITHIN) {
                self.expect(&alarm_key, self.number + 1, false);
            }
            let ended = self.life(&alarm_key, at_ns, None);
            ended_ns = Some(ended);
            if self.number >= lives || self.chance.below(4) > 0 {
                break;
            }
            let pause_s = if self.chance.below(2) == 0 { 1 + self.chance.below(550) } else { 700 + self.chance.below(2_000) };
            at_ns = ended + seconds(pause_s);
        }
    }

    /// Alarms that begin one after the other; some come again soon, as the first of another situation, and others with them. Once all is
    /// over, and long after, the first of them may come again: that is another ticket.
    fn together(&mut self, group: u64, mut at_ns: i64) {
        for _ in 0..=self.chance.below(2) {
            let first = self.number + 1;
            self.expect(&format!("situation:{first}"), first, true);
            let (mut ended_ns, mut situation, mut again) = (0, None, Vec::new());
            // When, and whether another situation begins; numbers rise in the order of their beginnings.
            let mut begins: BTreeMap<(i64, u64), bool> = BTreeMap::new();
            let members = 2 + self.chance.below(4);
            let mut begin_ns = at_ns;
            for member in 0..members {
                begins.insert((begin_ns, member), member == 0);
                begin_ns += seconds(self.chance.below(WITH_IT));
            }
            while let Some(((begin_ns, member), begins_one)) = begins.pop_first() {
                let number = self.number + 1;
                let ended = self.life(&format!("job/together/{group}/{member}"), begin_ns, situation.filter(|_| !begins_one));
                ended_ns = ended_ns.max(ended);
                if begins_one {
                    situation = Some(number);
                }
                if !again.contains(&member) && self.chance.below(3) == 0 {
                    again.push(member);
                    // It may not be told again before it ended, nor before those that began with the others.
                    let last = begins.last_key_value().map_or(ended, |((last, _), _)| *last);
                    let later = ended.max(last) + seconds(1 + self.chance.below(200));
                    begins.insert((later, member), true);
                    if self.chance.below(2) == 0 {
                        begins.insert((later + seconds(self.chance.below(WITH_IT)), members + again.len() as u64), false);
                    }
                }
            }
            at_ns = ended_ns + seconds(700 + self.chance.below(2_000));
        }
    }

    fn expect(&mut self, kept_under: &str, first: u64, of_situation: bool) {
        let key = key(self.instance, kept_under, first);
        self.expected.push(Expected { key, steps: Vec::new(), lives: Vec::new(), of_situation });
    }

    /// One life of an alarm, told in the ticket that is expected last; gives when it ends.
    fn life(&mut self, alarm_key: &str, raised_ns: i64, situation: Option<u64>) -> i64 {
        self.number += 1;
        let chance = self.chance;
        let mut steps = vec![Step::Raised];
        steps
            .extend((0..chance.below(3)).map(|_| [Step::Changed, Step::Owned, Step::Annotated][usize::try_from(chance.below(3)).unwrap()]));
        steps.push(if chance.below(10) == 0 { Step::Withdrawn } else { Step::Cleared });
        let ticket = self.expected.len() - 1;
        let labels = if self.expected[ticket].of_situation { vec![("kind".into(), "together".into())] } else { Vec::new() };
        let (mut time_ns, mut ended_ns) = (raised_ns, raised_ns);
        for step in steps {
            let text = format!("up of <b>{alarm_key}</b>\r\nSubject: no \"{{{{ 7 }}}}\"");
            let (seq, alarm, key, labels) = (self.told.len() as u64, self.number, alarm_key.to_owned(), labels.clone());
            let notice = Notice { seq, alarm, key, time_ns, raised_ns, text, labels, situation, ..sample(step) };
            self.told.push((notice, ticket));
            ended_ns = time_ns;
            time_ns += seconds(1 + chance.below(400));
        }
        ended_ns
    }
}

fn seconds(count: u64) -> i64 {
    i64::try_from(count).unwrap() * SECOND
}
