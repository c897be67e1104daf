//! One round of a channel: what is due, put together as the channel takes it, and told.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::late;
use crate::{
    alarm::notice::Notice,
    notify::{
        channel::{Channel, Parcel, Sender, Taken, Undelivered},
        outbox::{Due, Outbox, is_digest},
    },
};

/// Messages of one round, at most.
pub(super) const ROWS_MAX: usize = 256;
/// Messages told together, at most.
const TOGETHER_MAX: usize = 500;
/// More than so many that wait are told in one message, where a channel can do that: a flood of mails helps nobody.
const DIGEST_ABOVE: usize = 20;
/// Deliveries of one channel at the same time.
const AT_ONCE: usize = 8;

/// Messages that are told one after the other: a later one is not told before an earlier one.
type Chain = Vec<Vec<Due>>;

/// What a channel tells now.
pub(super) struct Round(Vec<Chain>);

impl Round {
    /// Takes what is due, and notes that it is about to be told.
    pub(super) fn take(outbox: &mut Outbox, channel: &Channel, now_ns: i64, most: usize) -> rusqlite::Result<Self> {
        let kind = &channel.kind;
        let most = if most > 1 && kind.digests() { TOGETHER_MAX } else { most };
        if channel.person.is_some() {
            outbox.bring_forward(&channel.name, now_ns)?;
        }
        let due = first_of_each(outbox.due(&channel.name, now_ns, most)?);
        let (grouped, single): (Vec<Due>, Vec<Due>) = due.into_iter().partition(|due| due.group.is_some());
        let mut chains = Vec::new();
        let mut groups: Vec<String> = grouped.into_iter().filter_map(|due| due.group).collect();
        groups.sort();
        groups.dedup();
        if groups.iter().any(|group| is_digest(group)) {
            let next = outbox.next_digest(&channel.name)?;
            groups.retain(|group| !is_digest(group) || Some(group) == next.as_ref());
        }
        for group in groups {
            let together = outbox.group(&channel.name, &group, TOGETHER_MAX)?;
            let together = outbox.begin(together)?;
            match kind.tells_groups() {
                true => chains.push(vec![together]),
                false => chains.extend(one_by_one(together)),
            }
        }
        let single = outbox.begin(single)?;
        if kind.digests() && single.len() > DIGEST_ABOVE {
            chains.push(vec![single]);
        } else if kind.together() > 1 {
            let mut chain = Vec::new();
            let mut rest = single.into_iter().peekable();
            while rest.peek().is_some() {
                chain.push(rest.by_ref().take(kind.together()).collect());
            }
            chains.push(chain);
        } else {
            chains.extend(one_by_one(single));
        }
        chains.iter_mut().for_each(|chain| chain.retain(|parcel| !parcel.is_empty()));
        chains.retain(|chain| !chain.is_empty());
        Ok(Self(chains))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Each for itself, those of one alarm in their order over all its lives.
fn one_by_one(messages: Vec<Due>) -> impl Iterator<Item = Chain> {
    let mut of_alarms: BTreeMap<String, Chain> = BTreeMap::new();
    for due in messages {
        of_alarms.entry(due.notice.key.clone()).or_default().push(vec![due]);
    }
    of_alarms.into_values()
}

/// Keeps of each alarm, over all its lives, what comes first: alone, or with the same group. What follows waits for a later round, for what is
/// told in a group is told beside what is not.
fn first_of_each(mut due: Vec<Due>) -> Vec<Due> {
    let mut first: HashMap<String, (Option<String>, bool)> = HashMap::new();
    due.retain(|due| {
        let (group, goes_on) = first.entry(due.notice.key.clone()).or_insert_with(|| (due.group.clone(), true));
        *goes_on &= *group == due.group;
        *goes_on
    });
    due
}

/// What became of a message that was tried.
pub(super) type Outcome = (Due, Result<Taken, Undelivered>);

/// Tells it; says what became of each message as soon as that is known, and ends with the last of them.
pub(super) async fn deliver(round: Round, channel: Arc<Channel>, sender: Sender, answered: mpsc::UnboundedSender<Outcome>) {
    let mut running = JoinSet::new();
    for chain in round.0 {
        if running.len() >= AT_ONCE {
            let _ended = running.join_next().await;
        }
        running.spawn(along(chain, channel.clone(), sender.clone(), answered.clone()));
    }
    while running.join_next().await.is_some() {}
}

async fn along(chain: Chain, channel: Arc<Channel>, sender: Sender, answered: mpsc::UnboundedSender<Outcome>) {
    for parcel in chain {
        let outcome = {
            let notices: Vec<&Notice> = parcel.iter().map(|due| &due.notice).collect();
            timeout(channel.timeout, channel.kind.deliver(&sender, Parcel::Notices(&notices))).await
        };
        let outcome = match outcome.unwrap_or_else(|_| Err(late(channel.timeout))) {
            // What a flood put together comes in another mail the next time: those who have it would get all of it again.
            Ok(Taken::Begun { why }) if parcel.len() > 1 && parcel.iter().any(|due| due.group.is_none()) => Ok(Taken::BySome { but: why }),
            outcome => outcome,
        };
        let failed = matches!(outcome, Err(Undelivered::Later { .. }) | Ok(Taken::Begun { .. }));
        for due in parcel {
            // Who listens no more is at its end, and takes nothing for told.
            let _ended = answered.send((due, outcome.clone()));
        }
        if failed {
            break;
        }
    }
}
