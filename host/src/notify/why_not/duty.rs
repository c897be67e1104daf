//! What rosters and escalation have to do with it that somebody was told of an alarm, or was not.

use super::Asked;
use crate::{
    alarm::{
        life::Stage,
        notice::{Notice, Step},
        request::Whole,
    },
    notify::{outbox::State, person::Person, roster::Roster},
};

const SECOND: i64 = 1_000_000_000;

/// Who was on duty when the alarm was raised and when it was handed on, and who is.
pub(super) fn reasons(roster: &Roster, person: Option<&Person>, found: &Whole, asked: &Asked<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let raised_ns = found.alarm.life.raised_ns;
    let mut tell = |at_ns: i64, when: &str| {
        let second = at_ns.div_euclid(SECOND);
        let Some(shift) = roster.shifts(second, second + 1).into_iter().next() else { return };
        let instead = shift.instead_of.map(|of| format!(" instead of {of}")).unwrap_or_default();
        let not = person.filter(|person| person.name != shift.person).map(|person| format!(", not {}", person.name)).unwrap_or_default();
        let (from, until) = (asked.at(shift.from * SECOND), asked.at(shift.until * SECOND));
        reasons.push(format!("roster {}: {when} {} was on duty{instead}{not} ({from} to {until})", roster.name, shift.person));
    };
    tell(raised_ns, "when it was raised");
    let handed = found.messages.iter().filter(|message| message.channel == roster.name && message.state == State::HandedOn);
    for message in handed {
        tell(message.done_ns.unwrap_or(message.not_before_ns), "when it was handed on");
    }
    let now = asked.now_ns.div_euclid(SECOND);
    reasons.push(format!("roster {}: now {} is on duty", roster.name, roster.on_duty(now)));
    reasons
}

/// Whether an escalation to these channels is due, and what came before it: as the outbox has it.
pub(super) fn escalation(found: &Whole, channels: &[String], asked: &Asked<'_>) -> Option<String> {
    let life = &found.alarm.life;
    let own = || found.messages.iter().filter(|message| message.while_untaken && channels.contains(&message.channel));
    let waits = own().filter(|message| message.state == State::Waits).map(|message| message.not_before_ns).min();
    if let Some(due_ns) = waits {
        let due = asked.at(due_ns);
        return Some(if due_ns > asked.now_ns { format!("not due before {due}") } else { format!("due since {due}") });
    }
    let step = |is_meant: &dyn Fn(&Notice) -> bool| found.steps.iter().rfind(|notice| is_meant(notice)).map(|notice| said(notice, asked));
    let taken = match (life.stage, &life.owner, &life.acknowledged) {
        (Stage::Active, Some(_), _) => step(&|notice| notice.step == Step::Owned),
        (Stage::Active, None, Some(_)) => step(&|notice| notice.step == Step::Acknowledged),
        _ => None,
    };
    if let Some(taken) = taken {
        return Some(format!("not needed: {taken}"));
    }
    let last = own().next_back()?;
    let done_ns = last.done_ns.unwrap_or(last.not_before_ns);
    let before = if done_ns < last.not_before_ns { ", before it was due" } else { "" };
    Some(match (last.state, step(&|notice| notice.time_ns == done_ns && notice.step != Step::Raised), &last.why) {
        (State::NotNeeded, Some(ended), _) => format!("not needed: {ended}{before}"),
        (State::NotNeeded, None, Some(why)) => format!("not needed: {why}, {}", asked.at(done_ns)),
        (state, ..) => format!("{} {}", state.name(), asked.at(done_ns)),
    })
}

/// What somebody did, or happened, and when.
fn said(notice: &Notice, asked: &Asked<'_>) -> String {
    let by = notice.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    format!("{}{by} {}", notice.step.name(), asked.at(notice.time_ns))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use rusqlite::Connection;

    use super::*;
    use crate::{
        alarm::{
            host::{HostFound, HostKind, HostRules},
            life::{Life, Until},
            record::Alarm,
        },
        notify::{
            outbox::{self, TABLES, TABLES_OF_KEYS, TABLES_OF_LANES, TABLES_OF_PEOPLE},
            route::{Escalation, Route, Routes},
            text::sample,
        },
        schedule::Zone,
    };

    const AFTER_S: i64 = 600;

    /// An alarm after steps, whose boss is called after ten minutes; and when that is due, by the outbox.
    fn after(steps: &[(i64, Step)]) -> (Whole, Option<i64>) {
        let escalate = vec![Escalation { after: Duration::from_secs(AFTER_S.unsigned_abs()), channels: vec!["boss".into()] }];
        let route = Route {
            matches: None,
            severity: watchpost_plugin_api::Severity::Indeterminate,
            active: None,
            zone: Zone::default(),
            channels: vec!["ops".into()],
            delay: Duration::ZERO,
            group_by: Vec::new(),
            group_wait: Duration::ZERO,
            repeat: None,
            escalate,
            by_situation: false,
        };
        let wants = ["ops", "boss"].map(|name| (name.to_owned(), BTreeSet::from(Step::ALL)));
        let routes = Routes { routes: vec![route], wants: wants.into(), ..Routes::default() };
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("{TABLES}{TABLES_OF_PEOPLE}{TABLES_OF_LANES}{TABLES_OF_KEYS}")).unwrap();
        let mut life = Life::default();
        (life.number, life.stage) = (1, Stage::Active);
        let mut said = Vec::new();
        for ((second, step), seq) in steps.iter().zip(1..) {
            match step {
                Step::Owned => life.owner = Some("ann".into()),
                Step::Acknowledged => life.acknowledged = Some(Until { by: "ann".into(), until_ns: None }),
                Step::Unacknowledged => life.acknowledged = None,
                step if step.ends() => (life.stage, life.acknowledged) = (Stage::Cleared, None),
                _ => {}
            }
            let silenced = matches!(step, Step::Shelved).then(|| "shelved by ann".to_owned());
            let (owner, acknowledged) = (life.owner.clone(), life.acknowledged.is_some());
            let time_ns = second * SECOND;
            let notice = Notice { seq, alarm: 1, time_ns, silenced, owner, acknowledged, ..sample(*step) };
            let transaction = connection.transaction().unwrap();
            outbox::put(&transaction, &notice, &routes).unwrap();
            transaction.commit().unwrap();
            said.push(notice);
        }
        let messages = outbox::messages_of(&connection, 1).unwrap();
        let waits = messages.iter().find(|message| message.channel == "boss" && message.state == State::Waits);
        let due_ns = waits.map(|message| message.not_before_ns);
        let found = HostFound { kind: HostKind::DiskLow, about: String::new(), job: None, text: String::new() };
        let (subject, _) = HostRules::default().alarms(vec![found]).remove(0);
        (Whole { alarm: Alarm { life, subject, situation: None }, steps: said, messages, tickets: Vec::new() }, due_ns)
    }

    #[test]
    fn when_an_escalation_is_due_is_what_the_outbox_has() {
        use Step::{Acknowledged, Changed, Owned, Raised, Shelved, Unacknowledged, Unshelved};
        let asked = Asked { who: "boss", zone: Zone::default(), now_ns: 1_000 * SECOND };
        let told = |steps: &[(i64, Step)]| {
            let (found, due_ns) = after(steps);
            (escalation(&found, &["boss".to_owned()], &asked).unwrap(), due_ns)
        };
        for (steps, due_s) in [
            (&[(1, Raised), (900, Shelved), (950, Unshelved)][..], 950 + AFTER_S),
            (&[(900, Raised), (950, Changed)], 900 + AFTER_S),
            (&[(1, Raised), (2, Acknowledged), (990, Unacknowledged)], 990 + AFTER_S),
        ] {
            assert_eq!(told(steps), (format!("not due before {}", asked.at(due_s * SECOND)), Some(due_s * SECOND)));
        }
        let owned = format!("not needed: owned by somebody {}", asked.at(2 * SECOND));
        assert_eq!(told(&[(1, Raised), (2, Owned), (3, Shelved), (4, Unshelved)]), (owned.clone(), None));
        assert_eq!(told(&[(1, Raised), (2, Owned), (3, Acknowledged), (4, Unacknowledged)]), (owned, None));
        let cleared = format!("not needed: cleared {}, before it was due", asked.at(3 * SECOND));
        assert_eq!(told(&[(1, Raised), (3, Step::Cleared)]), (cleared, None));
    }
}
