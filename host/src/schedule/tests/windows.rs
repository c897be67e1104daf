//! Windows leave out what lies outside them, and nothing else: asked the slow way, minute by minute.

use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeZone, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Holidays, Timetable, UnixTime, Windows};
use super::brute_force::{changes, two_years};
use super::{ZONES, at, cron, zone};

/// Active windows and blackouts, with what they say of a local weekday (from Sunday), day of month, and minute of the day.
type Case = (&'static [&'static str], &'static [&'static str], fn(u32, u32, u32) -> bool);

/// None of them begins or ends between midnight and four in the morning, where a clock may be turned within it.
const CASES: [Case; 6] = [
    (&["MON-FRI 08:00-18:00"], &[], |weekday, _, minute| (1..6).contains(&weekday) && (480..1080).contains(&minute)),
    (&[], &["SAT,SUN"], |weekday, _, _| (1..6).contains(&weekday)),
    (&["daily"], &["05:30-06:15,12-13"], |_, _, minute| !(330..375).contains(&minute) && !(720..780).contains(&minute)),
    (&["22:00-06:00"], &[], |_, _, minute| !(360..1320).contains(&minute)),
    (&["FRI-MON 8-9", "WED 20:15-24:00"], &[], |weekday, _, minute| {
        ([5, 6, 0, 1].contains(&weekday) && (480..540).contains(&minute)) || (weekday == 3 && minute >= 1215)
    }),
    (&["MON-SUN except holidays"], &[], |_, day, _| day != 25),
];

fn windows(case: &Case) -> Option<Windows> {
    let every_25th: String = (1..=12).map(|month| format!("{month:02}-25\n")).collect();
    Windows::parse(case.0.iter().copied(), case.1.iter().copied(), Arc::new(Holidays::parse(&every_25th).unwrap())).unwrap()
}

fn check(case: &Case, timetable: Timetable, zone_name: &str, from: i64, until: i64) {
    let tz: Tz = zone_name.parse().unwrap();
    let open = |time: &i64| {
        let local = tz.from_utc_datetime(&DateTime::from_timestamp(*time, 0).unwrap().naive_utc());
        case.2(local.weekday().num_days_from_sunday(), local.day(), local.hour() * 60 + local.minute())
    };
    let dues = timetable.upcoming(UnixTime::from_secs(from - 1), usize::MAX).map(UnixTime::as_secs).take_while(|due| *due < until);
    let expected: Vec<i64> = dues.filter(open).collect();
    let narrowed = timetable.clone().within(windows(case), UnixTime::from_secs(from)).unwrap();
    let said = format!("{:?} {:?} {zone_name} {from}..{until}", case.0, case.1);
    let walked = narrowed.upcoming(UnixTime::from_secs(from - 1), usize::MAX).map(UnixTime::as_secs);
    assert_eq!(walked.take_while(|due| *due < until).collect::<Vec<_>>(), expected, "{said}");
    let folded = narrowed.runs_between(from, until);
    assert_eq!((folded.count, folded.last()), (expected.len() as u64, expected.last().copied()), "{said}");
}

#[test]
fn around_every_change_a_job_runs_when_its_windows_are_open() {
    for name in ZONES {
        for change in changes(name.parse().unwrap(), two_years()) {
            for case in &CASES {
                check(case, cron("*/30 * * * *", name), name, change - 100_000, change + 100_000);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_interval_is_run_when_its_windows_are_open(
        case in select(&CASES[..]),
        name in select(&ZONES[..]),
        every in select(&["7m", "1h", "90m", "25h"][..]),
        offset in 0_i64..31_536_000,
        length in 1_i64..1_728_000,
    ) {
        let from = at("2026-01-01T00:00:00Z").as_secs() + offset;
        check(&case, Timetable::every(every, "pop-paris", zone(name)).unwrap(), name, from, from + length);
    }
}

#[test]
fn windows_do_not_change_the_step() {
    let whole = cron("*/5 * * * *", "Europe/Paris");
    let narrow = whole.clone().within(windows(&CASES[0]), at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(narrow.rhythm(at("2026-01-01T00:00:00Z")), whole.rhythm(at("2026-01-01T00:00:00Z")));
}

#[test]
fn a_job_whose_windows_are_over_stays_and_says_so() {
    let now = at("2026-11-30T00:00:00Z");
    let past = Windows::parse(["2026-11-01..2026-11-29"], [], Arc::default()).unwrap();
    let timetable = cron("0 9 * * *", "UTC").within(past, now).unwrap();
    assert_eq!((timetable.is_over(now), timetable.next_after(now)), (true, None));
    assert_eq!(timetable.next_regardless(now), Some(at("2026-11-30T09:00:00Z")));
}

#[test]
fn a_window_that_clocks_leap_over_never_comes_and_says_why() {
    let why = |text: &str, name: &str| Windows::comes_in(text, zone(name)).map_err(|error| error.to_string());
    for text in ["2027-03-28 02:10-02:50", "2027-03-28 02:00-03:00", "2027-03-28 04:00-05:00,02:15-02:45"] {
        let expected = format!("{text:?} never comes: clocks in Europe/Berlin go from 2027-03-28 02:00 to 03:00");
        assert_eq!(why(text, "Europe/Berlin"), Err(expected));
    }
    let whole_day = "\"2011-12-30\" never comes: clocks in Pacific/Apia go from 2011-12-30 00:00 to 2011-12-31 00:00";
    assert_eq!(why("2011-12-30", "Pacific/Apia"), Err(whole_day.into()));
    for (text, name) in [
        ("2027-03-28 02:10-02:50", "UTC"),
        ("2027-03-27..2027-03-28 02:10-02:50", "Europe/Berlin"),
        ("2027-03-28 02:10-03:01", "Europe/Berlin"),
        ("2027-03-28 01:59-02:50", "Europe/Berlin"),
        ("2027-10-31 02:10-02:50", "Europe/Berlin"),
        ("SUN 02:10-02:50", "Europe/Berlin"),
        ("2011-12-29..2011-12-30", "Pacific/Apia"),
    ] {
        assert_eq!(why(text, name), Ok(()), "{text} {name}");
    }
}
