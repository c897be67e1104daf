//! `[host_alarms]`: what of the host's own alarms is to be otherwise.

use super::{
    Fault, Faults, Rule,
    alarm_rule::{check_link, check_text},
    near::did_you_mean,
    reader::{Field, Reader, misshapen},
    text::{Data, Table},
};
use crate::alarm::{
    host::{HostKind, HostRules},
    x733::{SEVERITIES, severity_named},
};

/// Keys of one kind.
const KEYS: [&str; 6] = ["enabled", "free_min", "instruction", "link", "records_max", "severity"];

/// Takes shape and meaning of the table.
pub(super) fn check(table: Field<Table>, faults: &mut Faults) -> HostRules {
    let mut rules = HostRules::default();
    for (name, entry) in table.given().map(|table| table.value.0).unwrap_or_default() {
        let Some(kind) = HostKind::ALL.iter().copied().find(|kind| kind.name() == name) else {
            let message = format!("`host_alarms.{}`: no alarm of the host is called so", name.escape_debug());
            let hint = did_you_mean(&name, "alarms of the host", HostKind::ALL.iter().map(|kind| kind.name()));
            faults.push(Fault::new(Rule::HostAlarmUnknown, &entry.key, message).hint(hint));
            continue;
        };
        match &entry.value.value {
            Data::Table(table) => of_kind(kind, table, &mut rules, faults),
            other => faults.extend(misshapen(&format!("host_alarms.{name}"), "a table", other, &entry.value.place)),
        }
    }
    rules
}

fn of_kind(kind: HostKind, table: &Table, rules: &mut HostRules, faults: &mut Faults) {
    let mut reader = Reader::new("a table of an alarm of the host", &KEYS, table);
    let (enabled, severity) = (reader.flag("enabled", faults), reader.text("severity", faults));
    let (instruction, link) = (reader.text("instruction", faults), reader.text("link", faults));
    if kind == HostKind::DiskLow {
        if let Field::Given(text) = reader.text("free_min", faults) {
            match text
                .trim()
                .strip_suffix('%')
                .and_then(|share| share.trim().parse::<f64>().ok())
                .filter(|share| (0.0..100.0).contains(share))
            {
                Some(share) => rules.free_min = share / 100.0,
                None => {
                    let message = format!("`free_min`: \"{}\" is no share of the disk", text.escape_debug());
                    faults.push(Fault::new(Rule::FreeMinIllegal, &text.place, message).hint("write \"5%\""));
                }
            }
        }
    } else {
        reader.refuse_here("free_min", "belongs to `host_alarms.disk_low`", faults);
    }
    if kind == HostKind::ConsumerBehind {
        if let Field::Given(records) = reader.whole("records_max", faults) {
            match u64::try_from(records.value).ok().filter(|records| *records > 0) {
                Some(records) => rules.behind_max = records,
                None => {
                    let message = format!("`records_max`: {} is not in the range from 1 on", records.value);
                    faults.push(Fault::new(Rule::RecordsMaxOutOfRange, &records.place, message).hint("write records_max = 10000"));
                }
            }
        }
    } else {
        reader.refuse_here("records_max", "belongs to `host_alarms.consumer_behind`", faults);
    }
    reader.finish(faults);
    let severity = severity.given().and_then(|word| {
        let known = severity_named(&word);
        if known.is_none() {
            let message = format!("`severity`: \"{}\" is no severity", word.escape_debug());
            let hint = did_you_mean(&word, "severities", SEVERITIES.iter().map(|(name, _)| *name));
            faults.push(Fault::new(Rule::SeverityUnknown, &word.place, message).hint(hint));
        }
        known
    });
    let told = check_text("instruction", &instruction, faults).flatten();
    let leads = check_text("link", &link, faults).and_then(|said| check_link(said, &link, faults)).flatten();
    let Some(rule) = rules.of(kind) else { return };
    rule.enabled = enabled.given().is_none_or(|flag| flag.value);
    rule.severity = severity.unwrap_or(rule.severity);
    rule.instruction = told.or(rule.instruction.take());
    rule.link = leads;
}
