//! A network of scripted servers within the test, on a clock that nobody has to wait for.

use std::{
    collections::HashMap,
    future::pending,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    io::duplex,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, timeout},
};
use watchpost_services::network::{Connecting, Network};

use crate::{
    script::Script,
    server::{SERVED_MAX, STEP_TIMEOUT, Served, StoryError, play_within},
};

/// Bytes under way in one direction of a connection.
const UNDER_WAY_BYTES: usize = 64 * 1024;
/// How long a step of a script may take, on a clock that nobody waits for: longer than any deadline.
const STEP_MAX: Duration = Duration::from_secs(366 * 86_400);
/// ECONNREFUSED; what connect(2) says where nobody listens.
const REFUSED: i32 = 111;
/// The port that each connection has on our side.
const OUR_PORT: u16 = 49_152;
/// What the wall clock says at the beginning: some day, to the second.
const BEGINNING: Duration = Duration::from_secs(1_800_000_000);

/// A network in memory. What an agent of a [`Kit`](crate::Kit) [in it](crate::Kit::network) connects to is one of its servers, or nobody.
///
/// Under `#[tokio::test(start_paused = true)]` time passes when all wait, and at once: a server that is silent for an hour takes no time,
/// and a run's times are those of the script, to the nanosecond. Files are read as ever; datagrams and programs are not of it.
#[derive(Clone)]
pub struct TestNetwork(Arc<Inner>);

struct Inner {
    began: Instant,
    names: Mutex<HashMap<String, Vec<IpAddr>>>,
    doors: Mutex<HashMap<SocketAddr, Door>>,
}

#[derive(Clone)]
enum Door {
    Plays(Script, Sender<Served>),
    Ignores,
}

/// What a server of the network did; asked as a [`Server`](crate::Server) is.
pub struct Talks(Receiver<Served>);

impl Talks {
    /// Waits until the next connection has ended and tells what was heard in it.
    ///
    /// Errors: [`StoryError::Nobody`] after 20 s, of whatever clock.
    pub async fn served(&mut self) -> Result<Served, StoryError> {
        timeout(STEP_TIMEOUT, self.0.recv()).await.ok().flatten().ok_or(StoryError::Nobody)
    }
}

impl Default for TestNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl TestNetwork {
    /// Begins with nobody.
    pub fn new() -> Self {
        Self(Arc::new(Inner { began: Instant::now(), names: Mutex::default(), doors: Mutex::default() }))
    }

    /// Gives a name its addresses, in their order.
    pub fn name(&self, name: &str, addresses: &[IpAddr]) {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), addresses.to_vec());
    }

    /// Does to each who connects to that address from now on what the script says.
    pub fn serve(&self, at: SocketAddr, script: Script) -> Talks {
        let (told, served) = channel(SERVED_MAX);
        self.open(at, Door::Plays(script, told));
        Talks(served)
    }

    /// Answers nobody who connects to that address, neither yes nor no.
    pub fn ignore(&self, at: SocketAddr) {
        self.open(at, Door::Ignores);
    }

    fn open(&self, at: SocketAddr, door: Door) {
        self.0.doors.lock().unwrap_or_else(PoisonError::into_inner).insert(at, door);
    }

    pub(crate) fn shared(&self) -> Arc<dyn Network> {
        self.0.clone()
    }
}

/// An address of ours from which that one could be reached.
fn near(peer: SocketAddr) -> SocketAddr {
    let ours: IpAddr = match peer.ip() {
        loopback if loopback.is_loopback() => loopback,
        IpAddr::V4(_) => [192, 0, 2, 1].into(),
        IpAddr::V6(_) => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
    };
    (ours, OUR_PORT).into()
}

impl Network for Inner {
    fn connect(&self, to: SocketAddr) -> Connecting {
        let door = self.doors.lock().unwrap_or_else(PoisonError::into_inner).get(&to).cloned();
        Box::pin(async move {
            match door {
                None => Err(io::Error::from_raw_os_error(REFUSED)),
                Some(Door::Ignores) => pending().await,
                Some(Door::Plays(script, told)) => {
                    let (ours, theirs) = duplex(UNDER_WAY_BYTES);
                    tokio::spawn(async move {
                        let served = play_within(STEP_MAX, theirs, &script).await;
                        // Full, or nobody left to tell: the test did not want to know.
                        let _ = told.try_send(served);
                    });
                    Ok((ours, near(to)))
                }
            }
        })
    }

    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned().unwrap_or_default()
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + BEGINNING + self.began.elapsed()
    }
}
