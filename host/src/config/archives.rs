//! How long rows of series are kept, in `archives` and `heartbeat`.

use std::time::Duration;

use super::{
    At, Fault, Faults, Place, Rule,
    near::did_you_mean,
    reader::{Field, Reader, misshapen},
    text::{Data, Table},
    timing::check_long_span,
};
use crate::series::{
    archive::Consolidation,
    keeping::{Keeping, Profile, ROWS_MAX, Span},
};

/// Keys of one item of a list that is written out.
const KEYS: [&str; 3] = ["every", "keep", "of"];

/// What an item can say that its rows are.
const OF: [Consolidation; 3] = [Consolidation::Average, Consolidation::Min, Consolidation::Max];

/// How a list is written.
const WRITTEN: &str = "write \"standard\" (also if left out), \"fine\", \"long\", or [{ keep = \"2d\" }, { every = \"1h\", keep = \"400d\", of = [\"average\", \"max\"] }]";

/// Takes shape and meaning of `archives`: a profile, or a list of what is kept for how long.
pub(super) fn check(field: &Field<Data>, faults: &mut Faults) -> Field<Keeping> {
    let At { value, place } = match field {
        Field::Absent => return Field::Absent,
        Field::Broken => return Field::Broken,
        Field::Given(given) => given,
    };
    let keeping = match value {
        Data::Text(name) => check_profile(name, place, faults).map(Keeping::Profile),
        Data::List(items) => check_items(items, place, faults).map(Keeping::Spans),
        other => {
            faults.extend(misshapen("archives", "a text or a list", other, place).map(|fault| fault.hint(WRITTEN)));
            None
        }
    };
    keeping.map_or(Field::Broken, |value| Field::Given(At { value, place: place.clone() }))
}

/// Holds what is kept to the time between two slots.
pub(super) fn check_with_step(keeping: &Field<Keeping>, heartbeat: &Field<Duration>, step: u32, faults: &mut Faults) -> bool {
    let told = faults.iter().len();
    if let Field::Given(At { value: Keeping::Spans(spans), place }) = keeping {
        for span in spans.iter().filter(|span| span.kept / span.every.max(step) > ROWS_MAX) {
            let rows = span.kept / span.every.max(step);
            let fault = Fault::new(Rule::ArchiveTooLong, place, format!("`archives`: {rows} rows of one archive are too many"));
            faults.push(fault.hint(format!("{ROWS_MAX} rows at most: keep each slot for a shorter time, and coarser rows for long")));
        }
    }
    if let Field::Given(heartbeat) = heartbeat
        && heartbeat.value.as_secs() < u64::from(step) * 2
    {
        let fault =
            Fault::new(Rule::HeartbeatTooShort, &heartbeat.place, "`heartbeat`: shorter than two slots, nothing counted would be known");
        faults.push(fault.hint("left out, it is a day and two slots: growth over a longer gap than that is unknown"));
    }
    faults.iter().len() == told
}

fn check_profile(name: &str, place: &Place, faults: &mut Faults) -> Option<Profile> {
    let found = Profile::from_name(name);
    if found.is_none() {
        let hint = did_you_mean(name, "profiles", Profile::ALL.map(Profile::name));
        faults.push(Fault::new(Rule::ArchivesUnknown, place, format!("`archives`: \"{}\" is unknown", name.escape_debug())).hint(hint));
    }
    found
}

fn check_items(items: &[At<Data>], place: &Place, faults: &mut Faults) -> Option<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    let mut sound = true;
    for item in items {
        match &item.value {
            Data::Table(table) => match check_item(table, &item.place, faults) {
                Some(span) => spans.push(span),
                None => sound = false,
            },
            other => {
                faults.extend(misshapen("archives", "a table", other, &item.place).map(|fault| fault.hint(WRITTEN)));
                sound = false;
            }
        }
    }
    if sound && !spans.iter().any(|span| span.every == 0) {
        let fault = Fault::new(Rule::ArchiveBaseMissing, place, "`archives`: nothing says how long each slot is kept");
        faults.push(fault.hint("write an item without `every`: { keep = \"2d\" }"));
        return None;
    }
    spans.sort_by_key(|span| span.every);
    sound.then_some(spans)
}

fn check_item(table: &Table, place: &Place, faults: &mut Faults) -> Option<Span> {
    let mut reader = Reader::new("an item of `archives`", &KEYS, table);
    let (every, keep, of) = (reader.text("every", faults), reader.text("keep", faults), reader.text_or_texts("of", faults));
    reader.finish(faults);
    let every = match check_long_span("every", &every, faults) {
        Field::Absent => Some(0),
        Field::Broken => None,
        Field::Given(every) => seconds(&every, faults),
    };
    let keep = match check_long_span("keep", &keep, faults) {
        Field::Broken => None,
        Field::Absent => Field::<Duration>::Absent.required("keep", place, "say for how long: keep = \"30d\"", faults),
        Field::Given(keep) => Some(keep),
    };
    let kept = keep.as_ref().and_then(|keep| seconds(keep, faults));
    let of = match of {
        Field::Absent => Some(vec![Consolidation::Average]),
        Field::Broken => None,
        Field::Given(words) => {
            let found: Vec<_> = words.value.items.iter().filter_map(|word| check_word(word, faults)).collect();
            (words.value.whole && found.len() == words.value.items.len()).then_some(found)
        }
    };
    let (every, kept, of, keep) = (every?, kept?, of?, keep?);
    if kept < every {
        let fault = Fault::new(Rule::ArchiveTooShort, &keep.place, "`keep`: shorter than one row");
        faults.push(fault.hint("rows of `every` are kept for `keep`, which is the longer of the two"));
        return None;
    }
    Some(Span { every, kept, of })
}

fn check_word(word: &At<String>, faults: &mut Faults) -> Option<Consolidation> {
    let found = OF.into_iter().find(|known| known.name().eq_ignore_ascii_case(word));
    if found.is_none() {
        let fault = Fault::new(Rule::ConsolidationUnknown, &word.place, format!("`of`: \"{}\" is unknown", word.escape_debug()));
        faults.push(fault.hint("write \"average\" (also if left out), \"min\", \"max\", or several: [\"average\", \"max\"]"));
    }
    found
}

fn seconds(span: &At<Duration>, faults: &mut Faults) -> Option<u32> {
    let seconds = u32::try_from(span.value.as_secs()).ok();
    if seconds.is_none() {
        faults.push(Fault::new(Rule::SpanTooLong, &span.place, "`archives`: nothing is kept for so long").hint("136 years at most"));
    }
    seconds
}
