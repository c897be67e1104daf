//! Tickets that a person merged: one that stands for several alarms of ours, each with what it knows of it.
//!
//! What one of them did to it is nobody's doing for the others, and it is over when all of them are. One that was merged into somebody
//! else's ticket is told on in that, which is its people's to resolve.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Ask, Comment, State, Ticket};

/// How every key begins.
const KEY_BEGIN: &str = "watchpost-";

/// How a ticket was turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turned {
    /// To what.
    pub to: State,
    /// When, or when it was seen, nanoseconds since 1970.
    pub at_ns: i64,
    /// Whether by us.
    pub by_us: bool,
}

/// Another ticket of ours, by which its comments are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    /// Its key.
    pub key: String,
    /// How its comments begin.
    pub begins: Vec<(u64, String)>,
}

impl Ticket {
    /// Goes where it was merged to.
    pub(super) fn follow(&mut self, id: Option<String>) {
        if id.is_some() && self.id.is_some() && id != self.id {
            (self.id, self.link) = (id, None);
        }
    }

    /// Notes what is about to be made of it.
    pub(super) fn note_turn(&mut self, ask: &Ask, at_ns: i64) {
        let to = match ask {
            Ask::Resolve => State::Resolved,
            Ask::Reopen => State::Open,
            _ => return,
        };
        self.turned = Some(Turned { to, at_ns, by_us: true });
    }

    /// Whether how it stands now is what another of ours, that is the same ticket, made of it.
    pub fn was_turned_by(&self, others: &[Self]) -> bool {
        let last = others.iter().filter_map(|other| other.turned).max_by_key(|turned| turned.at_ns);
        last.is_some_and(|last| last.by_us && last.to == self.state && self.turned.is_none_or(|own| own.at_ns < last.at_ns))
    }

    /// Keys of other tickets whose marks stand in comments.
    pub fn keys_beside(&self, comments: &[Comment]) -> BTreeSet<String> {
        let key = |line: &str| {
            let (key, _) = line.trim().split_once('/')?;
            (key.starts_with(KEY_BEGIN) && !key.contains(char::is_whitespace) && key != self.key).then(|| key.to_owned())
        };
        comments.iter().flat_map(|comment| comment.text.lines().filter_map(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Heard, Seen, mark,
            tests::{ALL, Rig, stands},
        },
        *,
    };

    #[test]
    fn what_we_wrote_of_another_alarm_is_nobodys_where_the_tickets_are_one() {
        let mut rig = Rig::open(ALL);
        let kin = Kin { key: format!("{KEY_BEGIN}other"), begins: vec![(4, "itisslow".into())] };
        let comment = |id: &str, text: String| Comment { id: id.into(), author: Some("watchpost".into()), text };
        let ours = comment("1", format!("[MINOR] it is slow\n\n{}", mark(&kin.key, 4)));
        let quoting = comment("2", format!("I look at it.\n\n[MINOR] it is slow\n\n{}", mark(&kin.key, 4)));
        let all = vec![ours, quoting.clone()];
        assert_eq!(rig.ticket.keys_beside(&all), BTreeSet::from([kin.key.clone()]));
        rig.ticket.kin = vec![kin];
        assert_eq!(rig.ticket.hear(&Ask::Look, Heard::Comments(all), rig.now_ns), [Seen::Wrote(quoting)]);
    }

    #[test]
    fn a_ticket_is_followed_to_where_it_was_merged() {
        let mut rig = Rig::open(ALL);
        rig.ticket.link = Some("there".into());
        let Heard::Stands { state, word, version, owner, closed_by, .. } = stands(State::Open) else { panic!() };
        rig.ticket.hear(&Ask::Read, Heard::Stands { state, word, version, owner, closed_by, id: Some("99".into()) }, rig.now_ns);
        assert_eq!((rig.ticket.id.as_deref(), rig.ticket.link.as_deref()), (Some("99"), None));
    }

    #[test]
    fn what_another_of_ours_did_last_is_nobodys_and_what_somebody_did_since_is_his() {
        let mut ticket = Rig::open(ALL).ticket;
        let mut other = ticket.clone();
        ticket.state = State::Resolved;
        assert!(!ticket.was_turned_by(&[other.clone()]));
        other.note_turn(&Ask::Resolve, 5);
        assert!(ticket.was_turned_by(&[other.clone()]));
        ticket.turned = Some(Turned { to: State::Open, at_ns: 7, by_us: false });
        assert!(!ticket.was_turned_by(&[other.clone()]), "somebody opened it since, and so somebody ended it");
        other.note_turn(&Ask::Reopen, 9);
        assert!(!ticket.was_turned_by(&[other]));
    }
}
