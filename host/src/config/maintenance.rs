//! `[[maintenance]]`: hours that come again, in which nobody is told of what is wrong with some series.

use super::{
    At, Faults, Place,
    alarm_rule::{check_name, check_text},
    objective::check_hours,
    reader::{Field, Reader, Texts},
    row::check_series,
    text::Table,
    timing::{Almanac, check_zone},
};
use crate::{
    schedule::{Windows, Zone},
    series::selector::Selector,
};

/// Keys that it has.
const KEYS: [&str; 6] = ["comment", "holidays", "name", "series", "timezone", "windows"];

/// Hours of maintenance that come again.
#[derive(Clone, Debug, PartialEq)]
pub struct MaintenanceWindow {
    /// What it is called.
    pub name: At<String>,
    /// Whose alarms nobody is told of.
    pub series: At<Selector>,
    /// When.
    pub hours: Windows,
    /// Whose hours.
    pub zone: Zone,
    /// Why.
    pub comment: Option<String>,
}

/// One as written.
#[derive(Debug)]
pub(super) struct RawMaintenance {
    place: Place,
    name: Field<String>,
    series: Field<String>,
    windows: Field<Texts>,
    timezone: Field<String>,
    holidays: Field<String>,
    comment: Field<String>,
}

impl RawMaintenance {
    pub(super) fn parse(at: &At<&Table>, faults: &mut Faults) -> Self {
        let mut reader = Reader::new("`[[maintenance]]`", &KEYS, at.value);
        let raw = Self {
            place: at.place.clone(),
            name: reader.text("name", faults),
            series: reader.text("series", faults),
            windows: reader.text_or_texts("windows", faults),
            timezone: reader.text("timezone", faults),
            holidays: reader.text("holidays", faults),
            comment: reader.text("comment", faults),
        };
        reader.finish(faults);
        raw
    }

    pub(super) fn check(self, almanac: &mut Almanac, faults: &mut Faults) -> Option<MaintenanceWindow> {
        let place = &self.place;
        let name = self.name.required("name", place, "maintenance has a name: name = \"patch-sunday\"", faults);
        let name = name.and_then(|name| check_name(&name, faults));
        let series = self.series.required("series", place, "whose alarms: series = '{site=\"paris\"}'", faults);
        let series = series.and_then(|text| check_series(&text, faults));
        let hint = "when: windows = \"SUN 02:00-04:00\"";
        let windows = self.windows.required("windows", place, hint, faults);
        let zone = check_zone(&self.timezone, faults);
        let holidays = match &self.holidays {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(file) => almanac.holidays_of(file, faults).map(Some),
        };
        let hours = windows.and_then(|windows| check_hours("windows", &Field::Given(windows), zone, holidays, faults)).flatten();
        let comment = check_text("comment", &self.comment, faults);
        Some(MaintenanceWindow { name: name?, series: series?, hours: hours?, zone: zone?, comment: comment? })
    }
}
