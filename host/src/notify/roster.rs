//! Duty rosters: whose turn it is at an instant, so that at every instant it is somebody's, and nobody else's.
//!
//! A turn is some whole days long. A *day of duty* begins at the hand-over time of its date, as clocks in the roster's zone show it, and
//! ends when the next one begins: it has 23, 24 or 25 hours, and no instant lies between two of them, or in both.

use crate::schedule::{Days, Moment, Zone};

/// Seconds of a day of 24 hours.
const DAY_S: i64 = 86_400;
/// Shifts that are listed, at most.
pub const SHIFTS_MAX: usize = 10_000;

/// One `[[roster]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    /// What it is called.
    pub name: String,
    /// Names of persons, in the order of their turns; one at least.
    pub members: Vec<String>,
    /// Days of a turn, at least 1.
    pub turn_days: i64,
    /// When the next one takes over.
    pub handover: Moment,
    /// Whose clocks.
    pub zone: Zone,
    /// The day on which a turn of the first member begins, counted from 1970.
    pub anchor: i64,
    /// Who stands in on which days; the first that has a day decides.
    pub exceptions: Vec<Exception>,
}

/// Somebody stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    /// On which days of duty.
    pub days: Days,
    /// Who.
    pub person: String,
}

/// Somebody's time on duty, from one hand-over to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift<'r> {
    /// When it begins, seconds since 1970.
    pub from: i64,
    /// When the next one begins.
    pub until: i64,
    /// Who is on duty.
    pub person: &'r str,
    /// Whose turn it would be, if somebody stands in.
    pub instead_of: Option<&'r str>,
}

impl Roster {
    /// Who is on duty at an instant, seconds since 1970.
    pub fn on_duty(&self, instant: i64) -> &str {
        let day = self.day_of(instant);
        self.stands_in(day).unwrap_or_else(|| self.turn_of(day))
    }

    /// The shifts that have an instant in `from..until`, whole, in their order; a turn is one, unless somebody stands in for a part of it.
    pub fn shifts(&self, from: i64, until: i64) -> Vec<Shift<'_>> {
        let mut shifts: Vec<(i64, Shift<'_>)> = Vec::new();
        // A turn is no longer than its days: what is asked about began no earlier.
        for day in (self.day_of(from) - self.turn_days + 1).. {
            let (begins, ends, number) = (self.begins(day), self.begins(day + 1), self.number_of(day));
            let turn = self.turn_of(day);
            let person = self.stands_in(day).unwrap_or(turn);
            let is_full = shifts.len() >= SHIFTS_MAX;
            match shifts.last_mut() {
                Some((last, shift)) if (*last, shift.person) == (number, person) => shift.until = ends,
                _ if begins >= until || is_full => break,
                _ => shifts.push((number, Shift { from: begins, until: ends, person, instead_of: (person != turn).then_some(turn) })),
            }
        }
        shifts.into_iter().map(|(_, shift)| shift).filter(|shift| shift.until > from && shift.from < shift.until).collect()
    }

    /// When a day of duty begins.
    fn begins(&self, day: i64) -> i64 {
        self.zone.first_at(day * DAY_S + self.handover.second())
    }

    /// The day of duty that an instant lies in: the last one that has begun.
    fn day_of(&self, instant: i64) -> i64 {
        let today = self.zone.day_at(instant);
        // A zone may leave out a day, or have one twice.
        (today - 3..=today + 1).rev().find(|day| self.begins(*day) <= instant).unwrap_or(today)
    }

    /// The number of the turn that a day is of.
    fn number_of(&self, day: i64) -> i64 {
        (day - self.anchor).div_euclid(self.turn_days.max(1))
    }

    fn turn_of(&self, day: i64) -> &str {
        let members = i64::try_from(self.members.len()).unwrap_or(1).max(1);
        let at = usize::try_from(self.number_of(day).rem_euclid(members)).unwrap_or(0);
        self.members.get(at).map_or("", String::as_str)
    }

    fn stands_in(&self, day: i64) -> Option<&str> {
        self.exceptions.iter().find(|exception| exception.days.has(day)).map(|exception| exception.person.as_str())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn roster(zone: &str, handover: &str, turn_days: i64, anchor: &str) -> Roster {
        let Some(Days::Dated(anchor, _)) = Days::parse(anchor) else { panic!("{anchor}") };
        Roster {
            name: "mail".into(),
            members: ["ann", "bob", "cy"].map(Into::into).into(),
            turn_days,
            handover: Moment::parse(handover).unwrap(),
            zone: Zone::parse(zone).unwrap(),
            anchor,
            exceptions: Vec::new(),
        }
    }

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    /// Every instant of a span has one on duty, by the list of shifts and when asked alone; hand-overs are at their local time.
    fn check_minutes(roster: &Roster, from: i64, until: i64, but: &[&str]) -> Vec<String> {
        let shifts = roster.shifts(from, until);
        assert!(shifts.first().unwrap().from <= from && shifts.last().unwrap().until >= until);
        for pair in shifts.windows(2) {
            assert_eq!(pair[0].until, pair[1].from, "a gap, or two at once: {pair:?}");
            assert_ne!((pair[0].person, pair[0].instead_of), (pair[1].person, pair[1].instead_of));
        }
        // Whoever asks about an instant is told of the same shift.
        for shift in &shifts {
            for at in [shift.from, (shift.from + shift.until) / 2, shift.until - 1] {
                assert_eq!(roster.shifts(at, at + 1), std::slice::from_ref(shift));
            }
        }
        // Every minute of the days around a change of the clock, of others each half-hour; and both sides of each hand-over.
        let near_change = |at: i64| roster.zone.offset_at(at - 2 * DAY_S) != roster.zone.offset_at(at + 2 * DAY_S);
        let halves = (from..until).step_by(1_800);
        let minutes = halves.flat_map(|half| (half..half + 1_800).step_by(if near_change(half) { 60 } else { 1_800 }));
        let sides = shifts.iter().flat_map(|shift| [shift.from - 1, shift.from]).filter(|at| (from..until).contains(at));
        for instant in minutes.chain(sides) {
            let on = &shifts[shifts.partition_point(|shift| shift.until <= instant)];
            assert!((on.from..on.until).contains(&instant), "{instant}: {on:?}");
            assert_eq!(roster.on_duty(instant), on.person, "{instant}");
        }
        let local = |at: i64| roster.zone.format(crate::schedule::UnixTime::from_secs(at));
        let handovers: Vec<String> = shifts.iter().skip(1).map(|shift| format!("{} {}", local(shift.from), shift.person)).collect();
        let time = format!("T{:02}:{:02}:00", roster.handover.second() / 3600, roster.handover.second() / 60 % 60);
        for handover in &handovers {
            assert!(handover.contains(&time) || but.iter().any(|but| handover.starts_with(but)), "{handover} is not at {time}");
        }
        handovers
    }

    #[test]
    fn no_minute_of_a_year_is_without_one_on_duty_or_with_two_in_any_zone() {
        for (zone, handover, but) in [
            ("Europe/Berlin", "09:00", &[][..]),
            ("Europe/Berlin", "00:00", &[]),
            // Skipped: right after the gap.
            ("Europe/Berlin", "02:30", &["2026-03-29T03:00:00+02:00"]),
            ("America/New_York", "17:30", &[]),
            ("America/New_York", "02:00", &["2026-03-08T03:00:00-04:00"]),
            ("Australia/Lord_Howe", "09:00", &[]),
            // The clock jumps half an hour: 02:00 to 02:30.
            ("Australia/Lord_Howe", "02:15", &["2026-10-04T02:30:00+11:00"]),
            ("Australia/Lord_Howe", "01:45", &[]),
            ("America/Santiago", "00:00", &["2026-09-06T01:00:00-03:00"]),
            ("Asia/Kathmandu", "09:00", &[]),
            ("UTC", "23:59", &[]),
        ] {
            let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
            let handovers = check_minutes(&roster(zone, handover, 1, "2026-01-01"), from, until, but);
            assert!((364..=366).contains(&handovers.len()), "{zone} {handover}: {}", handovers.len());
            assert!(but.iter().all(|but| handovers.iter().any(|handover| handover.starts_with(but))), "{zone} {handover}: {but:?}");
        }
    }

    #[test]
    fn turns_of_a_week_change_at_the_local_time_over_both_changes_of_the_clock() {
        for (zone, handover, anchor, from, expected) in [
            (
                "Europe/Berlin",
                "MON 09:00",
                "2026-03-16",
                "2026-03-17T00:00:00Z",
                ["2026-03-23T09:00:00+01:00 CET bob", "2026-03-30T09:00:00+02:00 CEST cy", "2026-04-06T09:00:00+02:00 CEST ann"],
            ),
            (
                "Europe/Berlin",
                "SUN 02:30",
                "2026-10-11",
                "2026-10-12T00:00:00Z",
                // It comes twice on the 25th: at the first.
                ["2026-10-18T02:30:00+02:00 CEST bob", "2026-10-25T02:30:00+02:00 CEST cy", "2026-11-01T02:30:00+01:00 CET ann"],
            ),
            (
                "America/New_York",
                "SUN 01:30",
                "2026-10-18",
                "2026-10-19T00:00:00Z",
                ["2026-10-25T01:30:00-04:00 EDT bob", "2026-11-01T01:30:00-04:00 EDT cy", "2026-11-08T01:30:00-05:00 EST ann"],
            ),
            (
                "Australia/Lord_Howe",
                "SUN 01:45",
                "2026-03-22",
                "2026-03-23T00:00:00Z",
                ["2026-03-29T01:45:00+11:00 bob", "2026-04-05T01:45:00+11:00 cy", "2026-04-12T01:45:00+10:30 ann"],
            ),
        ] {
            let roster = roster(zone, handover, 7, anchor);
            let found = check_minutes(&roster, at(from), at(from) + 21 * DAY_S, &[]);
            assert_eq!(found, expected, "{zone} {handover}");
        }
    }

    #[test]
    fn who_stands_in_does_so_from_hand_over_to_hand_over_and_turns_go_on_as_they_were() {
        let mut roster = roster("Europe/Berlin", "MON 09:00", 7, "2026-12-21");
        let holidays = crate::schedule::Holidays::parse("12-25\n").unwrap();
        roster.exceptions = vec![
            Exception { days: Days::parse("2026-12-23..2026-12-24").unwrap(), person: "dora".into() },
            Exception { days: Days::Holidays(holidays.into()), person: "eve".into() },
        ];
        let (from, until) = (at("2026-12-22T12:00:00+01:00"), at("2026-12-29T12:00:00+01:00"));
        check_minutes(&roster, from, until, &[]);
        let said: Vec<String> = roster
            .shifts(from, until)
            .iter()
            .map(|shift| {
                let from = roster.zone.format(crate::schedule::UnixTime::from_secs(shift.from));
                format!("{} {}{}", &from[..16], shift.person, shift.instead_of.map(|of| format!(" for {of}")).unwrap_or_default())
            })
            .collect();
        assert_eq!(
            said,
            [
                "2026-12-21T09:00 ann",
                "2026-12-23T09:00 dora for ann",
                "2026-12-25T09:00 eve for ann",
                "2026-12-26T09:00 ann",
                "2026-12-28T09:00 bob",
            ]
        );
        // One who stands in for himself is on duty, and that is all.
        roster.exceptions = vec![Exception { days: Days::parse("2026-12-23").unwrap(), person: "ann".into() }];
        assert_eq!(roster.shifts(from, until).len(), 2);
    }

    #[test]
    fn turns_reach_back_before_their_first_day() {
        let roster = roster("UTC", "09:00", 2, "2026-06-01");
        let on = |text: &str| roster.on_duty(at(text));
        let alone = Roster { members: vec!["ann".into()], ..roster.clone() };
        assert_eq!(alone.shifts(at("2026-06-02T00:00:00Z"), at("2026-06-04T00:00:00Z")).len(), 2, "each turn is one");
        assert_eq!(on("2026-06-01T09:00:00Z"), "ann");
        assert_eq!(on("2026-06-01T08:59:59Z"), "cy");
        assert_eq!(on("2026-06-03T09:00:00Z"), "bob");
        assert_eq!(on("1960-01-01T09:00:00Z"), on("1960-01-02T09:00:00Z"));
    }
}
