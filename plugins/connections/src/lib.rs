//! Counts the connections that the kernel of this machine knows: by local port, by peer, or of a Unix socket; and by state.
//!
//! Target: what is counted, as `127.0.0.1:25`, `to 192.0.2.7:25` or the path of a socket. Reading order: [`Config`] (what a job says) ·
//! [`Connections`] (the order of a run) · `end` (an end of a connection, as it is asked for) · `table` (a table of the kernel, line by
//! line) · `inet`, `unix` (what a line says) · `state` · `tally` (what is counted).
//!
//! For what no server publishes of itself: who is connected to Postfix, how many deliveries are under way, how busy Dovecot's
//! authentication is. `connections_active` counts what is established (of a Unix socket: what its server has accepted); `sockets` counts
//! everything that matches, by state: half-open and ending connections, those that wait to be accepted, and what listens.
//!
//! What it sees is what `ss` shows at the same place: this machine, and the network namespace that the daemon runs in. A server in a
//! container with a network of its own, or on another machine, has no line in these tables. So that this is no 0 that nobody meant, a job
//! of `local` or `socket` fails with kind `connect` while nothing listens there and no connection is left; of `remote` there is no such
//! sign, and 0 says only that this machine has no connection there.
//!
//! A connection within this machine has two lines, one for each end: `local` counts that of the server, `remote` that of the client. The
//! kernel gives its tables piece by piece: a socket that comes or goes in just that moment may be counted or not.
//!
//! Kinds of failure: `connect` as said, `local` when the kernel does not let us read, `protocol` for a table that is none.

mod config;
mod end;
mod inet;
mod state;
mod table;
mod tally;
mod unix;

use std::path::Path;

use watchpost_plugin_api::{Agent, AgentError, Cx, Metric, Needs, Unit, export_agents, standard};

pub use config::Config;
use config::Counted;
pub use end::{End, Several};
use tally::Tally;

/// Sockets by state.
pub const SOCKETS: Metric =
    Metric::gauge("sockets", Unit::Connections, "Sockets that match, by the state the kernel has them in.").by(&["state"]);

/// Connections over IPv4.
const TCP: &str = "/proc/net/tcp";
/// Those over IPv6, and those over IPv4 of a server that listens for both.
const TCP6: &str = "/proc/net/tcp6";
/// Those within this machine, by a path.
const UNIX: &str = "/proc/net/unix";

/// The agent `connections`, made for one job.
pub struct Connections {
    counted: Counted,
}

impl Agent for Connections {
    type Config = Config;
    const NAME: &'static str = "connections";
    const METRICS: &'static [Metric] = &[standard::CONNECTIONS_ACTIVE, SOCKETS];

    fn new(config: Config) -> Result<Self, AgentError> {
        Ok(Self { counted: config.counted()? })
    }

    fn target(config: &Config) -> String {
        config.counted().map(|counted| counted.to_string()).unwrap_or_default()
    }

    fn needs(config: &Config) -> Needs {
        match config.counted() {
            Ok(Counted::Unix(_)) => Needs::none().read(UNIX),
            _ => Needs::none().read(TCP).read(TCP6),
        }
    }

    async fn measure(&mut self, cx: &Cx) -> Result<(), AgentError> {
        let mut tally = Tally::default();
        match &self.counted {
            Counted::Unix(paths) => {
                let paths: Vec<String> = paths.iter().cloned().chain(paths.iter().filter_map(|path| without_links(path))).collect();
                table::read(cx, UNIX, |line| unix::count(line, &paths, &mut tally)).await?;
            }
            Counted::Inet { local, remote } => {
                table::read(cx, TCP, |line| inet::count(line, local, remote, &mut tally)).await?;
                // A kernel without IPv6 has no such table.
                if cx.stat(TCP6).await.is_ok() {
                    table::read(cx, TCP6, |line| inet::count(line, local, remote, &mut tally)).await?;
                }
            }
        }
        if self.counted.has_a_listener() && !tally.shows_a_server() {
            let what = format!("nothing listens on {} here; a server in another network namespace is not seen", self.counted);
            return Err(AgentError::connect(what));
        }
        tally.record(cx, self.counted.states());
        Ok(())
    }
}

/// The path as the kernel tells it of a server that knows nothing of links on the way, if it is another one.
fn without_links(path: &str) -> Option<String> {
    let real = Path::new(path).canonicalize().ok()?.into_os_string().into_string().ok()?;
    (real != path).then_some(real)
}

export_agents!(Connections);
