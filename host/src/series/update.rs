//! Enters rows into a series file as librrd's update does, to the last byte, many of them at once.
//!
//! librrd takes rows as text, reads each number again, and maps the file into memory for every call. Here a file's live part is read once, rows
//! pass over it in memory, and what changed is written: each archive's new rows in a piece, then the live part. Files that are not of
//! the kind that `librrd` makes are left to librrd.
//!
//! Source: rrdcreate(1) and rrdupdate(1), "The HEARTBEAT and the STEP", "xff"; fields as `rrdtool dump` names them. That the bytes are the same is
//! what a property holds, with Debian's librrd as the witness.

mod live;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::archive::Consolidation;
use super::row::{Datum, Row};
use live::{Archive, Column, Live, Part};

/// Nobody knows, in librrd's bits: what 0/0 is on this machine.
const UNKNOWN: f64 =
    f64::from_bits(if cfg!(any(target_arch = "x86_64", target_arch = "x86")) { 0xfff8_0000_0000_0000 } else { 0x7ff8_0000_0000_0000 });

/// What became of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// The file has them.
    All,
    /// Another process has the file open.
    Locked,
    /// The file is not there, or not of the kind that is written here; it was not touched.
    NotOurs,
}

/// Why rows cannot be entered.
#[derive(Debug)]
pub(super) enum EnterError {
    /// The file cannot be read.
    Read(io::Error),
    /// It cannot be written; nothing of its live part was changed, and none of the rows that it has.
    Write(io::Error),
    /// It cannot be written, and its live part may have been by half.
    Torn(io::Error),
}

/// Where bytes are put.
trait Puts {
    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()>;
}

impl Puts for File {
    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }
}

/// Appends rows by rising stamp; those that the file already has are skipped.
///
/// The lock is the process's, and gone as soon as it closes the file elsewhere: whoever reads it in this process waits at the gate.
pub(super) fn enter(path: &Path, rows: &[Row]) -> Result<Entered, EnterError> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entered::NotOurs),
        Err(error) => return Err(EnterError::Read(error)),
    };
    // As librrd does: other programs' librrd keeps away.
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::ACCESS | Errno::AGAIN) => return Ok(Entered::Locked),
        done => done.map_err(|error| EnterError::Read(error.into()))?,
    }
    enter_into(&file, &file, rows)
}

fn enter_into(file: &File, into: &impl Puts, rows: &[Row]) -> Result<Entered, EnterError> {
    let Some(mut live) = Live::read(file).map_err(EnterError::Read)? else { return Ok(Entered::NotOurs) };
    let new = rows.partition_point(|row| row.stamp <= live.last);
    let Some(rows) = rows.get(new..).filter(|rows| !rows.is_empty()) else { return Ok(Entered::All) };
    if rows.iter().any(|row| row.cells.len() != live.columns.len()) {
        return Ok(Entered::NotOurs);
    }
    live.pass_all(rows);
    write(into, &mut live, rows)?;
    Ok(Entered::All)
}

fn write(into: &impl Puts, live: &mut Live, rows: &[Row]) -> Result<(), EnterError> {
    for (at, bytes) in live.archives.iter().flat_map(|archive| &archive.ring.fresh) {
        into.put(bytes, *at).map_err(EnterError::Write)?;
    }
    let before = live.as_read();
    if let Some(last) = rows.last() {
        live.keep_given(last);
    }
    let (at, bytes) = live.bytes();
    // A head of which only the beginning is new would say that the rows are there.
    into.put(bytes, at).map_err(|error| match into.put(&before, at) {
        Ok(()) => EnterError::Write(error),
        Err(_) => EnterError::Torn(error),
    })
}

impl Live {
    /// Lets time pass up to each of these rows.
    fn pass_all(&mut self, mut rows: &[Row]) {
        while let Some((first, rest)) = rows.split_first() {
            match self.count_even(rows) {
                0 | 1 => {
                    self.pass(first);
                    rows = rest;
                }
                even => {
                    let (these, others) = rows.split_at(even);
                    self.pass_even(these);
                    rows = others;
                }
            }
        }
    }

    /// How many of the rows that come next end one slot each, and nothing else: most do.
    fn count_even(&self, rows: &[Row]) -> usize {
        if self.last.rem_euclid(self.step) != 0 {
            return 0;
        }
        let mut stamp = self.last;
        let is_even = |row: &&Row| {
            stamp += self.step;
            row.stamp == stamp
        };
        rows.iter().take_while(is_even).count()
    }

    /// Passes rows that end one slot each: [`Self::pass`] of each of them, data source by data source and archive by archive, so that what is summed
    /// up stays at hand.
    fn pass_even(&mut self, rows: &[Row]) {
        let step = self.step;
        self.slots.clear();
        for (number, column) in self.columns.iter_mut().enumerate() {
            self.slots.extend(rows.iter().map(|row| {
                let amount = column.amount(row.cells.get(number).copied().unwrap_or(Datum::Unknown), step);
                let value = column.end_slots(amount, (1, step), step, step);
                column.begin(amount, 0, step);
                value
            }));
        }
        self.archives.iter_mut().for_each(|archive| archive.take_each(&self.slots, rows.len()));
        self.last += step * rows.len() as i64;
    }

    /// Lets time pass up to a row, which says what was since the one before.
    fn pass(&mut self, row: &Row) {
        let (step, passed) = (self.step, row.stamp - self.last);
        let (begun, over) = (self.last.rem_euclid(step), row.stamp.rem_euclid(step));
        let ended = (row.stamp - over - (self.last - begun)) / step;
        let amounts = self.columns.iter_mut().zip(&row.cells).map(|(column, cell)| column.amount(*cell, passed));
        self.amounts.clear();
        self.amounts.extend(amounts);
        self.last = row.stamp;
        if ended == 0 {
            self.columns.iter_mut().zip(&self.amounts).for_each(|(column, amount)| column.go_on(*amount, passed));
            return;
        }
        // A slot that had begun ends by itself; those after it are all alike.
        let (mut ended, mut passed, mut inside) = (ended, passed, passed - over);
        if begun > 0 && ended > 1 {
            let first = step - begun;
            let whole = seconds(passed);
            let parts: Vec<f64> = self.amounts.iter().map(|amount| amount * seconds(first) / whole).collect();
            let rests = self.amounts.iter().zip(&parts).map(|(amount, part)| amount - part).collect();
            self.amounts = parts;
            self.end_slots((1, first), first);
            self.amounts = rests;
            (ended, passed, inside) = (ended - 1, passed - first, inside - first);
        }
        self.end_slots((ended, inside), passed);
        self.columns.iter_mut().zip(&self.amounts).for_each(|(column, amount)| column.begin(*amount, over, passed));
    }

    /// Ends so many slots, with those of the seconds that passed in which they did.
    fn end_slots(&mut self, (ended, inside): (i64, i64), passed: i64) {
        self.slots.clear();
        let step = self.step;
        let slots = self.columns.iter_mut().zip(&self.amounts);
        self.slots.extend(slots.map(|(column, amount)| column.end_slots(*amount, (ended, step), inside, passed)));
        self.archives.iter_mut().for_each(|archive| archive.take(&self.slots, ended));
    }
}

impl Column {
    /// What was since the last row: value times seconds, or what was counted. Not a number: unknown.
    fn amount(&mut self, cell: Datum, passed: i64) -> f64 {
        let before = std::mem::replace(&mut self.total, cell.as_total());
        match (before, cell) {
            _ if passed > self.heartbeat => UNKNOWN,
            (_, Datum::Gauge(value)) => value * seconds(passed),
            (Some(before), Datum::Total(total)) => counted(before, total),
            _ => UNKNOWN,
        }
    }

    /// Nothing but time of the same slot passed.
    fn go_on(&mut self, amount: f64, passed: i64) {
        if amount.is_nan() {
            self.unknown += passed;
        } else {
            self.sum = if self.sum.is_nan() { amount } else { self.sum + amount };
        }
    }

    /// What slots are worth that end now: the mean of what is known, unless most of it was unknown before.
    fn end_slots(&mut self, amount: f64, (ended, step): (i64, i64), inside: i64, passed: i64) -> f64 {
        let unknown_inside = if amount.is_nan() { inside } else { 0 };
        if !amount.is_nan() {
            self.sum = if self.sum.is_nan() { 0.0 } else { self.sum } + amount / seconds(passed) * seconds(inside);
        }
        let is_unknown = passed > self.heartbeat || seconds(step) / 2.0 < seconds(self.unknown) || self.sum.is_nan();
        let value = self.sum / (seconds(ended * step - self.unknown) - seconds(unknown_inside));
        (self.unknown, self.sum) = (0, UNKNOWN);
        if is_unknown { UNKNOWN } else { value }
    }

    /// A slot begins with this much of the time that passed.
    fn begin(&mut self, amount: f64, over: i64, passed: i64) {
        (self.unknown, self.sum) = if amount.is_nan() { (over, UNKNOWN) } else { (0, amount / seconds(passed) * seconds(over)) };
    }
}

impl Archive {
    /// Takes what slots are worth that ended, so many of the same.
    fn take(&mut self, slots: &[f64], ended: i64) {
        let (steps, left) = (self.steps, self.left);
        if ended < left {
            self.left -= ended;
            self.gather(slots, ended);
            return;
        }
        // Rows that are over then, and slots of the one after them.
        let (rows, begun) = if ended == left { (1, 0) } else { ((ended - left) / steps + 1, (ended - left) % steps) };
        self.left = steps - begun;
        for (part, value) in self.parts.iter_mut().zip(slots) {
            part.take(*value, self.consolidation, (steps, self.xff), (left, ended, begun));
        }
        self.turn(rows);
    }

    /// Takes what slots are worth that ended one after the other; of each data source so many.
    fn take_each(&mut self, slots: &[f64], count: usize) {
        if self.steps == 1 {
            self.turn_each(slots, count);
            return;
        }
        let mut from = 0;
        while from < count {
            // The last one ends the row under way.
            let until = count.min(from + usize::try_from(self.left - 1).unwrap_or(usize::MAX));
            self.gather_each(slots.chunks_exact(count).map(|slots| slots.get(from..until).unwrap_or_default()));
            self.left -= (until - from) as i64;
            if until < count {
                let ending = slots.chunks_exact(count).filter_map(|slots| slots.get(until));
                for (part, value) in self.parts.iter_mut().zip(ending) {
                    part.take(*value, self.consolidation, (self.steps, self.xff), (1, 1, 0));
                }
                self.left = self.steps;
                self.turn(1);
            }
            from = until + 1;
        }
    }

    /// Adds slots one after the other to the row under way, which they do not end.
    fn gather_each<'a>(&mut self, slots: impl Iterator<Item = &'a [f64]>) {
        let each = self.parts.iter_mut().zip(slots);
        match self.consolidation {
            Consolidation::Average => each.for_each(|(part, slots)| part.add_each(slots, |sum, more| sum + more)),
            Consolidation::Min => each.for_each(|(part, slots)| part.add_each(slots, f64::min)),
            Consolidation::Max => each.for_each(|(part, slots)| part.add_each(slots, f64::max)),
            Consolidation::Last => each.for_each(|(part, slots)| part.add_each(slots, |_, last| last)),
        }
    }

    /// Adds slots to the row under way, which they do not end.
    fn gather(&mut self, slots: &[f64], ended: i64) {
        let parts = self.parts.iter_mut().zip(slots);
        // Not asked for each of them: that would cost more than what it is asked for.
        match self.consolidation {
            Consolidation::Average => {
                parts.for_each(|(part, value)| part.add(*value, ended, |value| value * seconds(ended), |sum, more| sum + more))
            }
            Consolidation::Min => parts.for_each(|(part, value)| part.add(*value, ended, |value| value, f64::min)),
            Consolidation::Max => parts.for_each(|(part, value)| part.add(*value, ended, |value| value, f64::max)),
            Consolidation::Last => parts.for_each(|(part, value)| part.add(*value, ended, |value| value, |_, last| last)),
        }
    }
}

impl Part {
    /// Adds slots of the same value to the row under way; of averages it has the sum, which is divided when the row is over.
    fn add(&mut self, value: f64, ended: i64, worth: impl Fn(f64) -> f64, together: impl Fn(f64, f64) -> f64) {
        if value.is_nan() {
            self.unknown += ended;
        } else {
            self.value = if self.value.is_nan() { worth(value) } else { together(self.value, worth(value)) };
        }
    }

    /// [`Self::add`] of one slot after the other, of each of which the worth is its value.
    fn add_each(&mut self, slots: &[f64], together: impl Fn(f64, f64) -> f64) {
        let (mut value, mut unknown) = (self.value, self.unknown);
        for slot in slots {
            if slot.is_nan() {
                unknown += 1;
            } else {
                value = if value.is_nan() { *slot } else { together(value, *slot) };
            }
        }
        (self.value, self.unknown) = (value, unknown);
    }

    /// Takes slots of which the first ones end the row under way.
    fn take(&mut self, value: f64, how: Consolidation, (steps, xff): (i64, f64), (left, ended, begun): (i64, i64, i64)) {
        if steps == 1 {
            self.primary = value;
            if ended > 1 {
                self.secondary = value;
            }
            return;
        }
        if value.is_nan() {
            self.unknown += left;
        }
        self.secondary = value;
        self.primary = if seconds(self.unknown) > seconds(steps) * xff { UNKNOWN } else { self.whole(value, left, steps, how) };
        // What the next row begins with.
        let is_blank = begun == 0 || value.is_nan();
        self.value = match how {
            Consolidation::Average if is_blank => 0.0,
            Consolidation::Min if is_blank => f64::INFINITY,
            Consolidation::Max if is_blank => f64::NEG_INFINITY,
            Consolidation::Last if is_blank => UNKNOWN,
            Consolidation::Average => value * seconds(begun),
            _ => value,
        };
        self.unknown = if value.is_nan() { begun } else { 0 };
    }

    /// A row that is over with the last slots' value.
    fn whole(&self, value: f64, left: i64, steps: i64, how: Consolidation) -> f64 {
        let or = |value: f64, otherwise: f64| if value.is_nan() { otherwise } else { value };
        match how {
            Consolidation::Average => (or(self.value, 0.0) + or(value, 0.0) * seconds(left)) / seconds(steps - self.unknown),
            Consolidation::Min => or(self.value, f64::INFINITY).min(or(value, f64::INFINITY)),
            Consolidation::Max => or(self.value, f64::NEG_INFINITY).max(or(value, f64::NEG_INFINITY)),
            Consolidation::Last => value,
        }
    }
}

/// What was counted between two totals, the second of which may have wrapped at 32 bits, or at 64. Of the former librrd counts one too few.
fn counted(before: u64, total: u64) -> f64 {
    const WRAP: f64 = 4_294_967_295.0;
    #[expect(clippy::cast_precision_loss, reason = "as RRD keeps it")]
    let growth = if total >= before { (total - before) as f64 } else { -((before - total) as f64) };
    let growth = if growth < 0.0 { growth + WRAP } else { growth };
    if growth < 0.0 { growth + (18_446_744_073_709_551_616.0 - WRAP) } else { growth }
}

#[expect(clippy::cast_precision_loss, reason = "seconds and slots since 1970 are exact")]
fn seconds(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use watchpost_plugin_api::Kind;

    use super::*;
    use crate::series::{
        archive::Archive as Kept,
        librrd::Librrd,
        shape::{FileShape, Source},
        writer::SeriesWriter,
    };

    const BEGIN: i64 = 1_774_742_400;

    /// A disk that takes half of one write, and then nothing so many times.
    struct Failing<'f> {
        file: &'f File,
        before: Cell<usize>,
        failures: Cell<usize>,
    }

    impl Puts for Failing<'_> {
        fn put(&self, bytes: &[u8], at: u64) -> io::Result<()> {
            if let Some(before) = self.before.get().checked_sub(1) {
                self.before.set(before);
            } else if let Some(failures) = self.failures.get().checked_sub(1) {
                self.failures.set(failures);
                self.file.put(&bytes[..bytes.len() / 2], at)?;
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.file.put(bytes, at)
        }
    }

    fn row(minute: i64) -> Row {
        Row { stamp: BEGIN + 60 * minute, cells: vec![Datum::Gauge(0.25 * seconds(minute)); 2] }
    }

    #[test]
    fn rows_that_the_disk_took_by_half_are_entered_at_the_next_time_as_if_nothing_had_been() {
        let folder = tempfile::tempdir().unwrap();
        let sources = ["a", "b"].map(|name| Source { name: name.into(), kind: Kind::Gauge, heartbeat: 120 }).to_vec();
        let archives = [(1, 20), (5, 20)].map(|(steps, rows)| Kept { consolidation: Consolidation::Average, steps, rows }).to_vec();
        let shape = FileShape { step: 60, sources, archives };
        let [undisturbed, disturbed] = ["u", "d"].map(|name| folder.path().join(name));
        Librrd::new().create(&undisturbed, &shape, BEGIN).unwrap();
        std::fs::copy(&undisturbed, &disturbed).unwrap();
        let rows: Vec<Row> = (1..=11).map(row).collect();
        enter(&undisturbed, &rows).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&disturbed).unwrap();
        let failing = |before, failures| Failing { file: &file, before: Cell::new(before), failures: Cell::new(failures) };
        let fresh = std::fs::read(&disturbed).unwrap();
        // Archives' rows may go round their end: so many writes until the head, which is the last one.
        let mut writes = 0;
        while let Err(error) = enter_into(&file, &failing(writes, 1), &rows) {
            assert!(matches!(error, EnterError::Write(_)), "at write {writes}: {error:?}");
            assert_eq!(Live::read(&file).unwrap().unwrap().last, BEGIN, "its head says nothing of rows that are not there");
            writes += 1;
        }
        assert!(writes >= 3, "{writes}");
        assert_eq!(std::fs::read(&disturbed).unwrap(), std::fs::read(&undisturbed).unwrap());
        std::fs::write(&disturbed, fresh).unwrap();
        assert!(matches!(enter_into(&file, &failing(writes - 1, 2), &rows), Err(EnterError::Torn(_))));
    }
}
