//! Performance data of the Monitoring Plugins: `'label'=value[unit];[warn];[crit];[min];[max]`, separated by blanks.
//!
//! Source: the Monitoring Plugins' development guidelines, "Performance data" and "Threshold and ranges". What programs write against it
//! is taken where it can mean one thing only: a comma for the decimal point, quotes left out, more fields than there are.

use watchpost_plugin_api::quoted;

use crate::{
    point::Point,
    unit::{Measure, is_known_elsewhere, measure},
};

/// Label of a point that is a bound of another one.
const BOUND: &str = "bound";
/// Ending of the metric whose labels are the bounds.
const BOUNDS: &str = "_bounds";

/// Reads all performance data of a text; what is none is given to `refuse`, word by word, with why.
pub(crate) fn read(text: &str, with_bounds: bool, mut take: impl FnMut(Point), mut refuse: impl FnMut(&str, String)) {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (label, after) = match label(rest) {
            Ok(found) => found,
            Err(why) => {
                let (word, after) = word(rest);
                refuse(word, why);
                rest = after.trim_start();
                continue;
            }
        };
        let (fields, after) = word(after);
        let mut told = |point: Result<Point, String>| match point {
            Ok(point) => take(point),
            Err(why) => refuse(&format!("{label}={fields}"), why),
        };
        told(datum(&label, fields));
        if with_bounds {
            bounds(&label, fields).into_iter().for_each(told);
        }
        rest = after.trim_start();
    }
}

/// Takes the next word.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// Takes a label and the sign after it. In quotes, two quotes are one; without, it has neither blanks nor the sign.
fn label(text: &str) -> Result<(String, &str), String> {
    let (label, rest) = match text.strip_prefix('\'') {
        Some(inner) => in_quotes(inner).ok_or("the quotes of a label do not end")?,
        None => {
            let end = text.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(text.len());
            (text[..end].to_owned(), &text[end..])
        }
    };
    let rest = rest.strip_prefix('=').ok_or("a label without a value")?;
    if label.trim().is_empty() {
        return Err("a value without a label".into());
    }
    Ok((label, rest))
}

fn in_quotes(text: &str) -> Option<(String, &str)> {
    let (mut label, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('\'')?;
        label.push_str(before);
        match after.strip_prefix('\'') {
            Some(after) => {
                label.push('\'');
                rest = after;
            }
            None => return Some((label, after)),
        }
    }
}

/// Reads a value and its unit.
fn datum(label: &str, fields: &str) -> Result<Point, String> {
    let value = fields.split(';').next().unwrap_or_default();
    if value == "U" {
        return Ok(Point::new(label, None));
    }
    let (value, unit) = whole(value)?;
    let (measure, help) = match measure(unit) {
        Some(measure) => (measure, None),
        None => (Measure::PLAIN, Some(format!("{label}, in {}.", quoted(unit)))),
    };
    Ok(Point { kind: measure.kind, unit: Some(measure.unit), help, ..Point::new(label, Some(measure.of(value))) })
}

/// Splits a number from a unit that means something to somebody: of `0x10` it would be another number that counts.
///
/// Errors: what is none of both as a whole.
fn whole(text: &str) -> Result<(f64, &str), String> {
    let (value, unit) = number(text)?;
    match measure(unit).is_some() || is_known_elsewhere(unit) {
        true => Ok((value, unit)),
        false => Err(format!("`{}` is no number, nor one with a unit that is known", quoted(text))),
    }
}

/// Splits a number from its unit.
///
/// Errors: what is no number, or none that can be stored.
fn number(text: &str) -> Result<(f64, &str), String> {
    let wrong = || format!("`{}` is no number", quoted(text));
    let sign = text.len() - text.trim_start_matches(['+', '-']).len();
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let mut end = text[sign..].find(|c| !is_part(c)).map_or(text.len(), |at| sign + at);
    // An exponent is one only if digits follow; `3E` may be three of some unit.
    if let Some(exponent) = text[end..].strip_prefix(['e', 'E']) {
        let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits > 0 {
            end += 1 + exponent.len() - unsigned.len() + digits;
        }
    }
    let (digits, unit) = text.split_at(end);
    // One comma and no point: that of a locale. Anything else with commas could mean two things.
    let digits = if digits.contains('.') { digits.to_owned() } else { digits.replacen(',', ".", 1) };
    let value: f64 = digits.parse().map_err(|_| wrong())?;
    if value.is_finite() { Ok((value, unit)) } else { Err(wrong()) }
}

/// Reads the bounds, in the unit of the value; fields beyond them are none of ours.
fn bounds(label: &str, fields: &str) -> Vec<Result<Point, String>> {
    let mut fields = fields.split(';');
    let unit = number(fields.next().unwrap_or_default()).ok().and_then(|(_, unit)| measure(unit)).unwrap_or(Measure::PLAIN);
    let name = format!("{label}{BOUNDS}");
    let help = format!("Bounds that the program names for {label}.");
    let point = |bound: &str, value: f64| {
        let point = Point::new(name.as_str(), Some(unit.of(value))).label(BOUND, bound);
        Point { unit: Some(unit.unit), help: Some(help.clone()), ..point }
    };
    let mut points = Vec::new();
    for (low, high) in [("warn_low", "warn_high"), ("crit_low", "crit_high")] {
        match range(fields.next().unwrap_or_default()) {
            Ok((from, to)) => points.extend([(low, from), (high, to)].into_iter().filter_map(|(bound, at)| Some(Ok(point(bound, at?))))),
            Err(why) => points.push(Err(why)),
        }
    }
    for bound in ["min", "max"] {
        match range(fields.next().unwrap_or_default()) {
            Ok((_, at)) => points.extend(at.map(|at| Ok(point(bound, at)))),
            Err(why) => points.push(Err(why)),
        }
    }
    points
}

/// Reads a range, `[@][from:][to]`: from 0 unless said; `~` is no lower bound, and no upper one where nothing follows the colon.
fn range(text: &str) -> Result<(Option<f64>, Option<f64>), String> {
    let text = text.strip_prefix('@').unwrap_or(text);
    let one = |text: &str| match text {
        "" | "~" | "U" => Ok(None),
        text => whole(text).map(|(value, _)| Some(value)),
    };
    match text.split_once(':') {
        Some((from, to)) => Ok((one(from)?, one(to)?)),
        None => Ok((None, one(text)?)),
    }
}

#[cfg(test)]
mod tests;
