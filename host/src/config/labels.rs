//! A job's own labels.

use std::collections::BTreeMap;

use watchpost_plugin_api::LABELS_RESERVED;

use super::{
    At, Fault, Faults, Place, Rule,
    reader::{Field, misshapen},
    text::{Data, Table},
};

/// Bytes of a label's value, at most.
const LABEL_BYTES_MAX: usize = 1024;

/// A job's own labels, by key.
pub(super) type Labels = BTreeMap<String, At<String>>;

/// Checks the labels; gives those that are sound, and whether all are.
pub(super) fn check(field: Field<Table>, faults: &mut Faults) -> (Labels, bool) {
    let table = match field {
        Field::Absent => return (Labels::new(), true),
        Field::Broken => return (Labels::new(), false),
        Field::Given(table) => table.value,
    };
    let mut labels = Labels::new();
    let mut sound = true;
    for (key, entry) in table.0 {
        let key_fault = key_fault(&key, &entry.key);
        match check_value(&key, entry.value, faults) {
            Some(value) if key_fault.is_none() => drop(labels.insert(key, value)),
            _ => sound = false,
        }
        faults.extend(key_fault);
    }
    (labels, sound)
}

fn key_fault(key: &str, place: &Place) -> Option<Fault> {
    if LABELS_RESERVED.contains(&key) {
        let fault = Fault::new(Rule::LabelOfTheHost, place, format!("label `{key}`: the host sets this label itself"));
        return Some(fault.hint("choose another key"));
    }
    let fitting = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_word = key.bytes().next().is_some_and(|first| first.is_ascii_lowercase()) && key.bytes().all(fitting);
    let fault = || Fault::new(Rule::LabelKeyIllegal, place, format!("`labels`: \"{}\" is no key of a label", key.escape_debug()));
    (!is_word).then(|| fault().hint("lower case letters, digits and `_`, the first a letter"))
}

fn check_value(key: &str, value: At<Data>, faults: &mut Faults) -> Option<At<String>> {
    let key = key.escape_debug();
    let At { value, place } = value;
    let fault = match value {
        Data::Text(text) if text.len() > LABEL_BYTES_MAX => {
            let message = format!("label `{key}`: a value of {} bytes", text.len());
            Some(Fault::new(Rule::LabelTooLong, &place, message).hint(format!("{LABEL_BYTES_MAX} are allowed")))
        }
        Data::Text(text) if text.contains('\0') => Some(
            Fault::new(Rule::LabelIllegal, &place, format!("label `{key}`: its value has a NUL")).hint("leave it out: a label is shown"),
        ),
        Data::Text(text) => return Some(At { value: text, place }),
        other => misshapen(&format!("labels.{key}"), "a text", &other, &place),
    };
    faults.extend(fault);
    None
}
