//! `[[roster]]`: who is on duty, turn by turn.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    At, Fault, Faults, Place, Rule,
    declared::Declared,
    near::did_you_mean,
    person::{check_holidays, check_moment, check_name, is_free},
    reader::{Field, Reader, Texts},
    text::Table,
    timing::{Almanac, check_zone},
};
use crate::{
    notify::{
        channel::Channel,
        person::Person,
        roster::{Exception, Roster},
    },
    schedule::{Days, Holidays, Moment, weekday_of},
};

/// Keys that one has.
const KEYS: [&str; 8] = ["exceptions", "from", "handover", "holidays", "members", "name", "timezone", "turn"];
/// Keys of an exception.
const KEYS_OF_EXCEPTION: [&str; 2] = ["days", "person"];
/// Days of a turn, at most.
const TURN_DAYS_MAX: i64 = 366;
/// Days of a week by their names, from Sunday.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// What is right for a hand-over.
const HANDOVER_HINT: &str = "when the next one takes over: handover = \"MON 09:00\", or \"09:00\"";

/// Checks all of them against the persons there are.
///
/// `declared`: the names of all persons, those with a fault among them.
pub(super) fn check(
    tables: &[At<Table>],
    persons: &[At<Arc<Person>>],
    channels: &[At<Channel>],
    declared: &Declared,
    almanac: &mut Almanac,
    faults: &mut Faults,
) -> Vec<At<Roster>> {
    let of_channels = channels.iter().map(|channel| (channel.name.clone(), ("a channel", channel.place.clone())));
    let of_persons = persons.iter().map(|person| (person.name.clone(), ("a person", person.place.clone())));
    let mut names: BTreeMap<_, _> = of_channels.chain(of_persons).collect();
    let persons: Vec<&str> = persons.iter().map(|person| person.name.as_str()).collect();
    let mut found = Vec::new();
    for table in tables {
        let walk = Walk { persons: &persons, declared, place: &table.place, almanac, faults };
        let Some(roster) = walk.roster(&table.value) else { continue };
        let name = At { value: roster.name.clone(), place: roster.place.clone() };
        if is_free(&mut names, &name, "a roster", Rule::RosterTwice, faults) {
            found.push(roster);
        }
    }
    found
}

struct Walk<'w> {
    persons: &'w [&'w str],
    declared: &'w Declared,
    place: &'w Place,
    almanac: &'w mut Almanac,
    faults: &'w mut Faults,
}

impl Walk<'_> {
    fn roster(mut self, table: &Table) -> Option<At<Roster>> {
        let mut reader = Reader::new("`[[roster]]`", &KEYS, table);
        let name = reader.text("name", self.faults);
        let members = reader.texts("members", self.faults);
        let (turn, handover, from) =
            (reader.text("turn", self.faults), reader.text("handover", self.faults), reader.text("from", self.faults));
        let (timezone, holidays) = (reader.text("timezone", self.faults), reader.text("holidays", self.faults));
        let exceptions = reader.tables("exceptions", self.faults);
        reader.finish(self.faults);

        let name = check_name(name, self.place, "a roster has a name of its own: name = \"mail-duty\"", self.faults);
        let members = members.required("members", self.place, "who takes turns: members = [\"ann\", \"bob\"]", self.faults);
        let members = members.and_then(|texts| self.members(&texts));
        let zone = check_zone(&timezone, self.faults);
        let holidays = check_holidays(&holidays, self.almanac, self.faults);
        let turn = self.turn(&turn);
        let handover = handover.required("handover", self.place, HANDOVER_HINT, self.faults);
        let handover = handover.and_then(|text| {
            let moment = check_moment("handover", &text, HANDOVER_HINT, self.faults)?;
            Some(At { value: moment, place: text.place })
        });
        let from = self.first_day(&from);
        let written = exceptions.len();
        let exceptions: Vec<(At<Days>, String)> = exceptions.iter().filter_map(|table| self.exception(table, holidays.as_ref())).collect();
        let whole = exceptions.len() == written && self.one_at_a_time(&exceptions);
        let (name, members, zone, turn, handover, from) = (name?, members?, zone?, turn?, handover?, from?);
        holidays?;
        let anchor = self.anchor(&turn, &handover, from.as_ref())?;
        let exceptions = exceptions.into_iter().map(|(days, person)| Exception { days: days.value, person });
        // Dates that are written out decide before a list of holidays does.
        let (dated, listed): (Vec<_>, Vec<_>) = exceptions.partition(|exception| matches!(exception.days, Days::Dated(..)));
        let roster = Roster {
            name: name.value,
            members,
            turn_days: turn.value,
            handover: handover.value,
            zone,
            anchor,
            exceptions: dated.into_iter().chain(listed).collect(),
        };
        whole.then_some(At { value: roster, place: name.place })
    }

    fn members(&mut self, texts: &At<Texts>) -> Option<Vec<String>> {
        let known: Vec<String> = texts.items.iter().filter_map(|text| self.person("members", text)).collect();
        if texts.items.is_empty() && texts.whole {
            let fault = Fault::new(Rule::KeyMissing, &texts.place, "`members`: nobody is named, and nobody would be on duty");
            self.faults.push(fault.hint("write members = [\"ann\", \"bob\"]"));
        }
        (texts.whole && !known.is_empty() && known.len() == texts.items.len()).then_some(known)
    }

    fn person(&mut self, key: &str, text: &At<String>) -> Option<String> {
        if self.persons.contains(&text.as_str()) {
            return Some(text.value.clone());
        }
        if self.declared.lacks(text) {
            let message = format!("`{key}`: no person is called \"{}\"", text.escape_debug());
            let hint = if self.declared.names().next().is_none() {
                "persons are `[[person]]` tables in watchpost.toml".to_owned()
            } else {
                did_you_mean(text, "persons", self.declared.names())
            };
            self.faults.push(Fault::new(Rule::RosterMemberUnknown, &text.place, message).hint(hint));
        }
        None
    }

    /// Days of a turn; a week unless it is said.
    fn turn(&mut self, field: &Field<String>) -> Option<At<i64>> {
        let text = match field {
            Field::Absent => return Some(At { value: 7, place: self.place.clone() }),
            Field::Broken => return None,
            Field::Given(text) => text,
        };
        let number = |suffix: char, days: i64| text.trim().strip_suffix(suffix)?.trim().parse::<i64>().ok()?.checked_mul(days);
        let days = number('d', 1).or_else(|| number('w', 7)).filter(|days| (1..=TURN_DAYS_MAX).contains(days));
        if days.is_none() {
            let message = format!("`turn`: \"{}\" is no number of days or weeks", text.escape_debug());
            self.faults
                .push(Fault::new(Rule::RosterTurnIllegal, &text.place, message).hint("write \"1d\", \"1w\" or \"2w\", a year at most"));
        }
        Some(At { value: days?, place: text.place.clone() })
    }

    fn first_day(&mut self, field: &Field<String>) -> Option<Option<At<i64>>> {
        let text = match field {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(text) => text,
        };
        match Days::parse(text) {
            Some(Days::Dated(day, last)) if day == last => Some(Some(At { value: day, place: text.place.clone() })),
            _ => {
                let message = format!("`from`: \"{}\" is no date", text.escape_debug());
                self.faults.push(Fault::new(Rule::RosterDaysIllegal, &text.place, message).hint("write from = \"2026-01-05\""));
                None
            }
        }
    }

    /// The day on which the first member's turn begins; turns end on days on which there is a hand-over, or nobody would be on duty then.
    fn anchor(&mut self, turn: &At<i64>, handover: &At<Moment>, from: Option<&At<i64>>) -> Option<i64> {
        let mut impossible = |place: &Place, message: String, hint: &str| {
            self.faults.push(Fault::new(Rule::RosterTurnIllegal, place, message).hint(hint));
            None
        };
        match (handover.weekday(), from) {
            (None, _) if !handover.is_daily() => impossible(
                &handover.place,
                "`handover`: on some days of a week; between them turns would not end when they are to".into(),
                "name one day, \"MON 09:00\", or none, \"09:00\"",
            ),
            (Some(_), _) if turn.value % 7 != 0 => impossible(
                &turn.place,
                format!("`turn`: {} days do not end on the day of the hand-over", turn.value),
                "write whole weeks, turn = \"1w\", or a hand-over without a day, \"09:00\"",
            ),
            (Some(weekday), Some(from)) if weekday_of(from.value) != weekday => {
                let name = |day: i64| usize::try_from(day).ok().and_then(|day| WEEKDAYS.get(day)).copied().unwrap_or_default();
                let message = format!("`from`: it is a {}, and the hand-over is on {}", name(weekday_of(from.value)), name(weekday));
                impossible(&from.place, message, "name a day on which there is a hand-over")
            }
            (_, Some(from)) => Some(from.value),
            (Some(weekday), None) => Some((weekday - weekday_of(0)).rem_euclid(7)),
            (None, None) if turn.value == 1 => Some(0),
            (None, None) => impossible(
                &handover.place,
                format!("`handover`: on which days turns of {} days begin is not said", turn.value),
                "write from = \"2026-01-05\", or a day, handover = \"MON 09:00\"",
            ),
        }
    }

    fn exception(&mut self, at: &At<&Table>, holidays: Option<&Option<Arc<Holidays>>>) -> Option<(At<Days>, String)> {
        let mut reader = Reader::new("`exceptions`", &KEYS_OF_EXCEPTION, at.value);
        let (days, person) = (reader.text("days", self.faults), reader.text("person", self.faults));
        reader.finish(self.faults);
        let hint = "write { days = \"2026-12-24..2026-12-26\", person = \"dora\" }";
        let days = days.required("days", &at.place, hint, self.faults).and_then(|text| self.days(&text, holidays));
        let person = person.required("person", &at.place, hint, self.faults).and_then(|text| self.person("person", &text));
        Some((days?, person?))
    }

    fn days(&mut self, text: &At<String>, holidays: Option<&Option<Arc<Holidays>>>) -> Option<At<Days>> {
        let days = if text.trim().eq_ignore_ascii_case("holidays") {
            let Some(listed) = holidays? else {
                let fault = Fault::new(Rule::HolidaysMissing, &text.place, "`days`: it speaks of holidays, and no file lists them");
                self.faults.push(fault.hint("name it: holidays = \"holidays.txt\""));
                return None;
            };
            Some(Days::Holidays(listed.clone()))
        } else {
            Days::parse(text)
        };
        if days.is_none() {
            let message = format!("`days`: \"{}\" is no date, nor two with .. between", text.escape_debug());
            let fault = Fault::new(Rule::RosterDaysIllegal, &text.place, message);
            self.faults.push(fault.hint("write \"2026-12-24\", \"2026-12-24..2026-12-26\" or \"holidays\""));
        }
        Some(At { value: days?, place: text.place.clone() })
    }

    /// Holds exceptions to one person a day.
    fn one_at_a_time(&mut self, exceptions: &[(At<Days>, String)]) -> bool {
        let mut whole = true;
        for (number, (later, person)) in exceptions.iter().enumerate() {
            let meets = |earlier: &Days| match (&later.value, earlier) {
                (Days::Dated(first, last), Days::Dated(from, until)) => first <= until && from <= last,
                (Days::Holidays(_), Days::Holidays(_)) => true,
                _ => false,
            };
            if let Some((earlier, other)) = exceptions.iter().take(number).find(|(earlier, _)| meets(&earlier.value)) {
                let message = format!("`days`: {person} and {other} would be on duty at once");
                let hint = format!("{other} stands in on some of these days by {}", earlier.place);
                self.faults.push(Fault::new(Rule::RosterTwoAtOnce, &later.place, message).hint(hint));
                whole = false;
            }
        }
        whole
    }
}
