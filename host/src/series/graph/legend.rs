//! What stands below a picture: a line for each series with its name, its last value, its mean and its greatest, and the range.

use chrono::{DateTime, NaiveDateTime};

use super::{Drawn, scale::Scale};
use crate::schedule::Zone;

/// Letters that librrd's sample of a line takes.
const SAMPLE: usize = 3;
const HEADS: [&str; 3] = ["last", "mean", "max"];

/// Lines below a picture; their columns stand below each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) head: String,
    pub(super) lines: Vec<NamedLine>,
    pub(super) foot: String,
}

/// The line of one series.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NamedLine {
    pub(super) name: String,
    pub(super) figures: String,
}

impl Written {
    pub(super) fn of(series: &[Drawn], scale: &Scale, (begin, end): (i64, i64), zone: Zone) -> Self {
        let figures: Vec<[String; 3]> = series.iter().map(|one| told(one).map(|value| scale.written(value))).collect();
        let length = |text: &str| text.chars().count();
        let name = series.iter().map(|one| length(&one.series)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..HEADS.len())
            .map(|column| {
                let cells = figures.iter().filter_map(|row| row.get(column)).map(|cell| length(cell));
                cells.chain(HEADS.get(column).map(|head| length(head))).max().unwrap_or(0)
            })
            .collect();
        let columns = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
            padded.collect::<Vec<_>>().join("   ")
        };
        let head = format!("{}  {}", " ".repeat(name + SAMPLE), columns(&HEADS.map(str::to_owned)));
        let line = |(one, cells): (&Drawn, &[String; 3])| NamedLine { name: format!("{:<name$}", one.series), figures: columns(cells) };
        let steps = steps(series);
        let band = series.iter().find_map(|one| one.band.as_ref());
        let usual = band.map(|band| format!("; band: usual, {} deviations", band.deviations)).unwrap_or_default();
        let foot = format!("{} to {} {}, {steps}; grey: nothing known{usual}", clock(begin, zone), clock(end, zone), zone.name());
        Self { head, lines: series.iter().zip(&figures).map(line).collect(), foot }
    }

    /// Letters of the longest line.
    pub(super) fn letters(&self) -> usize {
        let lines = self.lines.iter().map(|line| SAMPLE + line.name.chars().count() + 2 + line.figures.chars().count());
        lines.chain([self.foot.chars().count(), self.head.chars().count()]).max().unwrap_or(0)
    }
}

/// Last known value, mean of what is known, and the greatest.
#[expect(clippy::cast_precision_loss, reason = "a mean of fewer values than a number has digits")]
fn told(one: &Drawn) -> [Option<f64>; 3] {
    let known = || one.values.iter().flatten().copied();
    let count = known().count();
    let mean = (count > 0).then(|| known().sum::<f64>() / count as f64);
    [known().next_back(), mean, known().reduce(f64::max)]
}

fn steps(series: &[Drawn]) -> String {
    let mut steps: Vec<u32> = series.iter().map(|one| one.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let all: Vec<String> = steps.iter().map(|step| crate::series::notes::length(*step)).collect();
    format!("a value every {}", all.join(" or "))
}

fn clock(instant: i64, zone: Zone) -> String {
    let shown = DateTime::from_timestamp(instant.saturating_add(zone.offset_at(instant)), 0).map(|time| time.naive_utc());
    shown.map_or_else(|| instant.to_string(), |time: NaiveDateTime| time.format("%Y-%m-%d %H:%M:%S").to_string())
}
