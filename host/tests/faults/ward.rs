//! All faults in one daemon: a job for each, and neighbours whose servers are well all along.

use std::{collections::BTreeMap, fs, thread::sleep, time::Duration};

use serde_json::Value;
use watchpost_testkit::{Authority, PacketServer, Server};

use crate::{
    dns,
    harness::{Daemon, House, http::ask, scrape::Scrape, until},
    imap::IMAP,
    lines::{AUTHORITY_FILE, PASSWORD, PASSWORD_FILE, Service},
    pop3::POP3,
    row::Row,
    smtp::SMTP,
    told,
};

/// The protocols of lines.
const SERVICES: [Service; 3] = [SMTP, POP3, IMAP];
/// How often a job with a fault runs, and how long each run may take.
pub(crate) const EVERY: Duration = Duration::from_secs(4);
pub(crate) const TIMEOUT: Duration = Duration::from_secs(3);
/// How often a neighbour runs.
pub(crate) const NEIGHBOUR_EVERY: Duration = Duration::from_secs(2);
/// What has not shown after so long never will: three runs, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One daemon, run by an ordinary user, with all the rows.
pub(crate) struct Ward {
    pub(crate) daemon: Daemon,
    pub(crate) house: House,
    pub(crate) rows: Vec<Row>,
    _neighbours: (Vec<Server>, PacketServer),
}

/// How the servers are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Well,
    Ill,
}

/// What all commands and pages tell at one time.
pub(crate) struct Told {
    pub(crate) jobs: BTreeMap<String, Value>,
    pub(crate) workers: Vec<Value>,
    pub(crate) scrape: Scrape,
}

impl Ward {
    /// Starts the servers, all of them well, and then the daemon.
    pub(crate) async fn open() -> Self {
        let authority = Authority::new().unwrap();
        let mut rows = Vec::new();
        for service in SERVICES {
            rows.extend(service.rows(&authority).await);
        }
        rows.extend(dns::rows().await);
        Self::with(rows, &authority, House::start).await
    }

    /// The same with these rows, and a daemon that is started so.
    pub(crate) async fn with(rows: Vec<Row>, authority: &Authority, start: fn(&House) -> Daemon) -> Self {
        let mut lines = Vec::new();
        for service in SERVICES {
            lines.push(Server::start((service.neighbour)()).await.unwrap());
        }
        let packets = PacketServer::start(dns::neighbour()).await.unwrap();
        let ports = lines.iter().map(Server::port).chain([packets.port()]);
        let beside: String = agents().zip(ports).map(|(agent, port)| neighbour(agent, port)).collect();
        let defaults = format!("[defaults]\nevery = \"{}s\"\ntimeout = \"{}s\"\n", EVERY.as_secs(), TIMEOUT.as_secs());
        let schedule = defaults + &beside + &rows.iter().map(Row::schedule).collect::<String>();
        let house = House::ordinary(&schedule);
        house.keep(PASSWORD_FILE, PASSWORD.as_bytes());
        house.keep(AUTHORITY_FILE, &fs::read(authority.file()).unwrap());
        Self { daemon: start(&house), house, rows, _neighbours: (lines, packets) }
    }

    /// Makes every server ill.
    pub(crate) fn fall_ill(&self) {
        self.rows.iter().for_each(Row::fall_ill);
    }

    /// Makes every server well again.
    pub(crate) fn recover(&self) {
        self.rows.iter().for_each(Row::recover);
    }

    /// Names of the neighbours' jobs.
    pub(crate) fn neighbours() -> impl Iterator<Item = String> {
        agents().map(|agent| format!("neighbour-{agent}"))
    }

    /// What is told now.
    pub(crate) fn told(&self) -> Told {
        let status = ask(&self.house.socket(), "GET", "/api/v1/status").unwrap();
        let status: Value = serde_json::from_str(&status.body).unwrap();
        let list = |key: &str| status[key].as_array().unwrap().clone();
        let jobs = list("jobs").into_iter().map(|job| (job["name"].as_str().unwrap().to_owned(), job)).collect();
        Told { jobs, workers: list("workers"), scrape: Scrape::of(&self.daemon.get("/metrics").unwrap().body) }
    }

    /// Waits until that many runs of each job have ended since `before`, and all is told of them that the state of their servers asks
    /// for; gives what is told then.
    pub(crate) fn settles(&self, state: State, runs: u64, before: &Told) -> Told {
        let mut complaints = Vec::new();
        let settled = until(PATIENCE, || {
            sleep(LOOK_EVERY);
            let now = self.told();
            complaints = told::complaints(self, state, runs, before, &now);
            complaints.is_empty().then_some(now)
        });
        settled.unwrap_or_else(|| panic!("{} complaints:\n{}", complaints.len(), complaints.join("\n")))
    }
}

/// The agents; each has a neighbour whose server is well.
fn agents() -> impl Iterator<Item = &'static str> {
    SERVICES.into_iter().map(|service| service.agent).chain(["dns"])
}

fn neighbour(agent: &str, port: u16) -> String {
    let seconds = NEIGHBOUR_EVERY.as_secs();
    let keys = if agent == "dns" { "name = \"lab.test\"" } else { "" };
    format!(
        "[[job]]\nname = \"neighbour-{agent}\"\nagent = \"{agent}\"\nevery = \"{seconds}s\"\ntimeout = \"{seconds}s\"\n\
         [job.config]\nhost = \"127.0.0.1\"\nport = {port}\n{keys}\n"
    )
}
