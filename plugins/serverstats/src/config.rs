//! What a job of this agent says of itself.

use std::{
    collections::BTreeMap,
    fmt,
    num::{NonZeroU16, NonZeroU32},
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};
use watchpost_directory::{Auth, Keys};
use watchpost_plugin_api::{AgentError, Kind, PathBuf, Secret, TlsMode, Unit};

use crate::{
    ready,
    sources::{Asked, Page, Url},
};

/// What a server publishes of itself. `source` is required, and `url` of all but "slapd".
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who is asked, and how: "dovecot" (its OpenMetrics listener), "doveadm" (Dovecot's HTTP API: the same figures, volumes, and who is
    /// logged in), "slapd" (OpenLDAP's cn=Monitor, by LDAP), "bind" (its statistics channel) or "prometheus" (any endpoint that
    /// Prometheus could scrape; `map` says what is taken from it).
    pub source: Source,
    /// Where the server publishes, e.g. "http://127.0.0.1:9900/metrics" (dovecot), "http://127.0.0.1:8080/doveadm/v1" (doveadm),
    /// "http://127.0.0.1:8053/json/v1/server" or "…/xml/v3/server" (bind). Redirects are not followed. Not for "slapd".
    pub url: Option<String>,
    /// Which of Dovecot's services the figures are of: "imap" (commands by name, messages deleted), "pop3" (with "doveadm" only), "lmtp"
    /// (the mail store: connections, messages received and stored) or "auth" (the cache before the directory: queries by outcome).
    /// The metrics that Dovecot must be told to count stand in the sample of this agent; one that it does not count stays unknown.
    pub service: Option<Service>,
    /// doveadm's key (`doveadm_api_key`): `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub key: Option<Secret>,
    /// Token that is sent as `Authorization: Bearer …`; for "prometheus".
    pub token: Option<Secret>,
    /// Name to log in with, and with `password`: an entry of the directory for "slapd", else by HTTP's basic authentication.
    pub user: Option<String>,
    /// Password of `user`: `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
    pub password: Option<Secret>,
    /// Name or address of the directory server; for "slapd".
    pub host: Option<String>,
    /// Unix socket of a directory on this machine, e.g. "/run/slapd/ldapi"; for "slapd", in place of `host`.
    pub socket: Option<PathBuf>,
    /// TCP port of the directory; for "slapd". Default: 389, or 636 with `tls = "implicit"`.
    pub port: Option<NonZeroU16>,
    /// Whether and how the session with the directory is encrypted: "none" (the default), "starttls" or "implicit". For "slapd"; of the
    /// others the scheme of `url` says it.
    #[serde(default)]
    pub tls: TlsMode,
    /// How to bind to the directory: "simple" (the default) or "external" (SASL EXTERNAL, by `socket`).
    #[serde(default)]
    pub auth: Auth,
    /// Name that the server's certificate must carry, also sent as SNI. Default: that of `url` or `host`.
    pub server_name: Option<String>,
    /// PEM file of the authorities to trust instead of the system's, e.g. "ca.pem".
    pub ca_file: Option<PathBuf>,
    /// Bytes that a page may have; a longer one fails the run with kind `limit`. Default: 4194304 (4 MiB).
    #[serde(default = "four_mebibytes")]
    pub bytes_max: NonZeroU32,
    /// What is taken from the page, and as what, beside what is ready for `source` and `service`; required for "prometheus".
    #[serde(default)]
    pub map: Vec<Map>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Dovecot's OpenMetrics listener.
    Dovecot,
    /// Dovecot's HTTP API.
    Doveadm,
    /// OpenLDAP's monitor.
    Slapd,
    /// BIND's statistics channel.
    Bind,
    /// Any endpoint for Prometheus.
    Prometheus,
}

/// A service of Dovecot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Mail is read.
    Imap,
    /// Mail is fetched.
    Pop3,
    /// Mail is stored.
    Lmtp,
    /// Passwords and users are looked up.
    Auth,
}

/// From samples to one metric.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The sample that is taken: its name with all of its labels, e.g. 'dovecot_imap_command_total{cmd_name="FETCH"}'; `*` is any value,
    /// e.g. 'requests_total{code="200",method=*}'. A list of these, or several samples of one, are added up; one that is NaN or infinite
    /// makes the sum unknown. Of "doveadm" there are `count` and `sum` {metric="…",field="…"} and `sessions`, also {service="…"}; of
    /// "bind" `opcodes`, `rcodes`, `qtypes`, `nsstats`, … {name="…"}; of "slapd" `monitorCounter`, `monitorOpCompleted`,
    /// `monitorOpInitiated` {entry="cn=…,cn=Monitor"}.
    pub from: Texts,
    /// The metric that it becomes: one that means the same in every agent (`connections`, `queries`, `messages_received`, …), or a name
    /// of your own, `[a-z][a-z0-9_]*`.
    pub to: String,
    /// Labels of the metric, e.g. { reason = "timeout" }.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Labels of the samples that become labels of the metric, one series for each value, e.g. ["zone"].
    #[serde(default)]
    pub by: Vec<String>,
    /// A sample that shows, by being there, that the server counts this: while it is, a `from` that is not there is 0. Without it, it is
    /// unknown.
    pub zero_if: Option<String>,
    /// Whether the run may end well without it. Default: false, the run fails with kind `protocol`, and the rest is recorded.
    #[serde(default)]
    pub optional: bool,
    /// "counter" (a running total) or "gauge", of a metric of your own. Default: a counter if all names of `from` end in `_total`,
    /// `_count` or `_sum`, else a gauge.
    #[schemars(with = "Option<String>")]
    pub kind: Option<Kind>,
    /// Unit of a metric of your own: "seconds", "bytes", "ratio", "messages", "connections", "queries", "errors", "answers", "days" or
    /// "number" (the default).
    #[schemars(with = "Option<String>")]
    pub unit: Option<Unit>,
    /// A sentence that says what a metric of your own is. Default: the names of `from`.
    pub help: Option<String>,
}

/// One text, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
                Ok(vec![one.to_owned()])
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut more: S) -> Result<Self::Value, S::Error> {
                let mut all = Vec::new();
                while let Some(one) = more.next_element()? {
                    all.push(one);
                }
                Ok(all)
            }
        }

        deserializer.deserialize_any(OneOrMore).map(Self)
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

impl Config {
    /// Names what is asked: the address, and the service where several are behind it.
    pub(crate) fn target(&self) -> String {
        let address = match (self.source, &self.url) {
            (Source::Slapd, _) => self.keys().place().target(),
            (_, Some(url)) => Url::parse(url).map(|url| url.address()).unwrap_or_default(),
            (_, None) => String::new(),
        };
        match self.service {
            Some(service) => format!("{address} {}", service.name()),
            None => address,
        }
    }

    /// Understands who is asked.
    ///
    /// Errors: kind `config`, at the key.
    pub(crate) fn asked(&self) -> Result<Asked, AgentError> {
        self.check_keys()?;
        if self.source == Source::Slapd {
            return Ok(Asked::Directory(Box::new(self.keys().directory()?)));
        }
        let wanted = || AgentError::config("url", "is missing; wanted is e.g. \"http://127.0.0.1:9900/metrics\"");
        let url = Url::parse(self.url.as_deref().ok_or_else(wanted)?).map_err(|why| AgentError::config("url", why))?;
        Ok(Asked::Page(Box::new(Page::of(self, url)?)))
    }

    /// The maps that are ready for it, beside those of its own.
    ///
    /// Errors: kind `config`, where neither says what is taken.
    pub(crate) fn ready(&self) -> Result<Vec<Map>, AgentError> {
        let ready = ready::of(self.source, self.service)?;
        if ready.is_none() && self.map.is_empty() {
            return Err(match self.source {
                Source::Dovecot | Source::Doveadm => AgentError::config("", "neither `service` nor `map` says what is taken"),
                _ => AgentError::config("map", "is empty; it says what is taken from the page"),
            });
        }
        Ok(ready.unwrap_or_default())
    }

    /// Refuses keys that do not go with the source.
    fn check_keys(&self) -> Result<(), AgentError> {
        let (source, name) = (self.source, self.source.name());
        let is = |wanted: &[Source]| wanted.contains(&source);
        let stray = |key: &str, is_there: bool, goes_with: &[Source]| {
            AgentError::refuse_if(is_there && !is(goes_with), key, format!("does not go with `source = \"{name}\"`"))
        };
        let pages = [Source::Dovecot, Source::Doveadm, Source::Bind, Source::Prometheus];
        let keyless = source == Source::Doveadm && self.key.is_none();
        let pop3 = (source, self.service) == (Source::Dovecot, Some(Service::Pop3));
        AgentError::all([
            stray("url", self.url.is_some(), &pages),
            stray("service", self.service.is_some(), &[Source::Dovecot, Source::Doveadm]),
            stray("key", self.key.is_some(), &[Source::Doveadm]),
            stray("token", self.token.is_some(), &[Source::Prometheus]),
            stray("host", self.host.is_some(), &[Source::Slapd]),
            stray("socket", self.socket.is_some(), &[Source::Slapd]),
            stray("port", self.port.is_some(), &[Source::Slapd]),
            stray("tls", self.tls != TlsMode::None, &[Source::Slapd]),
            stray("auth", self.auth != Auth::Simple, &[Source::Slapd]),
            stray("user", self.user.is_some(), &[Source::Dovecot, Source::Bind, Source::Prometheus, Source::Slapd]),
            AgentError::refuse_if(keyless, "key", "is missing; doveadm tells nobody without its `doveadm_api_key`"),
            AgentError::refuse_if(pop3, "service", "\"pop3\" goes with `source = \"doveadm\"`: only that knows its sessions"),
        ])
    }

    fn keys(&self) -> Keys {
        Keys {
            host: self.host.clone(),
            socket: self.socket.clone(),
            port: self.port,
            tls: self.tls,
            server_name: self.server_name.clone(),
            ca_file: self.ca_file.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            auth: self.auth,
        }
    }
}

impl Source {
    /// As a configuration writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dovecot => "dovecot",
            Self::Doveadm => "doveadm",
            Self::Slapd => "slapd",
            Self::Bind => "bind",
            Self::Prometheus => "prometheus",
        }
    }
}

impl Service {
    /// As a configuration writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Lmtp => "lmtp",
            Self::Auth => "auth",
        }
    }
}

fn four_mebibytes() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(4 * 1024 * 1024 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, (&str, &str)>) {
        let config: Config = toml::from_str(text).unwrap();
        let found = config.asked().and_then(|_| config.ready()).map(|_| config.target());
        let found = found.map_err(|error| (error.path().to_owned(), error.message().to_owned()));
        assert_eq!(found, expected.map(str::to_owned).map_err(|(path, why)| (path.to_owned(), why.to_owned())), "{text}");
    }

    #[test]
    fn each_source_is_named_by_its_address_and_service() {
        check("source = 'dovecot'\nurl = 'http://127.0.0.1:9900/metrics'\nservice = 'imap'", Ok("127.0.0.1:9900 imap"));
        check(
            "source = 'doveadm'\nurl = 'https://mail.example.org/doveadm/v1'\nkey = 'k'\nservice = 'pop3'",
            Ok("mail.example.org:443 pop3"),
        );
        check("source = 'bind'\nurl = 'http://[::1]:8053/xml/v3/server'", Ok("[::1]:8053"));
        check("source = 'slapd'\nhost = 'ldap'", Ok("ldap:389"));
        check("source = 'slapd'\nsocket = '/run/slapd/ldapi'\nauth = 'external'", Ok("/run/slapd/ldapi"));
        check("source = 'prometheus'\nurl = 'http://a/metrics'\nmap = [{ from = 'a', to = 'b' }]", Ok("a:80"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_at_its_key() {
        let url = "url = 'http://a/'";
        check("source = 'dovecot'\nservice = 'imap'", Err(("url", "is missing; wanted is e.g. \"http://127.0.0.1:9900/metrics\"")));
        check(&format!("source = 'dovecot'\n{url}"), Err(("", "neither `service` nor `map` says what is taken")));
        check(&format!("source = 'prometheus'\n{url}"), Err(("map", "is empty; it says what is taken from the page")));
        check(&format!("source = 'doveadm'\n{url}"), Err(("key", "is missing; doveadm tells nobody without its `doveadm_api_key`")));
        let pop3 = "\"pop3\" goes with `source = \"doveadm\"`: only that knows its sessions";
        check(&format!("source = 'dovecot'\n{url}\nservice = 'pop3'"), Err(("service", pop3)));
        let stray = |key: &'static str, source: &str| (key, format!("does not go with `source = \"{source}\"`"));
        for (text, (key, why)) in [
            ("source = 'slapd'\nhost = 'a'\nurl = 'http://a/'", stray("url", "slapd")),
            ("source = 'bind'\nurl = 'http://a/'\nservice = 'imap'", stray("service", "bind")),
            ("source = 'dovecot'\nurl = 'http://a/'\nkey = 'k'", stray("key", "dovecot")),
            ("source = 'bind'\nurl = 'http://a/'\ntoken = 'k'", stray("token", "bind")),
            ("source = 'bind'\nurl = 'http://a/'\nhost = 'k'", stray("host", "bind")),
            ("source = 'bind'\nurl = 'http://a/'\nsocket = 'k'", stray("socket", "bind")),
            ("source = 'bind'\nurl = 'http://a/'\nport = 1", stray("port", "bind")),
            ("source = 'bind'\nurl = 'http://a/'\ntls = 'starttls'", stray("tls", "bind")),
            ("source = 'bind'\nurl = 'http://a/'\nauth = 'external'", stray("auth", "bind")),
            ("source = 'doveadm'\nurl = 'http://a/'\nkey = 'k'\nuser = 'u'\npassword = 'p'", stray("user", "doveadm")),
        ] {
            check(text, Err((key, why.as_str())));
        }
        check("source = 'slapd'", Err(("", "neither `host` nor `socket` is there")));
        check(&format!("source = 'bind'\n{url}\nuser = 'u'"), Err(("user", "needs `password` beside it")));
    }
}
