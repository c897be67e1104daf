//! What the journal of a data folder holds, read from its files.

use std::path::Path;

use watchpost::reading::{Reading, Record};
use watchpost_journal::{Position, Reader};

/// Reads every reading, in order; a record that is lost, or that nobody understands, is a failure.
pub(crate) fn readings(data: &Path) -> Vec<Reading> {
    let mut reader = Reader::offline(&data.join("journal"), Position::START).expect("there is a journal");
    let mut readings = Vec::new();
    while let Some((_, payload)) = reader.next().expect("the journal is whole") {
        match postcard::from_bytes(&payload).expect("the record is understood") {
            Record::Reading(reading) => readings.push(reading),
            Record::Shape(_) => {}
        }
    }
    readings
}
