//! Alarms that are chosen by labels, for routes and for hours of maintenance: what is asked for and no alarm has.

use super::Job;
use crate::{
    config::{At, Draft, Fault, Place, Rule},
    notify::vocabulary::{Unmeant, Vocabulary},
    series::selector::Selector,
};

/// Tells of every label and every value of one that no alarm has.
///
/// `all`: these are all the jobs there are; otherwise what is not there may be among the others.
pub(super) fn faults(draft: &Draft, jobs: &[Job], all: bool) -> Vec<Fault> {
    if !all || jobs.is_empty() {
        return Vec::new();
    }
    let shapes = || jobs.iter().map(|job| &job.shape);
    let of_routes = Vocabulary::of_routes(shapes(), draft.rule_names.iter().map(String::as_str));
    let of_maintenance = Vocabulary::of_jobs(shapes());
    let mut faults = Vec::new();
    for route in &draft.routes {
        faults.extend(route.matches.iter().flat_map(|matches| of_selector("`match`", matches, &of_routes)));
        let unknown = |label: &At<String>| Some(fault("`group_by`", &label.place, &of_routes.unknown(label)?));
        faults.extend(route.group_by.iter().filter_map(unknown));
    }
    for window in &draft.maintenance {
        faults.extend(of_selector(&format!("maintenance {}", window.name.value), &window.series, &of_maintenance));
    }
    faults
}

fn of_selector(what: &str, selector: &At<Selector>, vocabulary: &Vocabulary<'_>) -> Vec<Fault> {
    vocabulary.unmeant(&selector.value).iter().map(|unmeant| fault(what, &selector.place, unmeant)).collect()
}

fn fault(what: &str, place: &Place, unmeant: &Unmeant) -> Fault {
    let rule = if unmeant.never { Rule::AlarmChoiceNever } else { Rule::AlarmChoiceUnknown };
    Fault::new(rule, place, format!("{what}: {}", unmeant.what)).maybe_hint(unmeant.hint.clone())
}
