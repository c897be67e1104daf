//! The bounds of a rule: each is one, all look the same way, and the worse a severity the harder its bound is crossed.

use super::{
    Bounds, Override, SEVERITIES,
    looks::{self, LooksAt},
    over,
};
use crate::{
    alarm::{
        bound::{Bound, Way},
        limit::Of,
    },
    config::{At, Fault, Faults, Place, Rule, reader::Field},
};

/// What bounds look like.
const BOUNDS: &str = "write \"> 2s\", \">= 2 GiB\", \"< 3\", \"outside 10..20\", \"> 10/min\", \"change > 5 in 10m\", \"change > 50% in 1h\", \
                      \"reaches >= 90% in 4h\", \"outside 3 deviations\" or \"absent 10m\"";

pub(super) fn check_bounds(fields: &[Field<String>; 4], looks_at: Option<&LooksAt>, faults: &mut Faults) -> Option<Bounds> {
    let mut sound = true;
    let bounds = std::array::from_fn(|at| match (fields.get(at), SEVERITIES.get(at)) {
        (Some(Field::Given(text)), Some((_, key))) => {
            let bound = check_bound(key, text, faults);
            let bound = bound.filter(|bound| looks_at.is_none_or(|looks_at| looks::fits(looks_at, key, bound, faults)));
            sound &= bound.is_some();
            bound
        }
        (Some(Field::Broken), _) => {
            sound = false;
            None
        }
        _ => None,
    });
    sound.then_some(bounds)
}

fn check_bound(key: &str, text: &At<String>, faults: &mut Faults) -> Option<At<Bound>> {
    let bound = Bound::parse(text);
    if bound.is_none() {
        let message = format!("`{key}`: \"{}\" is no bound", text.escape_debug());
        let fault = match Bound::nearly(text) {
            Some((why, right)) => {
                Fault::new(Rule::BoundIllegal, &text.place, format!("{message}: {why}")).hint(format!("write \"{right}\""))
            }
            None => Fault::new(Rule::BoundIllegal, &text.place, message).hint(BOUNDS),
        };
        faults.push(fault);
    }
    Some(At { value: bound?, place: text.place.clone() })
}

/// Checks it, that it looks at what the bounds look at, and that it is on the good side of the mildest one, also where an override has others;
/// `bounds` is nothing where that was told of.
pub(super) fn check_rearm(text: &At<String>, bounds: Option<&Bounds>, overrides: &[Override], faults: &mut Faults) -> Option<At<Bound>> {
    let bound = check_bound("rearm", text, faults)?;
    let can_come_back = matches!(bound.of(), Of::Value | Of::Deviation | Of::Change(_) | Of::RelativeChange(_) | Of::Rate(..));
    if bound.way() == Way::Out || !can_come_back {
        let message = format!("`rearm`: \"{}\" is not what a value can come back to", text.escape_debug());
        faults.push(Fault::new(Rule::RearmIllegal, &text.place, message).hint("write \"< 400ms\" or \"> 10\""));
        return None;
    }
    let other = bounds.and_then(|bounds| bounds.iter().flatten().next()).filter(|other| other.of().kind() != bound.of().kind());
    if let Some(other) = other {
        let message = format!("`rearm`: \"{}\" looks at {}, the bounds at {}", bound.value, bound.of().kind(), other.of().kind());
        faults.push(Fault::new(Rule::RearmIllegal, &text.place, message).hint(format!("write it as \"{}\" is written", other.value)));
        return None;
    }
    let of_rule = bounds.map(|bounds| (bounds.clone(), ""));
    let of_overrides =
        overrides.iter().filter(|other| other.enabled).filter_map(|other| Some((over(bounds?, &other.bounds), " of an override")));
    for (bounds, whose) in of_rule.into_iter().chain(of_overrides) {
        let Some((mildest, (_, key))) = bounds.iter().zip(SEVERITIES).find_map(|(bound, severity)| Some((bound.as_ref()?, severity)))
        else {
            continue;
        };
        if let Some(right) = mildest.value.rearm_instead_of(&bound.value) {
            let message = format!("`rearm`: \"{}\" is not on the good side of `{key}`{whose}, \"{}\"", bound.value, mildest.value);
            let beside = if whose.is_empty() { "" } else { ", or a rule of its own for those series" };
            faults.push(
                Fault::new(Rule::RearmIllegal, &text.place, message)
                    .hint(format!("write \"{right}\", or what is further from the bound{beside}")),
            );
            return None;
        }
    }
    Some(bound)
}

pub(super) fn is_some_bound(bounds: &Bounds, place: &Place, faults: &mut Faults) -> bool {
    let any = bounds.iter().any(Option::is_some);
    if !any {
        let fault = Fault::new(Rule::BoundMissing, place, "no severity has a bound: nothing would ever be an alarm");
        faults.push(fault.hint("write one at least: major = \"> 2s\""));
    }
    any
}

/// Whether all bounds look the same way, and the worse ones are harder to cross.
pub(super) fn is_in_order(bounds: &Bounds, faults: &mut Faults) -> bool {
    let given: Vec<(&str, &At<Bound>)> =
        bounds.iter().zip(SEVERITIES).filter_map(|(bound, (_, key))| Some((key, bound.as_ref()?))).collect();
    let mut sound = true;
    for pair in given.windows(2) {
        let [(milder_key, milder), (key, bound)] = pair else { continue };
        let (of, milder_of) = (bound.of().kind(), milder.of().kind());
        if of != milder_of {
            let message = format!("`{key}`: \"{}\" looks at {of}, `{milder_key}` at {milder_of}", bound.value);
            faults.push(Fault::new(Rule::BoundsTwoWays, &bound.place, message).hint("write a rule for each"));
            sound = false;
        } else if bound.way() != milder.way() {
            let message = format!("`{key}`: \"{}\" looks another way than `{milder_key}`, \"{}\"", bound.value, milder.value);
            faults.push(
                Fault::new(Rule::BoundsTwoWays, &bound.place, message).hint("what may be too little and too much is \"outside 10..20\""),
            );
            sound = false;
        } else if !bound.is_worse_than(milder) {
            let message = format!("`{key}`: \"{}\" is no worse than `{milder_key}`, \"{}\"", bound.value, milder.value);
            faults
                .push(Fault::new(Rule::BoundsOrder, &bound.place, message).hint("the milder a severity, the sooner its bound is crossed"));
            sound = false;
        }
    }
    sound
}
