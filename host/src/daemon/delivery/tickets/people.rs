//! What people do in a ticket, done to its alarm.

use std::{collections::BTreeSet, sync::Arc};

use tokio::task::spawn_blocking;
use tracing::warn;

use super::Shared;
use crate::{
    alarm::{
        ledger::ActError,
        life::{Act, Stage},
        record::{Alarm, Origin},
        situation::Situation,
    },
    ticket::life::{Seen, Ticket},
};

/// Characters of a comment, at most.
const COMMENT_CHARS_MAX: usize = 2_000;
/// Ends what is longer.
const CUT: &str = " … (cut here; the ticket has the rest)";

/// Who can do something to alarms.
pub(in crate::daemon) trait Hands: Send + Sync {
    /// An alarm as it stands.
    fn alarm(&self, number: u64) -> Option<Alarm>;
    /// The situation of that number as it stands, if two alarms belong to it.
    fn situation(&self, number: u64) -> Option<Situation>;
    /// Does what somebody wants done.
    fn act(&self, number: u64, who: &str, act: Act) -> Result<(), ActError>;
}

/// Can do nothing.
pub(in crate::daemon) struct NoHands;

impl Hands for NoHands {
    fn alarm(&self, _: u64) -> Option<Alarm> {
        None
    }

    fn situation(&self, _: u64) -> Option<Situation> {
        None
    }

    fn act(&self, _: u64, _: &str, _: Act) -> Result<(), ActError> {
        Ok(())
    }
}

/// Does to an alarm what people did in its ticket; false where that could not be written down.
pub(super) async fn take(shared: &Arc<Shared>, ticket: &Ticket, seen: Vec<Seen>) -> bool {
    let (shared, ticket) = (shared.clone(), ticket.clone());
    let done = spawn_blocking(move || {
        seen.iter().all(|seen| meant(&ticket, seen).into_iter().all(|number| do_it(&shared, number, &ticket, seen)))
    });
    done.await.unwrap_or(false)
}

/// The lives that are meant by what somebody did: in the ticket of a situation all that go on, and who ends it ends all.
fn meant(ticket: &Ticket, seen: &Seen) -> BTreeSet<u64> {
    match seen {
        Seen::Ended { .. } if ticket.is_of_situation() => ticket.lives.iter().chain(&ticket.going).copied().collect(),
        _ if ticket.going.is_empty() => BTreeSet::from([ticket.alarm]),
        _ => ticket.going.clone(),
    }
}

fn do_it(shared: &Shared, number: u64, ticket: &Ticket, seen: &Seen) -> bool {
    let id = ticket.id.as_deref().unwrap_or_default();
    // What is written into a ticket when its alarm has begun anew is said of the alarm.
    let Some(alarm) = shared.hands.alarm(number).or_else(|| shared.hands.alarm(ticket.heir?)) else { return true };
    let number = alarm.life.number;
    let channel = &shared.channel.name;
    let who = |name: Option<&str>| format!("{}@{channel}", name.unwrap_or("somebody"));
    let life = &alarm.life;
    let (by, acts) = match seen {
        Seen::Took(name) => {
            let by = who(Some(name));
            let acts = if life.owner.as_deref() == Some(&by) { Vec::new() } else { vec![Act::Own] };
            (by, acts)
        }
        Seen::Wrote(comment) => {
            let (by, text) = (who(comment.author.as_deref()), in_one_line(&comment.text));
            // It may be noted already where a kill came in between; the same words again are another comment.
            let is_known = ticket.noting.contains(&comment.id) && life.notes.iter().any(|note| note.by == by && note.text == text);
            (by, if is_known { Vec::new() } else { vec![Act::Annotate(text)] })
        }
        Seen::Ended { by, word } => {
            let by = who(by.as_deref());
            let is_seen = life.acknowledged.is_some();
            let acts = match life.stage {
                Stage::Closed => Vec::new(),
                Stage::Cleared => vec![Act::Close { endless: false }],
                // Nothing else ever ends it.
                Stage::Active if alarm.subject.origin == Origin::Message => vec![Act::Close { endless: true }],
                Stage::Active if is_seen => Vec::new(),
                Stage::Active => {
                    vec![Act::Annotate(format!("ticket {id} is {word}, and the reason is still there")), Act::Acknowledge(None)]
                }
            };
            (by, acts)
        }
        Seen::Reopened => {
            let ours = life.acknowledged.as_ref().is_some_and(|seen| seen.by.ends_with(&format!("@{channel}")));
            (who(None), if ours { vec![Act::Unacknowledge] } else { Vec::new() })
        }
    };
    acts.into_iter().all(|act| match shared.hands.act(number, &by, act) {
        Ok(()) => true,
        // Somebody else was first, or it is over.
        Err(ActError::Refused(_) | ActError::Unknown(_)) => true,
        Err(error @ ActError::Store(_)) => {
            warn!(channel, "what {} did in ticket {id} cannot be stored: {}", crate::plain(&by), crate::chain(&error));
            false
        }
    })
}

/// What somebody wrote, as a note has it.
fn in_one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = crate::plain(&words.join(" "));
    if line.chars().count() <= COMMENT_CHARS_MAX {
        return line;
    }
    let kept = COMMENT_CHARS_MAX.saturating_sub(CUT.chars().count());
    line.chars().take(kept).chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_that_is_cut_says_so_and_where_the_rest_is() {
        let whole = "ä".repeat(COMMENT_CHARS_MAX);
        assert_eq!(in_one_line(&whole), whole);
        let cut = in_one_line(&format!("{whole}b"));
        assert_eq!((cut.chars().count(), cut.ends_with("ää … (cut here; the ticket has the rest)")), (COMMENT_CHARS_MAX, true), "{cut}");
    }
}
