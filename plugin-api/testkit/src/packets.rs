//! A server of whole messages on one port: datagrams, and on connections messages with their length before them (as DNS has them).

use std::{
    future::pending,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
        watch,
    },
    task::JoinSet,
    time::timeout,
};
use watchpost_plugin_api::Transport;

use crate::{
    entrance::{Entrance, reopened},
    script::{Script, Step},
    server::{STEP_TIMEOUT, StoryError, act},
    wire::Wire,
};

/// Ports tried until one is free for both transports.
const PORTS_TRIED_MAX: usize = 50;
/// Messages that are remembered before a test asks.
const ASKED_MAX: usize = 4096;

type Answering = Arc<dyn Fn(&[u8]) -> Script + Send + Sync>;

/// What a server does with a message, for each transport; where nothing is said, nobody listens.
#[derive(Clone, Default)]
pub struct Answers {
    datagrams: Option<Answering>,
    streams: Option<Answering>,
}

impl Answers {
    /// Begins with a server that listens nowhere.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does to the sender of each datagram what the script made of it says: each `send` is a datagram, a `pause` is one.
    pub fn to_datagrams(mut self, answering: impl Fn(&[u8]) -> Script + Send + Sync + 'static) -> Self {
        self.datagrams = Some(Arc::new(answering));
        self
    }

    /// Reads one message of each connection, and does what the script made of it says; the lengths of answers are the script's.
    pub fn to_streams(mut self, answering: impl Fn(&[u8]) -> Script + Send + Sync + 'static) -> Self {
        self.streams = Some(Arc::new(answering));
        self
    }
}

/// A server of messages on a port of its own; stops when it is dropped.
pub struct PacketServer {
    address: SocketAddr,
    answers: watch::Sender<Answers>,
    asked: Mutex<Receiver<(Transport, Vec<u8>)>>,
    /// Aborted when they are dropped.
    _doors: JoinSet<()>,
}

impl PacketServer {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(answers: Answers) -> Result<Self, StoryError> {
        let (socket, listener) = doors().await?;
        let address = socket.local_addr()?;
        let (told, asked) = channel(ASKED_MAX);
        let (socket, listener) = (answers.datagrams.is_some().then(|| Arc::new(socket)), answers.streams.is_some().then_some(listener));
        let (answers, following) = watch::channel(answers);
        let mut doors = JoinSet::new();
        doors.spawn(serve_datagrams(address, socket, following.clone(), told.clone()));
        doors.spawn(serve_streams(Entrance::new(address, listener), following, told));
        Ok(Self { address, answers, asked: Mutex::new(asked), _doors: doors })
    }

    /// Answers so from now on; where nothing is said any more, nobody listens any more.
    pub fn answer(&self, answers: Answers) {
        self.answers.send_replace(answers);
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits until the next message has come, and tells how and which.
    ///
    /// Errors: [`StoryError::Nobody`] after 20 s.
    pub async fn asked(&self) -> Result<(Transport, Vec<u8>), StoryError> {
        timeout(STEP_TIMEOUT, self.asked.lock().await.recv()).await.ok().flatten().ok_or(StoryError::Nobody)
    }
}

/// One port for both transports.
async fn doors() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::ErrorKind::AddrInUse.into();
    for _ in 0..PORTS_TRIED_MAX {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(socket.local_addr()?).await {
            Ok(listener) => return Ok((socket, listener)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn serve_datagrams(
    address: SocketAddr,
    mut socket: Option<Arc<UdpSocket>>,
    mut answers: watch::Receiver<Answers>,
    told: Sender<(Transport, Vec<u8>)>,
) {
    let mut clients = JoinSet::new();
    let mut room = vec![0; usize::from(u16::MAX)];
    loop {
        let Some(answering) = answers.borrow_and_update().datagrams.clone() else {
            // Who is being answered holds the socket, too.
            clients.shutdown().await;
            socket = None;
            match answers.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        let Ok(open) = opened(socket.take(), address).await else { return };
        let socket = socket.insert(open);
        tokio::select! {
            biased;
            changed = answers.changed() => if changed.is_err() { return },
            // An answer that nobody takes any more comes back as an error here; the next client is served all the same.
            received = socket.recv_from(&mut room) => if let Ok((length, client)) = received {
                let message = room[..length].to_vec();
                clients.spawn(answer(socket.clone(), client, answering(&message)));
                // Full, or nobody left to tell: the test did not want to know.
                let _ = told.try_send((Transport::Udp, message));
            },
        }
        while clients.try_join_next().is_some() {}
    }
}

async fn opened(socket: Option<Arc<UdpSocket>>, address: SocketAddr) -> io::Result<Arc<UdpSocket>> {
    match socket {
        Some(open) => Ok(open),
        None => reopened(|| bound(address)).await.map(Arc::new),
    }
}

fn bound(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

async fn answer(socket: Arc<UdpSocket>, client: SocketAddr, script: Script) {
    for step in &script.steps {
        match step {
            Step::Send(bytes) => drop(socket.send_to(bytes, client).await),
            Step::Pause(time) => tokio::time::sleep(*time).await,
            // Cuts, resets and the like are a connection's.
            _ => return,
        }
    }
}

async fn serve_streams(mut entrance: Entrance, mut answers: watch::Receiver<Answers>, told: Sender<(Transport, Vec<u8>)>) {
    let mut clients = JoinSet::new();
    loop {
        let now = answers.borrow_and_update().streams.clone();
        tokio::select! {
            biased;
            changed = answers.changed() => if changed.is_err() { return },
            stream = meet(&mut entrance, now.is_some()) => {
                let (Ok(stream), Some(answering)) = (stream, now) else { return };
                clients.spawn(play(stream, answering, told.clone()));
            }
        }
        while clients.try_join_next().is_some() {}
    }
}

async fn meet(entrance: &mut Entrance, open: bool) -> io::Result<TcpStream> {
    if open {
        return entrance.accept().await;
    }
    entrance.close();
    pending().await
}

async fn play(stream: TcpStream, answering: Answering, told: Sender<(Transport, Vec<u8>)>) {
    let mut wire = Wire::new(stream);
    let Ok(Ok(message)) = timeout(STEP_TIMEOUT, wire.message()).await else { return };
    let script = answering(&message);
    let _ = told.try_send((Transport::Tcp, message));
    for step in &script.steps {
        if !matches!(timeout(STEP_TIMEOUT, act(step, &mut wire, &mut Vec::new())).await, Ok(Ok(()))) {
            return;
        }
    }
    // A client that has gone first is as good as one that is left.
    let _ = timeout(STEP_TIMEOUT, wire.close()).await;
}
