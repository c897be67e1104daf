//! What rosters and escalation have to do with it that somebody was told of an alarm, or was not.

use std::time::Duration;

use crate::{
    alarm::{notice::Step, request::Whole},
    cli::alarms::at,
    notify::{outbox::State, person::Person, roster::Roster},
};

const SECOND: i64 = 1_000_000_000;

/// Who was on duty when the alarm was raised and when it was handed on, and who is.
pub(super) fn reasons(roster: &Roster, person: Option<&Person>, found: &Whole, now_ns: i64) -> Vec<String> {
    let mut reasons = Vec::new();
    let raised_ns = found.alarm.life.raised_ns;
    let mut tell = |at_ns: i64, when: &str| {
        let second = at_ns.div_euclid(SECOND);
        let Some(shift) = roster.shifts(second, second + 1).into_iter().next() else { return };
        let instead = shift.instead_of.map(|of| format!(" instead of {of}")).unwrap_or_default();
        let not = person.filter(|person| person.name != shift.person).map(|person| format!(", not {}", person.name)).unwrap_or_default();
        let (from, until) = (at(shift.from * SECOND), at(shift.until * SECOND));
        reasons.push(format!("roster {}: {when} {} was on duty{instead}{not} ({from} to {until})", roster.name, shift.person));
    };
    tell(raised_ns, "when it was raised");
    let handed = found.messages.iter().filter(|message| message.channel == roster.name && message.state == State::HandedOn);
    for message in handed {
        tell(message.done_ns.unwrap_or(message.not_before_ns), "when it was handed on");
    }
    let now = now_ns.div_euclid(SECOND);
    reasons.push(format!("roster {}: now {} is on duty", roster.name, roster.on_duty(now)));
    reasons
}

/// Whether an escalation is due, and what came before it.
pub(super) fn escalation(found: &Whole, after: Duration, now_ns: i64) -> Option<String> {
    let after_ns = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX);
    // An acknowledgement that has run out begins the time anew.
    let begins = |step: &&crate::alarm::notice::Notice| matches!(step.step, Step::Raised | Step::Unacknowledged);
    let began = found.steps.iter().rposition(|step| begins(&step))?;
    let due_ns = found.steps.get(began)?.time_ns.saturating_add(after_ns);
    let rest = found.steps.get(began..).unwrap_or_default();
    let taken = rest.iter().find(|step| matches!(step.step, Step::Owned | Step::Acknowledged) || step.step.ends());
    match taken {
        Some(step) if step.time_ns < due_ns => {
            let by = step.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            Some(format!("not needed: {}{by} {}, before it was due", step.step.name(), at(step.time_ns)))
        }
        _ if due_ns > now_ns => Some(format!("not due before {}", at(due_ns))),
        _ => Some(format!("due since {}", at(due_ns))),
    }
}
