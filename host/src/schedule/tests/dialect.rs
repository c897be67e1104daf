//! What the `cron` crate is given means there what was written means in Unix.

use proptest::prelude::*;

use super::super::cron::Cron;
use super::super::dialect::translate;
use super::super::field::FieldKind;

#[test]
fn the_crate_is_given_each_item_in_its_own_words() {
    for (written, given) in [
        ("0 */5 8-18 * * MON-FRI", "0 */5 8-18 * * 2-6"),
        ("0 0 0 1,15 jan-mar,DEC 1-FRI", "0 0 0 1,15 1-3,12 2-6"),
        ("0 0 22-2 * * FRI-MON", "0 0 22-23,0-2 * * 6-7,1-2"),
        ("0 50-10/7 20-4/5 * 11-2/2 *", "0 50-59/7,4-10/7 20-23/5,1-4/5 * 11-12/2,1-2/2 *"),
        ("0 */60 */24 */31 */12 */7", "0 0 0 1 1 1"),
        ("* * * * * 0,7,SUN", "* * * * * 1,1,1"),
        ("* * * * * 5-7", "* * * * * 6-7,1-1"),
        ("* * * * * 0-7/2", "* * * * * */2"),
    ] {
        let words: Vec<_> = written.split(' ').collect();
        assert_eq!(translate(words.try_into().unwrap()).unwrap(), given, "{written}");
    }
}

/// Walks a range value by value, round the end where it wraps; Sunday as 7 is Sunday.
fn walked(kind: FieldKind, first: u32, last: u32, step: u32) -> u64 {
    let (low, size) = dial(kind);
    let places: Vec<_> = if first <= last { (first..=last).collect() } else { (first..low + size).chain(low..=last).collect() };
    places.into_iter().step_by(step as usize).fold(0, |set, value| set | 1 << (low + (value - low) % size))
}

/// The lowest value, and how many differ.
fn dial(kind: FieldKind) -> (u32, u32) {
    match kind {
        FieldKind::Second | FieldKind::Minute => (0, 60),
        FieldKind::Hour => (0, 24),
        FieldKind::DayOfMonth => (1, 31),
        FieldKind::Month => (1, 12),
        FieldKind::DayOfWeek => (0, 7),
    }
}

fn check(kind: FieldKind, first: u32, last: u32, step: u32) {
    let mut fields = ["*"; 6].map(str::to_owned);
    let place = FieldKind::ALL.iter().position(|other| *other == kind).unwrap();
    fields[place] = format!("{first}-{last}/{step}");
    let expression = fields.join(" ");
    let cron = Cron::parse(&expression).unwrap();
    let read = [cron.second, cron.minute, cron.hour, cron.day, cron.month, cron.weekday][place];
    assert_eq!(read.values, walked(kind, first, last, step), "{expression}");
    assert!(!read.starred, "{expression}");
}

#[test]
fn every_range_of_weekdays_and_months_with_every_step_is_read_as_walking_it_gives() {
    for (kind, low, high) in [(FieldKind::DayOfWeek, 0, 7), (FieldKind::Month, 1, 12)] {
        for first in low..=high {
            for last in low..=high {
                (1..=dial(kind).1).for_each(|step| check(kind, first, last, step));
            }
        }
    }
}

proptest! {
    #[test]
    fn any_range_with_any_step_is_read_as_walking_it_gives(
        (kind, first, last, step) in proptest::sample::select(&FieldKind::ALL[..4]).prop_flat_map(|kind| {
            let (low, size) = dial(kind);
            (Just(kind), low..low + size, low..low + size, 1..=size)
        })
    ) {
        check(kind, first, last, step);
    }
}
