//! A channel of tickets: which system, where, and what its template asks for.

mod requests;
mod template;

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    At, Fault, Faults, Rule,
    channel::{Walk, secret_of, template_faulty},
    main_file::{absolute, check_path},
    near::did_you_mean,
    reader::Field,
    text::{self, Data},
};
use crate::{
    notify::{channel::Hidden, http::Receiver},
    ticket::{
        desk::{Desk, try_out},
        template::{SHIPPED, Setting, Template},
    },
};

/// How long an alarm goes on before there is a ticket, unless said otherwise.
const DELAY: Duration = Duration::from_secs(300);
/// How often tickets are read.
const POLL: Duration = Duration::from_secs(60);
/// How soon an alarm is raised again to be told in the ticket that there is.
const REOPEN_WITHIN: Duration = Duration::from_hours(24);
/// Longest of all of these.
const SPAN_MAX: Duration = Duration::from_hours(24 * 30);

/// Checks what such a channel has of its own.
pub(super) fn check(walk: &mut Walk<'_>) -> Option<Desk> {
    let url = walk.needed("url", "where the system is: url = \"https://tickets.example.org\"");
    let url = url.and_then(|text| walk.url("url", &text));
    let (ca_file, secret, user) = (walk.authorities(), walk.secret("secret"), walk.optional("user"));
    let delay = walk.span("delay", Duration::ZERO..=SPAN_MAX);
    let poll = walk.span("poll", Duration::from_secs(1)..=SPAN_MAX);
    let reopen_within = walk.span("reopen_within", Duration::ZERO..=SPAN_MAX);
    let template = template_of(walk);
    let settings = match walk.reader.table("settings", walk.faults) {
        Field::Absent => Some(None),
        Field::Broken => None,
        Field::Given(table) => Some(Some(table)),
    };
    let (template, template_at) = template?;
    let settings = check_settings(&template, settings?.as_ref(), walk)?;
    let user = user?.map(|user| user.value);
    let desk = Desk {
        template,
        receiver: Receiver { url: url?, ca_file: ca_file? },
        user,
        secret: secret?,
        settings,
        delay: delay?.unwrap_or(DELAY),
        poll: poll?.unwrap_or(POLL),
        reopen_within: reopen_within?.unwrap_or(REOPEN_WITHIN),
    };
    tried(&desk, &template_at, walk.faults).then_some(desk)
}

/// The template that is named, and where its file's patterns stand.
fn template_of(walk: &mut Walk<'_>) -> Option<(Template, template::Places)> {
    let (system, file) = (walk.optional("system"), walk.optional("template"));
    match (system?, file?) {
        (Some(_), Some(file)) => {
            let fault = Fault::new(Rule::ChannelFormTwice, &file.place, "channel: both `system` and `template`");
            walk.faults.push(fault.hint("a template of your own is a system: leave `system` out"));
            None
        }
        (None, None) => {
            let hint = format!("which system it is: system = \"{}\", or a file of your own: template = \"desk.toml\"", SHIPPED[0].0);
            walk.faults.push(Fault::new(Rule::KeyMissing, walk.place, "`system`: missing").hint(hint));
            None
        }
        (Some(system), None) => {
            let Some((name, text)) = SHIPPED.iter().find(|(name, _)| *name == system.value) else {
                let message = format!("`system`: \"{}\" is no system that comes with the program", system.escape_debug());
                let hint = did_you_mean(&system, "systems", SHIPPED.iter().map(|(name, _)| *name));
                walk.faults.push(Fault::new(Rule::TicketSystemUnknown, &system.place, message).hint(hint));
                return None;
            };
            read(name, Path::new(&format!("{name}.toml")), text.as_bytes(), walk.faults)
        }
        (None, Some(file)) => {
            let path = check_path("template", &file, walk.faults).map(absolute)?.value;
            match text::read(&path) {
                Ok(bytes) => {
                    let name = path.file_stem().map(|stem| crate::plain(&stem.to_string_lossy())).unwrap_or_default();
                    read(&name, &file.place.resolve(&file.value), &bytes, walk.faults)
                }
                Err(error) => {
                    let message = format!("`template`: cannot read {}: {}", path.display(), crate::chain(&error));
                    walk.faults.push(Fault::new(Rule::TicketTemplateUnreadable, &file.place, message));
                    None
                }
            }
        }
    }
}

fn read(system: &str, file: &Path, bytes: &[u8], faults: &mut Faults) -> Option<(Template, template::Places)> {
    let tree = text::parse(file, bytes, faults)?;
    template::check(system, &tree, &String::from_utf8_lossy(bytes), faults)
}

/// What is given, held against what the template asks for.
fn check_settings(template: &Template, given: Option<&At<text::Table>>, walk: &mut Walk<'_>) -> Option<BTreeMap<String, Hidden>> {
    let mut settings = BTreeMap::new();
    let mut whole = true;
    for (key, entry) in given.iter().flat_map(|table| &table.value.0) {
        let Some(known) = template.settings.get(key) else {
            let message = format!("`settings`: {} has no setting `{}`", template.name, key.escape_debug());
            let hint = did_you_mean(key, "settings", template.settings.keys().map(String::as_str));
            walk.faults.push(Fault::new(Rule::TicketSettingUnknown, &entry.key, message).hint(hint));
            whole = false;
            continue;
        };
        let value = setting(key, known, &entry.value, walk.faults);
        whole &= value.is_some();
        settings.extend(value.map(|value| (key.clone(), value)));
    }
    for (key, known) in &template.settings {
        let is_given = given.is_some_and(|table| table.value.0.contains_key(key));
        match &known.default {
            _ if is_given => {}
            Some(default) => drop(settings.insert(key.clone(), Hidden::new(default.clone()))),
            None if known.required => {
                let hint = format!("{}: settings = {{ {key} = \"…\" }}", known.help);
                let place = given.map_or(walk.place, |table| &table.place);
                walk.faults.push(Fault::new(Rule::KeyMissing, place, format!("`settings.{key}`: missing")).hint(hint));
                whole = false;
            }
            None => drop(settings.insert(key.clone(), Hidden::new(String::new()))),
        }
    }
    whole.then_some(settings)
}

fn setting(key: &str, known: &Setting, at: &At<Data>, faults: &mut Faults) -> Option<Hidden> {
    let path = format!("settings.{key}");
    match &at.value {
        _ if known.secret => secret_of(&path, at, faults),
        Data::Text(text) => Some(Hidden::new(text.clone())),
        Data::Whole(number) => Some(Hidden::new(number.to_string())),
        other => {
            faults.extend(super::reader::misshapen(&path, "a text", other, &at.place));
            None
        }
    }
}

/// Tries every pattern of the template with what the channel gives; tells of those that are faulty where they stand.
fn tried(desk: &Desk, places: &template::Places, faults: &mut Faults) -> bool {
    let mut whole = true;
    for (key, place, pattern) in places {
        if let Err(why) = try_out(desk, pattern) {
            faults.push(
                template_faulty(key, place, &why).hint(
                    "it may use title, description, said, ticket.key, ticket.id, settings.…, user, secret, session, severity, job, …",
                ),
            );
            whole = false;
        }
    }
    whole
}

/// A template that comes with the program, and its settings with what is not given by default.
#[cfg(test)]
pub(crate) fn shipped(name: &str, given: &[(&str, &str)]) -> (Template, BTreeMap<String, Hidden>) {
    let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name).unwrap();
    let mut faults = Faults::default();
    let read = read(name, Path::new(name), text.as_bytes(), &mut faults);
    let template = read.unwrap_or_else(|| panic!("{name}: {faults}")).0;
    let default = |(key, setting): (&String, &Setting)| (key.clone(), setting.default.clone().unwrap_or_default());
    let mut settings: BTreeMap<String, String> = template.settings.iter().map(default).collect();
    settings.extend(given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    (template, settings.into_iter().map(|(key, value)| (key, Hidden::new(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_system_that_comes_with_the_program_is_read_without_a_fault() {
        for (name, text) in SHIPPED {
            let mut faults = Faults::default();
            let (template, _) = read(name, Path::new(name), text.as_bytes(), &mut faults).unwrap_or_else(|| panic!("{name}: {faults}"));
            assert_eq!(faults.iter().count(), 0, "{name}: {faults}");
            assert!(template.documents.iter().all(|url| url.starts_with("https://")), "{name}");
            assert!(!template.states.open.is_empty() || template.read.is_none(), "{name}: nothing is open");
        }
    }
}
