//! What the journal of a data folder holds, read from its files.

use std::path::Path;

use watchpost::reading::{Reading, Record};
use watchpost_journal::{Position, Reader};

/// Reads every reading, in order; a record that is lost, or that nobody understands, is a failure.
pub(crate) fn readings(data: &Path) -> Vec<Reading> {
    from(data, Position::START).into_iter().map(|(_, reading)| reading).collect()
}

/// Reads the readings from a position on, each with its own.
pub(crate) fn from(data: &Path, position: Position) -> Vec<(Position, Reading)> {
    let mut reader = Reader::offline(&data.join("journal"), position).expect("there is a journal");
    let mut readings = Vec::new();
    while let Some((position, payload)) = reader.next().expect("the journal is whole") {
        match postcard::from_bytes(&payload).expect("the record is understood") {
            Record::Reading(reading) => readings.push((position, reading)),
            Record::Shape(_) | Record::Event(_) | Record::Silence(_) | Record::Upkeep(_) => {}
        }
    }
    readings
}
