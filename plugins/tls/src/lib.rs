//! Looks at the certificates and the handshake of any TLS service: when they expire, whether a client would trust them, what was agreed on.
//!
//! Target: `host:port` of a service that speaks TLS from the first byte, or by the STARTTLS of SMTP, IMAP, POP3 or LDAP. Reading order:
//! [`Config`] (what a job says) · [`TlsAgent`] (the order of the phases) · `entrance` (the way to a handshake) · `look` (what a chain is
//! worth) · `news` (what is told when it changes).
//!
//! A certificate that is expired, for another name, of an unknown authority or signed by itself is measured like a good one: the run ends
//! well, and an event tells what is wrong, once, and when it is no more. `require` has such runs fail. A service that cannot be reached, or
//! does not get through a handshake whatever the certificate is worth, fails the run in any case.
//!
//! The phases are laps of one clock, so they add up to `total_time` exactly; `tls_time` is the handshake with the command before it, as in
//! `smtp`, `imap`, `pop3` and `ldap`, whose sessions are used here. No session is resumed: each run sees the whole chain.
//!
//! `trusted` is what a client that verifies would say of everything together: time, use, authority, name. `chain_expires_in` is the first
//! end of all certificates that the server sends, whether a client needs them or not.
//!
//! With `versions` one more connection for each of TLS 1.2 and TLS 1.3 that was not agreed on anyway asks whether the server takes it:
//! `accepts` is 1 or 0, and unknown where the question broke off for another reason. TLS 1.1 and older cannot be asked for, nor can
//! single ciphers: the TLS library offers what is safe and nothing else.

mod config;
mod entrance;
mod look;
mod news;

use watchpost_plugin_api::{
    Agent, AgentError, Cx, Door, Endpoint, ErrorKind, Laps, Level, Metric, Needs, RecordType, Resolver, Stream, Tls, TlsFacts, TlsVerdict,
    Unit, export_agents, standard,
};

pub use config::{Config, Requirement, Starttls};
use look::Look;
use news::Seen;

/// The versions that can be asked for.
const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];
/// How the host tells that a connection ended before the handshake did: a server that closes says neither yes nor no.
const CLOSED: &str = "closed the connection";

/// When the server's own certificate ends.
pub const EXPIRES_IN: Metric =
    Metric::gauge("expires_in", Unit::Seconds, "Time until the server's certificate expires; below 0 since it has.");
/// When the first of the chain ends.
pub const CHAIN_EXPIRES_IN: Metric =
    Metric::gauge("chain_expires_in", Unit::Seconds, "Time until the first certificate of the chain expires; below 0 since it has.");
/// How many there are.
pub const CHAIN_LENGTH: Metric = Metric::gauge("chain_length", Unit::Number, "Certificates that the server sends.");
/// Whether a client would go on.
pub const TRUSTED: Metric = Metric::gauge("trusted", Unit::Number, "1 when a client that verifies would trust the server, else 0.");
/// Whether it is for the name.
pub const NAME_MATCHES: Metric =
    Metric::gauge("name_matches", Unit::Number, "1 when the certificate is for the name that was asked for, else 0.");
/// Size of the key.
pub const KEY_BITS: Metric = Metric::gauge("key_bits", Unit::Number, "Bits of the server's key.");
/// What was agreed on.
pub const SESSION: Metric = Metric::gauge("session", Unit::Number, "Always 1: version and cipher suite that client and server agreed on.")
    .by(&["version", "cipher"]);
/// What would be.
pub const ACCEPTS: Metric = Metric::gauge("accepts", Unit::Number, "1 when the server takes this version of TLS, else 0.").by(&["version"]);

/// The agent `tls`, made for one job.
pub struct TlsAgent {
    config: Config,
    door: Door,
    /// What was told; `None` before the first run.
    seen: Option<Seen>,
}

impl Agent for TlsAgent {
    type Config = Config;
    const NAME: &'static str = "tls";
    const METRICS: &'static [Metric] = &[
        standard::RESOLVE_TIME,
        standard::CONNECT_TIME,
        standard::BANNER_TIME,
        standard::EHLO_TIME,
        standard::TLS_TIME,
        standard::TOTAL_TIME,
        EXPIRES_IN,
        CHAIN_EXPIRES_IN,
        CHAIN_LENGTH,
        TRUSTED,
        NAME_MATCHES,
        KEY_BITS,
        SESSION,
        ACCEPTS,
    ];

    fn new(config: Config) -> Result<Self, AgentError> {
        config.check()?;
        Ok(Self { door: config.door(), config, seen: None })
    }

    fn target(config: &Config) -> String {
        config.door().target()
    }

    fn needs(config: &Config) -> Needs {
        config.door().needs()
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        let (endpoint, stream) = self.reach(cx, &mut laps).await?;
        let wanted = self.config.handshake();
        let facts = entrance::handshake(cx, stream, self.config.starttls, &wanted, |phase| {
            laps.lap(phase);
        })
        .await?;
        let look = Look { facts: &facts, name: &wanted.server_name, now: cx.now() };
        record(cx, &look);
        if self.config.versions {
            self.ask_versions(cx, &endpoint, &wanted, &facts).await;
        }
        let ended = self.config.require.iter().try_for_each(|&requirement| look.require(requirement));
        self.remember(cx, &look, ended.is_ok())?;
        ended?;
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl TlsAgent {
    /// From the name to an open connection; gives where it leads to, too.
    async fn reach(&self, cx: &Cx, laps: &mut Laps<'_>) -> Result<(Endpoint, Stream), AgentError> {
        let addresses = cx.resolve(&self.door.host, RecordType::Any, Resolver::System).await?;
        laps.lap(standard::RESOLVE_TIME);
        let stream = cx.connect(Endpoint::tcp(&addresses, self.door.port)).await?;
        laps.lap(standard::CONNECT_TIME);
        // Whoever answered first is asked again: another address may be another server.
        let endpoint = stream.ends()?.peer.map_or_else(|| Endpoint::tcp(&addresses, self.door.port), Endpoint::from);
        Ok((endpoint, stream))
    }

    /// Asks for each version that was not agreed on.
    async fn ask_versions(&self, cx: &Cx, endpoint: &Endpoint, wanted: &Tls, facts: &TlsFacts) {
        for version in VERSIONS {
            let taken = match facts.version == version {
                true => Some(true),
                false => self.takes(cx, endpoint.clone(), &wanted.clone().version(version), version).await,
            };
            if let Some(taken) = taken {
                cx.record_with(ACCEPTS, &[("version", version)], taken);
            }
        }
    }

    /// Whether the server takes a handshake of one version; `None` if it did not say.
    async fn takes(&self, cx: &Cx, endpoint: Endpoint, wanted: &Tls, version: &str) -> Option<bool> {
        let asked = async {
            let stream = cx.connect(endpoint).await?;
            entrance::handshake(cx, stream, self.config.starttls, wanted, |_| ()).await
        };
        match cx.within(cx.remaining() / 2, asked).await {
            // A host that is older than the question agrees on what it likes.
            Ok(facts) => (facts.version == version).then_some(true),
            Err(error) if error.kind() == ErrorKind::TLS && !error.message().contains(CLOSED) => Some(false),
            Err(error) => {
                cx.log(Level::Debug, &format!("whether {version} is taken is unknown: {error}"));
                None
            }
        }
    }

    /// Tells what is new, and leaves what is known to the next run.
    fn remember(&mut self, cx: &Cx, look: &Look<'_>, is_good: bool) -> Result<(), AgentError> {
        // A run that reads what was left and fails would lose what it measured, so only one that is as good as over reads it.
        let before = match self.seen.take() {
            Some(seen) => seen,
            None if is_good => cx.cursor().and_then(|left| serde_json::from_slice(&left).ok()).unwrap_or_default(),
            None => Seen::default(),
        };
        let seen = self.seen.insert(Seen::of(look));
        seen.report(cx, look, &before);
        cx.set_cursor(&serde_json::to_vec(seen).map_err(|error| AgentError::local(error.to_string()))?)
    }
}

/// Records what is known; of a certificate that cannot be read that is little.
fn record(cx: &Cx, look: &Look<'_>) {
    let facts = look.facts;
    cx.record_with(SESSION, &[("version", &facts.version), ("cipher", &facts.cipher)], 1);
    cx.record(CHAIN_LENGTH, facts.chain.len());
    cx.record(TRUSTED, facts.verdict == TlsVerdict::Valid);
    if let Some(left) = look.expires_in() {
        cx.record(EXPIRES_IN, left);
    }
    if let Some(left) = look.chain_expires_in() {
        cx.record(CHAIN_EXPIRES_IN, left);
    }
    if let Some(matches) = look.name_matches() {
        cx.record(NAME_MATCHES, matches);
    }
    if let Some(bits) = look.own().and_then(|own| own.key_bits) {
        cx.record(KEY_BITS, bits);
    }
}

export_agents!(TlsAgent);
