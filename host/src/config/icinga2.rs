//! A channel of passive check results: where Icinga 2 is, and what its objects are called.

use super::{
    At, Fault, Rule,
    channel::{Walk, template_faulty, with_path},
    reader::Texts,
};
use crate::{
    notify::{
        http::Receiver,
        icinga2::{Icinga2, ObjectName},
    },
    series::selector::Selector,
};

/// Where results are taken.
const PATH: &str = "/v1/actions/process-check-result";
/// What objects are called unless it is said.
const HOST: &str = "{{ target_host }}";
const SERVICE: &str = "watchpost {{ job }}";

/// Checks what such a channel has of its own.
pub(super) fn check(walk: &mut Walk<'_>) -> Option<Icinga2> {
    let hint = "the endpoints of a zone: urls = [\"https://icinga.example.org:5665\"]";
    let urls = walk.reader.text_or_texts("urls", walk.faults).required("urls", walk.place, hint, walk.faults);
    let urls = urls.and_then(|At { value: Texts { items, whole }, place }| {
        if items.is_empty() && whole {
            walk.faults.push(Fault::new(Rule::KeyMissing, &place, "`urls`: nobody is named").hint(hint));
        }
        let found: Vec<_> = items.iter().filter_map(|text| walk.url("urls", text)).collect();
        (whole && found.len() == items.len() && !found.is_empty()).then_some(found)
    });
    let (ca_file, user) = (walk.authorities(), walk.needed("user", "who gives results there: user = \"watchpost\""));
    let password = walk.secret("password");
    if password == Some(None) {
        let fault = Fault::new(Rule::KeyMissing, walk.place, "`password`: missing");
        walk.faults.push(fault.hint("the API user's: password = { file = \"secrets/icinga\" }"));
    }
    let jobs = match walk.optional("match") {
        Some(Some(text)) => match Selector::parse(&text) {
            Ok(selector) => Some(Some(selector)),
            Err(error) => {
                let message = format!("`match`: \"{}\" selects no jobs", text.escape_debug());
                walk.faults.push(Fault::new(Rule::RouteMatchIllegal, &text.place, message).hint(error.to_string()));
                None
            }
        },
        given => given.map(|_| None),
    };
    let (host, service) = (name(walk, "host", HOST), name(walk, "service", SERVICE));
    let ca_file = ca_file?;
    let receivers = urls?.iter().map(|url| Receiver { url: with_path(url, PATH), ca_file: ca_file.clone() }).collect();
    Some(Icinga2 { receivers, user: user?.value, password: password??, jobs: jobs?, host: host?, service: service? })
}

fn name(walk: &mut Walk<'_>, key: &'static str, usual: &str) -> Option<ObjectName> {
    let text = walk.optional(key)?;
    match ObjectName::parse(text.as_ref().map_or(usual, |text| text.as_str())) {
        Ok(name) => Some(name),
        Err(why) => {
            let place = text.as_ref().map_or(walk.place, |text| &text.place);
            walk.faults.push(template_faulty(key, place, &why).hint("it may use job, agent, target, target_host and labels of the job"));
            None
        }
    }
}
