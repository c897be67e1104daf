//! From the dialect of Unix into that of the `cron` crate, which reads the expression.
//!
//! | | Unix | the crate |
//! |---|---|---|
//! | Sunday | 0 and 7 | 1 |
//! | a range that wraps | `FRI-MON` | refused: two ranges |
//! | a name beside a number | `1-FRI` | refused: numbers only |
//! | a step of the whole field | `*/60` | refused: its first value |

use std::str::FromStr;

use ::cron::Schedule;

use super::error::CronFault;
use super::field::{FieldKind, Stretch};

/// Has the crate read an expression of six fields.
pub(super) fn read(words: [&str; 6]) -> Result<Schedule, CronFault> {
    let translated = translate(words)?;
    Schedule::from_str(&translated).map_err(|error| CronFault::Untaken { translated, reason: error.to_string() })
}

/// Writes an expression as the crate takes it.
pub(super) fn translate(words: [&str; 6]) -> Result<String, CronFault> {
    let fields: Result<Vec<_>, _> = FieldKind::ALL.into_iter().zip(words).map(|(kind, text)| field(kind, text)).collect();
    Ok(fields?.join(" "))
}

/// Finds what is wrong with the fields of an expression, the first item at fault of each.
pub(super) fn faults(words: [&str; 6]) -> Vec<CronFault> {
    FieldKind::ALL.into_iter().zip(words).filter_map(|(kind, text)| field(kind, text).err()).collect()
}

fn field(kind: FieldKind, text: &str) -> Result<String, CronFault> {
    let item = |item: &str| match Stretch::parse(kind, item) {
        Ok(stretch) => Ok(stretch_in_crate(kind, stretch)),
        Err(fault) => Err(CronFault::Field { field: kind, item: item.to_owned(), fault }),
    };
    let items: Result<Vec<_>, _> = text.split(',').map(item).collect();
    Ok(items?.join(","))
}

/// Writes a stretch in one range, or in two where it wraps: the second takes the step up where the first left it.
fn stretch_in_crate(kind: FieldKind, Stretch { start, length, step }: Stretch) -> String {
    let (size, end) = (kind.size(), start + length - 1);
    if step >= length {
        return (kind.low_in_crate() + start).to_string();
    }
    let resumed = start + (size - start).next_multiple_of(step);
    let before = range(kind, start, end.min(size - 1), step);
    if resumed > end { before } else { format!("{before},{}", range(kind, resumed - size, end - size, step)) }
}

fn range(kind: FieldKind, start: u32, end: u32, step: u32) -> String {
    let low = kind.low_in_crate();
    let places = if (start, end) == (0, kind.size() - 1) { "*".to_owned() } else { format!("{}-{}", low + start, low + end) };
    if step == 1 { places } else { format!("{places}/{step}") }
}
