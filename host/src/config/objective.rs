//! `[[objective]]`: a service level that was promised.

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest, Sha256};

use super::{
    At, Fault, Faults, Place, Rule,
    near::did_you_mean,
    reader::{Field, Reader, Texts},
    row::check_series,
    text::Table,
    timing::{Almanac, check_zone, is_window},
};
use crate::{
    objective::{good::Good, period::Period},
    schedule::{Holidays, Windows, Zone},
    series::{
        layout::UP,
        selector::{NAME_LABEL, Selector},
    },
};

/// Keys that it has.
const KEYS: [&str; 8] = ["good", "holidays", "hours", "name", "period", "series", "target", "timezone"];

/// Characters of a name, at most.
const NAME_CHARS_MAX: usize = 80;

/// A service level that was promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What it is called; no other objective bears the name.
    pub name: At<String>,
    /// The series that it is of.
    pub series: At<Selector>,
    /// Which values are good; of `up` it is 1.
    pub good: Option<At<Good>>,
    /// The share of the time that is to be good, above 0 and up to 1.
    pub target: f64,
    /// Over which days it holds.
    pub period: Period,
    /// Whose days and hours.
    pub zone: Zone,
    /// When it holds; always where nothing is said.
    pub hours: Option<Windows>,
    /// Tells one from another that counts otherwise.
    pub digest: String,
}

/// One `[[objective]]` as written.
pub(super) struct RawObjective {
    place: Place,
    name: Field<String>,
    series: Field<String>,
    good: Field<String>,
    target: Field<String>,
    period: Field<String>,
    timezone: Field<String>,
    hours: Field<Texts>,
    holidays: Field<String>,
}

impl RawObjective {
    pub(super) fn parse(at: &At<&Table>, faults: &mut Faults) -> Self {
        let mut reader = Reader::new("`[[objective]]`", &KEYS, at.value);
        let raw = Self {
            place: at.place.clone(),
            name: reader.text("name", faults),
            series: reader.text("series", faults),
            good: reader.text("good", faults),
            target: reader.text("target", faults),
            period: reader.text("period", faults),
            timezone: reader.text("timezone", faults),
            hours: reader.text_or_texts("hours", faults),
            holidays: reader.text("holidays", faults),
        };
        reader.finish(faults);
        raw
    }

    fn check(self, almanac: &mut Almanac, faults: &mut Faults) -> Option<Objective> {
        let place = &self.place;
        let name = self.name.required("name", place, "an objective has a name of its own: name = \"mail-paris\"", faults);
        let name = name.filter(|name| is_name(name, faults));
        let series = self.series.required("series", place, "what is promised: series = 'up{site=\"paris\"}'", faults);
        let series = series.and_then(|text| check_series(&text, faults));
        let target = self.target.required("target", place, "which share of the time is to be good: target = \"99.9%\"", faults);
        let target = target.and_then(|text| check_target(&text, faults));
        let good = check_good(self.good, series.as_ref(), place, faults);
        let period = check_period(self.period, faults);
        let zone = check_zone(&self.timezone, faults);
        let holidays = match &self.holidays {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(file) => almanac.holidays_of(file, faults).map(Some),
        };
        let hours = check_hours("hours", &self.hours, zone, holidays, faults);
        let (name, series, good, zone, hours) = (name?, series?, good?, zone?, hours?);
        let (good_said, hours_said) = (good.as_ref().map(|good| good.to_string()), hours.as_ref().map(Windows::said));
        // Holidays are left out: a list that is written on for the next year counts as before.
        let counts = format!("{}\n{good_said:?}\n{}\n{hours_said:?}", series.as_str(), zone.name());
        let digest = Sha256::digest(counts).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Some(Objective { name, series, good, target: target?, period: period?, zone, hours, digest })
    }
}

/// Checks all of them; one that bears the name of another is told of.
pub(super) fn check(raw: Vec<RawObjective>, almanac: &mut Almanac, faults: &mut Faults) -> Vec<Objective> {
    let mut first: HashMap<String, Place> = HashMap::new();
    let mut checked = Vec::new();
    for raw in raw {
        let Some(objective) = raw.check(almanac, faults) else { continue };
        if let Some(first) = first.get(&objective.name.value) {
            let message = format!("objective {}: declared twice", objective.name.value);
            faults.push(Fault::new(Rule::ObjectiveTwice, &objective.name.place, message).hint(format!("first declared at {first}")));
            continue;
        }
        first.insert(objective.name.value.clone(), objective.name.place.clone());
        checked.push(objective);
    }
    checked
}

fn is_name(name: &At<String>, faults: &mut Faults) -> bool {
    let legal = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && crate::plain(name) == name.value;
    if !legal {
        let shown: String = name.escape_debug().take(NAME_CHARS_MAX).collect();
        let fault = Fault::new(Rule::ObjectiveNameIllegal, &name.place, format!("`name`: \"{shown}\" is no name of an objective"));
        faults.push(fault.hint(format!("1 to {NAME_CHARS_MAX} characters that can be shown")));
    }
    legal
}

fn check_target(text: &At<String>, faults: &mut Faults) -> Option<f64> {
    let percent = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let target = percent.map(|percent| percent / 100.0).filter(|target| *target > 0.0 && *target <= 1.0);
    if target.is_none() {
        let message = format!("`target`: \"{}\" is no share of the time", text.escape_debug());
        faults.push(Fault::new(Rule::ObjectiveTargetIllegal, &text.place, message).hint("write \"99.9%\", above 0 % and up to 100 %"));
    }
    target
}

/// What is good: of `up` it is clear, of anything else it has to be said.
fn check_good(good: Field<String>, series: Option<&At<Selector>>, place: &Place, faults: &mut Faults) -> Option<Option<At<Good>>> {
    const HINT: &str = "write a bound with the unit of the series: good = \"< 2s\", \">= 10GiB\" or \"<= 100\"";
    let is_up = series.is_some_and(|series| series.fixed().any(|named| named == (NAME_LABEL, UP)));
    match good {
        Field::Broken => None,
        Field::Absent if is_up || series.is_none() => Some(None),
        Field::Absent => {
            faults.push(Fault::new(Rule::KeyMissing, place, "`good`: missing").hint(HINT));
            None
        }
        Field::Given(text) => match Good::parse(&text) {
            Some(value) => Some(Some(At { value, place: text.place })),
            None => {
                let message = format!("`good`: \"{}\" says of no value that it is good", text.escape_debug());
                faults.push(Fault::new(Rule::ObjectiveGoodIllegal, &text.place, message).hint(HINT));
                None
            }
        },
    }
}

fn check_period(period: Field<String>, faults: &mut Faults) -> Option<Period> {
    match period {
        Field::Absent => Some(Period::Month),
        Field::Broken => None,
        Field::Given(word) => {
            let known = Period::ALL.iter().find(|(name, _)| *name == word.value);
            if known.is_none() {
                let message = format!("`period`: \"{}\" is no period", word.escape_debug());
                let hint = did_you_mean(&word, "periods", Period::ALL.iter().map(|(name, _)| *name));
                faults.push(Fault::new(Rule::ObjectivePeriodUnknown, &word.place, message).hint(hint));
            }
            known.map(|(_, period)| *period)
        }
    }
}

/// Reads the windows that a key lists; `holidays` is nothing where a list is named and cannot be read.
pub(super) fn check_hours(
    key: &str,
    hours: &Field<Texts>,
    zone: Option<Zone>,
    holidays: Option<Option<Arc<Holidays>>>,
    faults: &mut Faults,
) -> Option<Option<Windows>> {
    let (are_read, holidays) = (holidays.is_some(), holidays.flatten());
    match hours {
        Field::Absent => are_read.then_some(None),
        Field::Broken => None,
        Field::Given(texts) => {
            // A list that cannot be read was told of: it is there all the same.
            let known = holidays.is_some() || !are_read;
            let sound: Vec<&str> =
                texts.items.iter().filter(|text| is_window(key, text, zone, known, faults)).map(|text| text.as_str()).collect();
            let whole = texts.whole && are_read && sound.len() == texts.items.len();
            whole.then(|| Windows::parse(sound, [], holidays.unwrap_or_default()).ok()).flatten()
        }
    }
}
