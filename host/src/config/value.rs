//! One value of a config against what its agent's schema says of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Number, Value};

use super::{At, Fault, Place, Rule, near::nearest, reader::IN_QUOTES, schema::Schema, secret, text::Data};

/// The schema's names of types, and ours.
const TYPES: [(&str, &str); 6] = [
    ("string", "a text"),
    ("integer", "a whole number"),
    ("number", "a number"),
    ("boolean", "true or false"),
    ("array", "a list"),
    ("object", "a table"),
];

/// The fault of a value of a type that the agent does not take there.
pub(super) fn type_fault(path: &str, at: &At<Data>, types: &[&str]) -> Fault {
    if let Data::Table(table) = &at.value
        && secret::is_reference(table)
    {
        return secret::misplaced(&format!("`{path}`"), &at.place);
    }
    let wanted: Vec<_> = TYPES.iter().filter(|(name, _)| types.contains(name)).map(|(_, shown)| *shown).collect();
    let wanted = if wanted.is_empty() { "something else".into() } else { wanted.join(" or ") };
    let message = format!("`{path}`: {} where {wanted} belongs", at.value.shape());
    Fault::new(Rule::ConfigTypeWrong, &at.place, message).maybe_hint(about_quotes(&at.value, types))
}

/// Quotes that are missing or too many are the commonest of wrong types.
fn about_quotes(data: &Data, types: &[&str]) -> Option<String> {
    let Data::Text(text) = data else {
        return (data.is_bare() && types.contains(&"string")).then(|| IN_QUOTES.into());
    };
    let meant = |name: &&str| match *name {
        "integer" => text.parse::<i64>().is_ok(),
        "number" => text.parse::<f64>().is_ok(),
        "boolean" => text.parse::<bool>().is_ok(),
        _ => false,
    };
    types.iter().any(meant).then(|| "leave the quotes out".into())
}

/// The fault of a text that the agent does not take there, if it is one.
pub(super) fn text_fault(path: &str, text: &str, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    if let Some(choices) = schema.choices() {
        let fault = || {
            let offered: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
            let message = format!("`{path}`: \"{}\" is none of {}", text.escape_debug(), offered.join(", "));
            Fault::new(Rule::ConfigChoiceUnknown, place, message)
        };
        let near = nearest(text, choices.iter().copied());
        return (!choices.contains(&text)).then(|| fault().maybe_hint(near.map(|name| format!("did you mean \"{name}\"?"))));
    }
    length_fault(path, text, place, schema).or_else(|| address_fault(path, text, place, schema))
}

fn length_fault(path: &str, text: &str, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    let length = text.chars().count() as u64;
    let least = schema.keyword("minLength").and_then(Value::as_u64).filter(|least| length < *least);
    let most = schema.keyword("maxLength").and_then(Value::as_u64).filter(|most| length > *most);
    let (rule, why, hint) = match (least, most) {
        (Some(least), _) if length == 0 => (Rule::ConfigTextTooShort, "empty".to_owned(), format!("at least {}", characters(least))),
        (Some(least), _) => {
            (Rule::ConfigTextTooShort, format!("too short, {}", characters(length)), format!("at least {}", characters(least)))
        }
        (None, Some(most)) => {
            (Rule::ConfigTextTooLong, format!("too long, {}", characters(length)), format!("at most {}", characters(most)))
        }
        (None, None) => return None,
    };
    Some(Fault::new(rule, place, format!("`{path}`: {why}")).hint(hint))
}

fn characters(count: u64) -> String {
    format!("{count} {}", if count == 1 { "character" } else { "characters" })
}

fn address_fault(path: &str, text: &str, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    let (fits, wanted, example) = match schema.keyword("format").and_then(Value::as_str)? {
        "ip" => (text.parse::<IpAddr>().is_ok(), "IP", "192.0.2.25\" or \"2001:db8::25"),
        "ipv4" => (text.parse::<Ipv4Addr>().is_ok(), "IPv4", "192.0.2.25"),
        "ipv6" => (text.parse::<Ipv6Addr>().is_ok(), "IPv6", "2001:db8::25"),
        _ => return None,
    };
    let message = || format!("`{path}`: \"{}\" is no {wanted} address", text.escape_debug());
    (!fits).then(|| Fault::new(Rule::ConfigAddressIllegal, place, message()).hint(format!("write one, such as \"{example}\"")))
}

/// The fault of a number that the agent does not take there, if it is one.
pub(super) fn number_fault(path: &str, number: &Number, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    let found = number.as_f64()?;
    let (least, most) = schema.range();
    let said = |keyword| schema.keyword(keyword).and_then(Value::as_f64);
    let (above, below) = (said("exclusiveMinimum"), said("exclusiveMaximum"));
    let but = schema.keyword("not").and_then(|not| not.get("const")?.as_f64());
    let fits = least.is_none_or(|least| found >= least)
        && most.is_none_or(|most| found <= most)
        && above.is_none_or(|above| found > above)
        && below.is_none_or(|below| found < below)
        && but != Some(found);
    if fits {
        return None;
    }
    let lower = least.map(|least| format!("{least} or more")).or_else(|| above.map(|above| format!("more than {above}")));
    let upper = most.map(|most| format!("{most} or less")).or_else(|| below.map(|below| format!("less than {below}")));
    let range = match (least, most) {
        (Some(least), Some(most)) => Some(format!("{least} to {most}")),
        _ => Some([lower, upper].into_iter().flatten().collect::<Vec<_>>().join(", ")).filter(|range| !range.is_empty()),
    };
    let but = but.map(|but| format!("not {but}"));
    let hint: Vec<_> = range.into_iter().chain(but).collect();
    let fault = Fault::new(Rule::ConfigNumberOutOfRange, place, format!("`{path}`: {number} is out of range"));
    Some(fault.hint(hint.join(", ")))
}

/// The fault of a list of too few or too many items, if it is one.
pub(super) fn list_fault(path: &str, length: usize, place: &Place, schema: &Schema<'_>) -> Option<Fault> {
    let said = |keyword| schema.keyword(keyword).and_then(Value::as_u64);
    let (least, most) = (said("minItems"), said("maxItems"));
    let length = length as u64;
    if least.is_none_or(|least| length >= least) && most.is_none_or(|most| length <= most) {
        return None;
    }
    let wanted = match (least, most) {
        (Some(least), Some(most)) if least == most => format!("exactly {least}"),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, most) => format!("at most {}", most.unwrap_or_default()),
    };
    let items = if length == 1 { "item" } else { "items" };
    Some(Fault::new(Rule::ConfigListLength, place, format!("`{path}`: a list of {length} {items}")).hint(format!("{wanted} are wanted")))
}
