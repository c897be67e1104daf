//! What the files of a data folder say of their formats, read before any is opened: opening begins a segment, and may migrate the catalogue.
//! A folder that a newer program has used is left as it is.

use std::path::Path;

use watchpost_journal::{ConsumerError, ConsumerPosition, OpenError, Position, Reader};

use super::{alarm_view, event_view, objective_view, present, series_view, start::StartError};
use crate::{
    alarm,
    event::store,
    objective::tally,
    series::{checkpoint, error::SeriesError},
};

/// Who has a place in the journal.
const PLACES: [&str; 5] = [present::NAME, series_view::NAME, event_view::NAME, objective_view::NAME, alarm_view::NAME];

/// Refuses a newer journal, a newer place in it, newer events, newer sums, newer alarms, a newer checkpoint of series; whatever else there is
/// to say of them, opening says.
pub(super) fn refuse_newer(data: &Path) -> Result<(), StartError> {
    let journal = data.join("journal");
    if let Err(newer @ OpenError::Newer { .. }) = Reader::offline(&journal, Position::START) {
        return Err(newer.into());
    }
    for name in PLACES {
        let place = ConsumerPosition::new(&journal, name).and_then(|place| place.load());
        if let Err(newer @ ConsumerError::Newer { .. }) = place {
            return Err(newer.into());
        }
    }
    tally::refuse_newer(data).map_err(StartError::Objectives)?;
    alarm::store::refuse_newer(data).map_err(StartError::Alarms)?;
    checkpoint::refuse_newer(data).map_err(SeriesError::from)?;
    Ok(store::refuse_newer(data)?)
}
