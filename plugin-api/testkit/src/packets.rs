//! A server of whole messages on one port: datagrams, and on connections messages with their length before them (as DNS has them).

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinSet,
    time::timeout,
};
use watchpost_plugin_api::Transport;

use crate::{
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
        let mut doors = JoinSet::new();
        if let Some(answering) = answers.datagrams {
            doors.spawn(serve_datagrams(socket, answering, told.clone()));
        }
        if let Some(answering) = answers.streams {
            doors.spawn(serve_streams(listener, answering, told));
        }
        Ok(Self { address, asked: Mutex::new(asked), _doors: doors })
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

async fn serve_datagrams(socket: UdpSocket, answering: Answering, told: Sender<(Transport, Vec<u8>)>) {
    let socket = Arc::new(socket);
    let mut clients = JoinSet::new();
    let mut room = vec![0; usize::from(u16::MAX)];
    loop {
        // An answer that nobody takes any more comes back as an error here; the next client is served all the same.
        let Ok((length, client)) = socket.recv_from(&mut room).await else { continue };
        let message = room[..length].to_vec();
        let (script, socket) = (answering(&message), socket.clone());
        // Full, or nobody left to tell: the test did not want to know.
        let _ = told.try_send((Transport::Udp, message));
        clients.spawn(async move {
            for step in &script.steps {
                match step {
                    Step::Send(bytes) => drop(socket.send_to(bytes, client).await),
                    Step::Pause(time) => tokio::time::sleep(*time).await,
                    // Cuts, resets and the like are a connection's.
                    _ => return,
                }
            }
        });
        while clients.try_join_next().is_some() {}
    }
}

async fn serve_streams(listener: TcpListener, answering: Answering, told: Sender<(Transport, Vec<u8>)>) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(play(stream, answering.clone(), told.clone()));
        while clients.try_join_next().is_some() {}
    }
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
