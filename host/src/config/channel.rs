//! `[[channel]]`: a way in which people or programs are told of alarms.

mod faulty;
mod mail;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_snmp::{AuthProtocol, Oid, PrivProtocol};
use hyper::{
    Uri,
    header::{HeaderName, HeaderValue},
};
use watchpost_services::{Kept, Shared, expired};

pub(super) use faulty::template_faulty;

use super::{
    At, Fault, Faults, Place, Rule, icinga2,
    main_file::{absolute, check_path},
    near::did_you_mean,
    reader::{Field, Reader, Texts},
    secret,
    text::{Data, Table},
    ticket,
    timing::check_span,
};
use crate::{
    alarm::notice::Step,
    notify::{
        alertmanager::Alertmanager,
        channel::{Channel, Hidden, Kind},
        exec::Exec,
        http::Receiver,
        opcmsg::Opcmsg,
        snmp::{self, Login, Snmp},
        syslog::{Syslog, Transport},
        text::{Format, Template},
        webhook::{Body, Webhook},
    },
};

/// Keys that every channel has.
const COMMON: [&str; 3] = ["name", "timeout", "type"];
/// Types, each with the keys of its own.
const TYPES: [(&str, &[&str]); 9] = [
    ("alertmanager", &["heartbeat", "name", "tell", "timeout", "type", "ca_file", "urls"]),
    ("exec", &["heartbeat", "name", "tell", "timeout", "type", "command"]),
    // It is told how things are, with every run, and of no steps.
    ("icinga2", &["name", "timeout", "type", "ca_file", "host", "match", "password", "service", "urls", "user"]),
    (
        "mail",
        &[
            "heartbeat",
            "name",
            "tell",
            "timeout",
            "type",
            "ca_file",
            "from",
            "html",
            "language",
            "languages",
            "password",
            "server",
            "subject",
            "text",
            "tls",
            "to",
            "user",
        ],
    ),
    ("opcmsg", &["heartbeat", "name", "tell", "timeout", "type", "group", "node", "program"]),
    (
        "snmp",
        &[
            "heartbeat",
            "name",
            "tell",
            "timeout",
            "type",
            "auth",
            "auth_password",
            "community",
            "inform",
            "oid",
            "privacy",
            "privacy_password",
            "server",
            "user",
            "version",
        ],
    ),
    ("syslog", &["heartbeat", "name", "tell", "timeout", "type", "ca_file", "facility", "server"]),
    // A ticket is no sign of life.
    (
        "ticket",
        &[
            "name",
            "tell",
            "timeout",
            "type",
            "ca_file",
            "delay",
            "poll",
            "reopen_within",
            "secret",
            "settings",
            "system",
            "template",
            "url",
            "user",
        ],
    ),
    ("webhook", &["heartbeat", "name", "tell", "timeout", "type", "body", "ca_file", "format", "headers", "secret", "url"]),
];
/// Characters of a name, at most.
const NAME_CHARS_MAX: usize = 80;
/// How long a delivery may take unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest and shortest of what may be said.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
/// Shortest time between two signs of life.
const HEARTBEAT_MIN: Duration = Duration::from_secs(10);
/// Where OpenView has its program.
const OPCMSG: &str = "/opt/OV/bin/opcmsg";
/// Stands for a secret that is out of reach: as long as any password has to be, and fit for a header.
const STAND_IN: &str = "stands in for a secret";
/// Facilities of syslog by their names (RFC 5424, table 1).
const FACILITIES: [(&str, u8); 12] = [
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// Checks all of them; one that bears the name of another is told of.
pub(super) fn check(tables: &[At<Table>], faults: &mut Faults) -> Vec<At<Channel>> {
    let mut first: HashMap<String, Place> = HashMap::new();
    let mut checked = Vec::new();
    for table in tables {
        let Some(channel) = check_one(table, faults) else { continue };
        if let Some(first) = first.get(&channel.name) {
            let message = format!("channel {}: declared twice", channel.name);
            faults.push(Fault::new(Rule::ChannelTwice, &channel.place, message).hint(format!("first declared at {first}")));
            continue;
        }
        first.insert(channel.name.clone(), channel.place.clone());
        checked.push(channel);
    }
    checked
}

fn check_one(at: &At<Table>, faults: &mut Faults) -> Option<At<Channel>> {
    let (table, place) = (&at.value, &at.place);
    let kind = Reader::open(table).text("type", faults);
    let names = || TYPES.iter().map(|(name, _)| *name);
    let hint = format!("one of {}: type = \"mail\"", names().collect::<Vec<_>>().join(", "));
    let kind = kind.required("type", place, &hint, faults)?;
    let Some((_, keys)) = TYPES.iter().find(|(name, _)| *name == kind.value) else {
        let message = format!("`type`: \"{}\" is no type of a channel", kind.escape_debug());
        faults.push(Fault::new(Rule::ChannelTypeUnknown, &kind.place, message).hint(did_you_mean(&kind, "types", names())));
        return None;
    };
    debug_assert!(COMMON.iter().all(|key| keys.contains(key)));
    let mut walk = Walk { reader: Reader::new("`[[channel]]`", keys, table), place, faults };
    let name = walk.reader.text("name", walk.faults);
    let name = name.required("name", place, "a channel has a name of its own: name = \"ops-mail\"", walk.faults);
    let name = name.filter(|name| is_name(name, walk.faults));
    let tell = walk.tell();
    let heartbeat = walk.span("heartbeat", HEARTBEAT_MIN..=Duration::from_hours(24 * 7));
    let timeout = walk.span("timeout", Duration::from_secs(1)..=TIMEOUT_MAX);
    let kind = match kind.as_str() {
        "mail" => walk.mail().map(Kind::Mail),
        "webhook" => walk.webhook().map(Kind::Webhook),
        "alertmanager" => walk.receivers("urls").map(|receivers| Kind::Alertmanager(Alertmanager { receivers })),
        "snmp" => walk.snmp().map(Kind::Snmp),
        "syslog" => walk.syslog().map(Kind::Syslog),
        "exec" => walk.exec().map(Kind::Exec),
        "icinga2" => icinga2::check(&mut walk).map(|icinga| Kind::Icinga2(Arc::new(icinga))),
        "ticket" => ticket::check(&mut walk).map(|desk| Kind::Ticket(Box::new(desk))),
        _ => walk.opcmsg().map(Kind::Opcmsg),
    };
    let Walk { reader, faults, .. } = walk;
    reader.finish(faults);
    let (name, kind) = (name?, kind?);
    let tell = tell?.unwrap_or_else(|| kind.usual_steps().into_iter().collect());
    let channel = Channel {
        tell: tell.into_iter().chain(kind.needed_steps().iter().copied()).collect(),
        heartbeat: heartbeat?,
        timeout: timeout?.unwrap_or(TIMEOUT),
        name: name.value,
        kind,
        person: None,
    };
    Some(At { value: channel, place: name.place })
}

/// Lists the files that secrets of channels come from.
pub(super) fn secret_files(tables: &[At<Table>]) -> Vec<PathBuf> {
    tables.iter().flat_map(|table| secret::files_of(&table.value)).collect()
}

fn is_name(name: &At<String>, faults: &mut Faults) -> bool {
    // A person's own channels bear the names of both, with a / between them.
    let legal = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && crate::plain(name) == name.value && !name.contains('/');
    if !legal {
        let shown: String = name.escape_debug().take(NAME_CHARS_MAX).collect();
        let fault = Fault::new(Rule::ChannelNameIllegal, &name.place, format!("`name`: \"{shown}\" is no name of a channel"));
        faults.push(fault.hint(format!("1 to {NAME_CHARS_MAX} characters that can be shown, and no /")));
    }
    legal
}

/// One table on its way to a channel; what gives `None` was told of.
pub(super) struct Walk<'t> {
    pub(super) reader: Reader<'t>,
    pub(super) place: &'t Place,
    pub(super) faults: &'t mut Faults,
}

impl Walk<'_> {
    fn tell(&mut self) -> Option<Option<Vec<Step>>> {
        let texts = match self.reader.texts("tell", self.faults) {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(texts) => texts.value,
        };
        let mut steps = Vec::with_capacity(texts.items.len());
        for text in &texts.items {
            match Step::ALL.into_iter().find(|step| step.name() == text.value) {
                Some(step) => steps.push(step),
                None => {
                    let message = format!("`tell`: \"{}\" is no step of an alarm", text.escape_debug());
                    let hint = did_you_mean(text, "steps", Step::ALL.iter().map(|step| step.name()));
                    self.faults.push(Fault::new(Rule::ChannelStepUnknown, &text.place, message).hint(hint));
                }
            }
        }
        (texts.whole && steps.len() == texts.items.len()).then_some(Some(steps))
    }

    pub(super) fn span(&mut self, key: &'static str, within: std::ops::RangeInclusive<Duration>) -> Option<Option<Duration>> {
        let text = self.reader.text(key, self.faults);
        // No time at all is no span, and may be meant here.
        if within.contains(&Duration::ZERO) && matches!(&text, Field::Given(text) if text.value == "0s") {
            return Some(Some(Duration::ZERO));
        }
        match check_span(key, &text, self.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(span) if within.contains(&span.value) => Some(Some(span.value)),
            Field::Given(span) => {
                let [least, most] = [within.start(), within.end()].map(|end| crate::log::seconds(*end));
                let message = format!("`{key}`: is not in the range {least} to {most} seconds");
                self.faults.push(Fault::new(Rule::ChannelTimeOutOfRange, &span.place, message).hint("write \"30s\" or \"5m\""));
                None
            }
        }
    }

    pub(super) fn optional(&mut self, key: &'static str) -> Option<Option<At<String>>> {
        match self.reader.text(key, self.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(text) => Some(Some(text)),
        }
    }

    pub(super) fn needed(&mut self, key: &'static str, hint: &str) -> Option<At<String>> {
        self.reader.text(key, self.faults).required(key, self.place, hint, self.faults)
    }

    /// A file of authorities: that it cannot be used, or is out of date, is told of; it may be mended while the daemon runs.
    pub(super) fn authorities(&mut self) -> Option<Option<PathBuf>> {
        let Some(text) = self.optional("ca_file")? else { return Some(None) };
        let path = check_path("ca_file", &text, self.faults).map(absolute)?.value;
        if let Err(error) = Shared::default().has_authorities(Some(&path)) {
            let fault = Fault::new(Rule::CertificateUnreadable, &text.place, format!("`ca_file`: {}", error.message()));
            self.faults.push(fault.hint("until it can be used, nobody is told by this channel"));
        } else if let Some(why) = expired(&path, Kept::Authorities, SystemTime::now()) {
            let fault = Fault::new(Rule::CertificateExpired, &text.place, format!("`ca_file`: {why}"));
            self.faults.push(fault.hint("get the authority's new certificate, and put it there"));
        }
        Some(Some(path))
    }

    /// One of a few words.
    fn choice<T: Clone>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<Option<T>> {
        let Some(text) = self.optional(key)? else { return Some(None) };
        let found = choices.iter().find(|(word, _)| *word == text.value).map(|(_, choice)| Some(choice.clone()));
        if found.is_none() {
            let message = format!("`{key}`: \"{}\" is none of what it can be", text.escape_debug());
            let hint = did_you_mean(&text, "choices", choices.iter().map(|(word, _)| *word));
            self.faults.push(Fault::new(Rule::ChannelChoiceUnknown, &text.place, message).hint(hint));
        }
        found
    }

    pub(super) fn secret(&mut self, key: &'static str) -> Option<Option<Hidden>> {
        match self.reader.any(key, self.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(at) => secret_of(key, &at, self.faults).map(Some),
        }
    }

    fn template(&mut self, key: &'static str, format: Format) -> Option<Option<Template>> {
        let Some(text) = self.optional(key)? else { return Some(None) };
        match Template::parse(&text, format) {
            Ok(template) => Some(Some(template)),
            Err(why) => {
                self.faults.push(template_faulty(key, &text.place, &why).hint(match format {
                    Format::Json => "values bring their own quotes: body = '{\"text\": {{ text }}}'",
                    _ => "it may use text, title, state, severity, job, target, series, value, bound, time, since, …",
                }));
                None
            }
        }
    }

    fn illegal<T>(&mut self, text: &At<String>, key: &str, what: &str, hint: &str) -> Option<T> {
        let message = format!("`{key}`: \"{}\" is no {what}", text.escape_debug());
        self.faults.push(Fault::new(Rule::ChannelAddressIllegal, &text.place, message).hint(hint));
        None
    }

    fn webhook(&mut self) -> Option<Webhook> {
        let url = self.needed("url", "who gets it: url = \"https://hooks.example.org/watchpost\"");
        let url = url.and_then(|text| self.url("url", &text));
        let (ca_file, secret) = (self.authorities(), self.secret("secret"));
        let format = self.choice("format", &[("watchpost", Body::Own), ("alertmanager", Body::Alertmanager)]);
        let template = self.template("body", Format::Json);
        let headers = self.headers();
        let (url, ca_file) = (url?, ca_file?);
        let body = match (template?, format?) {
            (Some(template), None) => Body::Template(template),
            (None, format) => format.unwrap_or(Body::Own),
            (Some(_), Some(_)) => {
                let fault = Fault::new(Rule::ChannelFormTwice, self.place, "channel: both `format` and `body`");
                self.faults.push(fault.hint("a template decides the form: leave `format` out"));
                return None;
            }
        };
        Some(Webhook { receiver: Receiver { url, ca_file }, headers: headers?, secret: secret?, body })
    }

    fn headers(&mut self) -> Option<Vec<(HeaderName, Hidden)>> {
        let table = match self.reader.table("headers", self.faults) {
            Field::Absent => return Some(Vec::new()),
            Field::Broken => return None,
            Field::Given(table) => table.value,
        };
        let mut headers = Vec::new();
        for (key, entry) in &table.0 {
            let Ok(name) = HeaderName::from_bytes(key.as_bytes()) else {
                let message = format!("`headers`: \"{}\" is no name of a header", key.escape_debug());
                self.faults.push(
                    Fault::new(Rule::ChannelAddressIllegal, &entry.key, message)
                        .hint("write headers = { Authorization = { file = \"…\" } }"),
                );
                continue;
            };
            // A header may well be public: one in plain sight is not warned about.
            let value = match &entry.value.value {
                Data::Text(text) => Some(Hidden::new(text.clone())),
                _ => secret_of(&format!("headers.{key}"), &entry.value, self.faults),
            };
            let value = value.filter(|value| HeaderValue::from_str(value.reveal()).is_ok());
            headers.extend(value.map(|value| (name, value)));
        }
        (headers.len() == table.0.len()).then_some(headers)
    }

    fn receivers(&mut self, key: &'static str) -> Option<Vec<Receiver>> {
        let hint = "every one of the cluster: urls = [\"http://127.0.0.1:9093\"]";
        let urls = self.reader.text_or_texts(key, self.faults).required(key, self.place, hint, self.faults);
        let ca_file = self.authorities();
        let At { value: Texts { items, whole }, place } = urls?;
        let found: Vec<Uri> = items.iter().filter_map(|text| self.url(key, text)).collect();
        if items.is_empty() && whole {
            self.faults.push(Fault::new(Rule::KeyMissing, &place, format!("`{key}`: nobody is named")).hint(hint));
        }
        let whole = whole && found.len() == items.len() && !found.is_empty();
        let ca_file = ca_file?;
        whole.then(|| found.into_iter().map(|url| Receiver { url: with_path(&url, "/api/v2/alerts"), ca_file: ca_file.clone() }).collect())
    }

    pub(super) fn url(&mut self, key: &str, text: &At<String>) -> Option<Uri> {
        let url: Option<Uri> = text.parse().ok();
        let url = url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty()));
        let url = url.filter(|url| url.authority().is_some_and(|authority| !authority.as_str().contains('@')));
        url.or_else(|| {
            self.illegal(text, key, "address of a receiver", "write \"https://host/path\", without a user: secrets belong in `headers`")
        })
    }

    fn syslog(&mut self) -> Option<Syslog> {
        let server = self.needed("server", "where the collector is: server = \"udp://127.0.0.1:514\"");
        let (ca_file, facility) = (self.authorities(), self.choice("facility", &FACILITIES));
        let text = server?;
        let hint = "write \"udp://host:514\", \"tcp://host:514\" or \"tls://host:6514\"";
        let parts = text
            .split_once("://")
            .and_then(|(by, at)| Some((by.to_owned(), host_and_port(at, if by == "tls" { Some(6514) } else { Some(514) })?)));
        let Some((by, (host, port))) = parts else { return self.illegal(&text, "server", "address of a collector", hint) };
        let transport = match by.as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls { ca_file: ca_file? },
            _ => return self.illegal(&text, "server", "address of a collector", hint),
        };
        Some(Syslog { transport, host, port, facility: facility?.unwrap_or(3) })
    }

    fn snmp(&mut self) -> Option<Snmp> {
        let server = self.needed("server", "which manager is told: server = \"127.0.0.1:162\"");
        let server = server.and_then(|text| {
            host_and_port(&text, Some(162)).or_else(|| self.illegal(&text, "server", "host with a port", "write \"nms.example.org:162\""))
        });
        let inform = match self.reader.flag("inform", self.faults) {
            Field::Absent => Some(true),
            Field::Broken => None,
            Field::Given(inform) => Some(inform.value),
        };
        let root = match self.optional("oid")? {
            None => Oid::parse(snmp::ROOT).ok(),
            Some(text) => match Oid::parse(&text) {
                Ok(oid) if text.starts_with("1.3.6.1.4.1.") && oid.to_string().split('.').count() > 7 => Some(oid),
                _ => self.illegal(
                    &text,
                    "oid",
                    "place of an enterprise",
                    "write \"1.3.6.1.4.1.\" and your number, as in the MIB that the manager has",
                ),
            },
        };
        let is_v3 = self.choice("version", &[("2c", false), ("3", true)]);
        let (community, user) = (self.secret("community"), self.optional("user"));
        let auth = self.choice("auth", &[("sha1", AuthProtocol::Sha1), ("sha256", AuthProtocol::Sha256), ("sha512", AuthProtocol::Sha512)]);
        let privacy = self.choice("privacy", &[("aes128", PrivProtocol::Aes128), ("aes256", PrivProtocol::Aes256Blumenthal)]);
        let (auth_password, privacy_password) = (self.secret("auth_password"), self.secret("privacy_password"));
        let (is_v3, community, user, auth_password, privacy_password) = (is_v3?, community?, user?, auth_password?, privacy_password?);
        let missing = |walk: &mut Self, hint: &str| {
            let fault = Fault::new(Rule::KeyMissing, walk.place, "channel: who we are to the manager is not said");
            walk.faults.push(fault.hint(hint));
        };
        let login = if is_v3.unwrap_or(true) {
            let (Some(user), Some(auth_password), Some(privacy_password)) = (user, auth_password, privacy_password) else {
                missing(self, "write user, auth_password and privacy_password; or version = \"2c\" and community");
                return None;
            };
            for (key, password) in [("auth_password", &auth_password), ("privacy_password", &privacy_password)] {
                // RFC 3414, 11.2.
                if password.reveal().len() < 8 {
                    let fault = Fault::new(Rule::ChannelAddressIllegal, self.place, format!("`{key}`: has fewer than 8 characters"));
                    self.faults.push(fault.hint("no manager takes a shorter one"));
                    return None;
                }
            }
            let (auth, privacy) = (auth?.unwrap_or(AuthProtocol::Sha256), privacy?.unwrap_or(PrivProtocol::Aes128));
            Login::V3 { user: user.value, auth, auth_password, privacy, privacy_password }
        } else {
            let Some(community) = community else {
                missing(self, "write community = { file = \"…\" }");
                return None;
            };
            Login::V2c(community)
        };
        let (host, port) = server?;
        Some(Snmp { host, port, inform: inform?, login, root: root? })
    }

    fn exec(&mut self) -> Option<Exec> {
        let hint = "a program and its arguments, no shell: command = [\"/usr/local/bin/tell\", \"--from\", \"watchpost\"]";
        let command = self.reader.texts("command", self.faults).required("command", self.place, hint, self.faults)?;
        let Texts { items, whole } = command.value;
        let Some((program, args)) = items.split_first() else {
            self.faults.push(Fault::new(Rule::KeyMissing, &command.place, "`command`: no program is named").hint(hint));
            return None;
        };
        let program = self.program("command", program)?;
        whole.then(|| Exec { program, args: args.iter().map(|arg| arg.value.clone()).collect() })
    }

    fn opcmsg(&mut self) -> Option<Opcmsg> {
        let (program, group, node) = (self.optional("program"), self.optional("group"), self.optional("node"));
        let program = program?.unwrap_or_else(|| At { value: OPCMSG.into(), place: self.place.clone() });
        let program = self.program("program", &program)?;
        let group = group?.map_or_else(|| "watchpost".to_owned(), |group| group.value);
        Some(Opcmsg { program, group, node: node?.map(|node| node.value) })
    }

    /// A program that can be run.
    fn program(&mut self, key: &str, text: &At<String>) -> Option<PathBuf> {
        let path = check_path(key, text, self.faults).map(absolute)?.value;
        let runs = rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file();
        if !runs {
            let fault =
                Fault::new(Rule::ChannelProgramMissing, &text.place, format!("`{key}`: {} is no program that can be run", path.display()));
            self.faults.push(fault.hint("write its path, and make it executable"));
        }
        runs.then_some(path)
    }
}

/// Fetches a secret, or takes the plain one and warns.
pub(super) fn secret_of(path: &str, at: &At<Data>, faults: &mut Faults) -> Option<Hidden> {
    match &at.value {
        Data::Text(text) => {
            let warning = Fault::new(Rule::SecretPlain, &at.place, format!("`{path}`: a secret in plain sight"));
            faults.push(warning.hint("write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }"));
            Some(Hidden::new(text.clone()))
        }
        Data::Table(table) => match secret::fetch(path, table, &at.place, &secret::process_environment) {
            Ok(secret) => Some(Hidden::new(secret)),
            Err(fault) => {
                // Nobody is told with it, for nothing runs; but who may not have it learns of the channel all the same.
                let out_of_reach = fault.as_ref().is_some_and(|fault| fault.rule.is_secret_out_of_reach());
                faults.extend(fault);
                out_of_reach.then(|| Hidden::new(STAND_IN.into()))
            }
        },
        Data::Broken => None,
        other => {
            faults.push(secret::misshapen(path, other, &at.place));
            None
        }
    }
}

/// A host and its port, the usual one where none is written.
fn host_and_port(text: &str, usual: Option<u16>) -> Option<(String, u16)> {
    let uri: Uri = format!("x://{text}").parse().ok()?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    let bare = uri.path().trim_start_matches('/').is_empty() && uri.query().is_none() && !text.contains('@');
    let port = uri.port_u16().or(usual)?;
    bare.then(|| (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

pub(super) fn with_path(url: &Uri, path: &str) -> Uri {
    let base = url.path().trim_end_matches('/');
    let mut parts = url.clone().into_parts();
    parts.path_and_query = format!("{base}{path}").parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| url.clone())
}
