//! A server that does to each client what its script says.

use std::{future::pending, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
        watch,
    },
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    entrance::Entrance,
    script::{Script, Step},
    wire::{End, Wire},
};

/// How long one step may take, and how long a test waits for a connection to end.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections that are remembered before a test asks; a test that makes more without asking hears nothing of the rest.
pub(crate) const SERVED_MAX: usize = 4096;

/// What went wrong with a story, rather than with the agent in it.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// The server cannot listen, or a file cannot be written.
    #[error("cannot set up the server")]
    Io(#[from] io::Error),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection came, or none ended.
    #[error("no connection ended within {STEP_TIMEOUT:?}")]
    Nobody,
}

/// What a script did with one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Lines that the client said where the script waited for one.
    pub heard: Vec<String>,
    /// Why the script ended before its last step; `None` if it did not.
    pub broke: Option<String>,
}

/// What the next client finds.
#[derive(Clone)]
enum Manner {
    Plays(Script),
    Refuses,
    Ignores,
}

/// A server on a port of its own; stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    manner: watch::Sender<Manner>,
    served: Mutex<Receiver<Served>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and does to each client what the script says.
    pub async fn start(script: Script) -> Result<Self, StoryError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let ((told, served), (manner, following)) = (channel(SERVED_MAX), watch::channel(Manner::Plays(script)));
        let task = tokio::spawn(serve(Entrance::new(address, Some(listener)), following, told));
        Ok(Self { address, manner, served: Mutex::new(served), task })
    }

    /// Does to each client from now on what this script says; who is connected gets the one before to its end.
    pub fn play(&self, script: Script) {
        self.manner.send_replace(Manner::Plays(script));
    }

    /// Refuses to be connected to from now on; who is connected is served to the end.
    pub fn refuse(&self) {
        self.manner.send_replace(Manner::Refuses);
    }

    /// Answers nobody who connects from now on, neither yes nor no; who is connected is served to the end.
    pub fn ignore(&self) {
        self.manner.send_replace(Manner::Ignores);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until the next connection has ended and tells what was heard in it.
    ///
    /// Errors: [`StoryError::Nobody`] after 20 s.
    pub async fn served(&self) -> Result<Served, StoryError> {
        let mut served = self.served.lock().await;
        timeout(STEP_TIMEOUT, served.recv()).await.ok().flatten().ok_or(StoryError::Nobody)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut entrance: Entrance, mut manner: watch::Receiver<Manner>, told: Sender<Served>) {
    // Dropped, and with it every connection, when the server is.
    let mut clients = JoinSet::new();
    loop {
        let now = manner.borrow_and_update().clone();
        tokio::select! {
            biased;
            changed = manner.changed() => if changed.is_err() { return },
            stream = meet(&mut entrance, &now) => {
                let (Ok(stream), Manner::Plays(script)) = (stream, now) else { return };
                let told = told.clone();
                clients.spawn(async move {
                    let served = play(stream, &script).await;
                    // Full, or nobody left to tell: the test did not want to know.
                    let _ = told.try_send(served);
                });
                while clients.try_join_next().is_some() {}
            }
        }
    }
}

/// Waits for a client that is to be served.
async fn meet(entrance: &mut Entrance, manner: &Manner) -> io::Result<TcpStream> {
    match manner {
        Manner::Plays(_) => entrance.accept().await,
        Manner::Refuses => {
            entrance.close();
            pending().await
        }
        Manner::Ignores => {
            let _held = entrance.ignore().await?;
            pending().await
        }
    }
}

pub(crate) async fn play(end: impl Into<End>, script: &Script) -> Served {
    play_within(STEP_TIMEOUT, end, script).await
}

/// Follows the script; a step that takes longer breaks it.
pub(crate) async fn play_within(step_max: Duration, end: impl Into<End>, script: &Script) -> Served {
    let mut served = Served { heard: Vec::new(), broke: None };
    let mut wire = Wire::new(end);
    for (at, step) in script.steps.iter().enumerate() {
        let broke = match timeout(step_max, act(step, &mut wire, &mut served.heard)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing within {step_max:?}"),
        };
        served.broke = Some(format!("step {}, {step:?}: {broke}", at + 1));
        return served;
    }
    // A client that has gone first is as good as one that is left.
    let _ = timeout(step_max, wire.close()).await;
    served
}

pub(crate) async fn act(step: &Step, wire: &mut Wire, heard: &mut Vec<String>) -> io::Result<()> {
    match step {
        Step::Send(bytes) => wire.send(bytes).await,
        Step::Trickle(bytes, every) => wire.trickle(bytes, *every).await,
        Step::Flood(bytes) => {
            wire.flood(bytes).await;
            Ok(())
        }
        Step::Expect(parts) => {
            let line = wire.line().await?;
            heard.push(line.clone());
            if fits(&line, parts) { Ok(()) } else { Err(io::Error::other(format!("heard {line:?}"))) }
        }
        Step::ExpectUntil(last) => loop {
            let line = wire.line().await?;
            heard.push(line.clone());
            if line == *last {
                return Ok(());
            }
        },
        Step::ExpectMessage(length, part) => {
            let message = wire.message_of(*length).await?;
            let told = String::from_utf8_lossy(&message).into_owned();
            heard.push(told.clone());
            match part.is_empty() || message.windows(part.len()).any(|window| window == part) {
                true => Ok(()),
                false => Err(io::Error::other(format!("heard {told:?}"))),
            }
        }
        Step::Pause(time) => {
            tokio::time::sleep(*time).await;
            Ok(())
        }
        Step::Silence => {
            wire.gone().await;
            Ok(())
        }
        Step::Cut => wire.close().await,
        Step::Reset => wire.reset(),
        Step::Tls(tls) => wire.start_tls(tls).await,
    }
}

/// Whether the line has these parts in this order, the first at its beginning.
fn fits(line: &str, parts: &[String]) -> bool {
    let Some((first, others)) = parts.split_first() else { return true };
    let Some(mut rest) = line.strip_prefix(first.as_str()) else { return false };
    for part in others {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_when_its_parts_come_in_order() {
        let check = |line: &str, parts: &[&str], expected| {
            let parts: Vec<String> = parts.iter().map(|&part| part.to_owned()).collect();
            assert_eq!(fits(line, &parts), expected, "{line} {parts:?}");
        };
        check("MAIL FROM:<a@b> SIZE=3", &["MAIL FROM:<", "> SIZE="], true);
        check("MAIL FROM:<a@b>", &["MAIL FROM:<", "> SIZE="], false);
        check(" MAIL", &["MAIL"], false);
        check("aa", &["a", "a"], true);
        check("a", &["a", "a"], false);
        check("anything", &[], true);
    }
}
