//! HTTP through the interface: an agent asks what its configuration lists, a server of pages answers, well or badly.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod answers;
mod connections;
mod dialogue;
mod hostile;
mod phases;

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use watchpost_plugin_api::{HttpHead, prelude::*};
use watchpost_testkit::{Authority, HttpServer, Kit, Page, Pages, Ran, Script, StoryError};

const WAIT_TIME: Metric = Metric::gauge("wait_time", Unit::Seconds, "Time until the first byte of an answer.");
const BODY_TIME: Metric = Metric::gauge("body_time", Unit::Seconds, "Time of a body.");

/// One request of a configuration.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asking {
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
    #[serde(default)]
    form: Vec<(String, String)>,
    connect_to: Option<std::net::SocketAddr>,
    #[serde(default)]
    keep: Option<Keeping>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    inspect: bool,
    /// How much of the body is read at most; nothing of it if 0.
    #[serde(default = "a_mebibyte")]
    bytes_max: usize,
}

impl Asking {
    /// Where the request goes.
    fn port(&self) -> u16 {
        let (scheme, rest) = self.url.split_once("://").unwrap_or_default();
        let written = rest.split('/').next().and_then(|server| server.rsplit_once(':')?.1.parse().ok());
        let usual = if scheme == "https" { 443 } else { 80 };
        self.connect_to.map_or(written.unwrap_or(usual), |address| address.port())
    }
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Keeping {
    Never,
    Job,
}

fn get() -> String {
    "GET".into()
}

fn a_mebibyte() -> usize {
    1 << 20
}

#[derive(Deserialize, JsonSchema)]
struct Config {
    id: u64,
    asks: Vec<Asking>,
    password: Option<Secret>,
}

/// What an answer was, its body read.
#[derive(Clone, Debug)]
struct Got {
    head: HttpHead,
    text: String,
}

/// What each agent got in its last run, by its id.
static GOT: Mutex<Option<HashMap<u64, Vec<Got>>>> = Mutex::new(None);

struct Browser(Config);

impl Agent for Browser {
    type Config = Config;
    const NAME: &'static str = "browser";
    const METRICS: &'static [Metric] =
        &[standard::RESOLVE_TIME, standard::CONNECT_TIME, standard::TLS_TIME, WAIT_TIME, BODY_TIME, standard::TOTAL_TIME];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self(config))
    }

    fn target(_: &Config) -> String {
        "here".into()
    }

    fn needs(config: &Config) -> Needs {
        config.asks.iter().fold(Needs::none(), |needs, asking| needs.tcp(asking.port()))
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut laps = cx.laps();
        for ask in &self.0.asks {
            let response = cx.http(self.request(ask)).await?;
            let (head, times) = (response.head.clone(), response.times());
            let marks =
                [(standard::RESOLVE_TIME, times.resolved), (standard::CONNECT_TIME, times.connected), (standard::TLS_TIME, times.secured)];
            for (phase, mark) in marks {
                if let Some(mark) = mark {
                    laps.lap_at(phase, mark);
                }
            }
            laps.lap_at(WAIT_TIME, times.answered);
            let text = if ask.bytes_max == 0 { String::new() } else { response.text(ask.bytes_max).await? };
            laps.lap(BODY_TIME);
            GOT.lock().unwrap().get_or_insert_default().entry(self.0.id).or_default().push(Got { head, text });
        }
        laps.total(standard::TOTAL_TIME);
        Ok(())
    }
}

impl Browser {
    fn request(&self, ask: &Asking) -> HttpRequest {
        let secret = self.0.password.as_ref().map(Secret::expose).unwrap_or_default();
        let filled = |text: &str| text.replace("SECRET", secret);
        let mut request = HttpRequest::new(&ask.method, filled(&ask.url)).body(ask.body.as_bytes());
        for (name, value) in &ask.headers {
            request = request.header(name, filled(value));
        }
        if !ask.form.is_empty() {
            let fields: Vec<_> = ask.form.iter().map(|(name, value)| (name.as_str(), filled(value))).collect();
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            request = request.form(&fields);
        }
        if ask.ca_file.is_some() || ask.inspect {
            let tls = if ask.inspect { Tls::inspect("") } else { Tls::verify("") };
            request = request.tls(tls.ca_file(ask.ca_file.as_ref()));
        }
        if let Some(address) = ask.connect_to {
            request = request.connect_to(address);
        }
        match ask.keep {
            Some(Keeping::Never) => request.keep(Keep::Never),
            Some(Keeping::Job) => request.keep(Keep::Job),
            None => request,
        }
    }
}

/// An agent that asks this, and its id.
fn browser(asks: &[Value], password: &str) -> (Kit<Browser>, u64) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let id = COUNT.fetch_add(1, Ordering::Relaxed);
    let kit = Kit::new(&json!({ "id": id, "asks": asks, "password": password })).unwrap();
    (kit.explain(), id)
}

async fn run(kit: &mut Kit<Browser>, id: u64) -> (Ran, Vec<Got>) {
    let ran = kit.run().await;
    (ran, GOT.lock().unwrap().get_or_insert_default().remove(&id).unwrap_or_default())
}

/// Asks this, once.
async fn asked(asks: &[Value]) -> (Ran, Vec<Got>) {
    let (mut kit, id) = browser(asks, "");
    run(&mut kit, id).await
}

/// Asks a server of one page, and gives what came of it: what was got, or the failure.
async fn answer_to(method: &str, page: Page) -> Result<Got, (String, String)> {
    let server = HttpServer::start(Pages::new().on(&format!("{method} /"), page)).await.unwrap();
    let (ran, mut got) = asked(&[json!({ "method": method, "url": server.url("/") })]).await;
    match ran.failure() {
        None => Ok(got.remove(0)),
        Some((kind, message)) => Err((kind.to_owned(), message.to_owned())),
    }
}
