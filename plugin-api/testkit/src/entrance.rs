//! The way into a server: a port where clients are taken, refused, or left without an answer.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, sleep, timeout},
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long a port may be held by another before it is ours again.
const REOPEN_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection to ourselves that is not there by then never will be.
const FULL_AFTER: Duration = Duration::from_millis(200);

/// A TCP port that can be closed and opened again.
pub(crate) struct Entrance {
    address: SocketAddr,
    listener: Option<TcpListener>,
}

/// A queue that is full for as long as this lives: its listener, and connections of our own in it.
pub(crate) struct Full {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Entrance {
    pub(crate) fn new(address: SocketAddr, listener: Option<TcpListener>) -> Self {
        Self { address, listener }
    }

    /// Waits for a client, opening the port if it was closed. Dropped before there is one, it loses none.
    pub(crate) async fn accept(&mut self) -> io::Result<TcpStream> {
        let listener = match self.listener.take() {
            Some(open) => open,
            None => listen(self.address, BACKLOG).await?,
        };
        let (stream, _) = self.listener.insert(listener).accept().await?;
        Ok(stream)
    }

    /// Closes the port.
    pub(crate) fn close(&mut self) {
        self.listener = None;
    }

    /// Fills the queue of a port that takes nobody from it. listen(2): the kernel ignores who comes then, and the client tries again.
    pub(crate) async fn ignore(&mut self) -> io::Result<Full> {
        self.close();
        let listener = listen(self.address, 0).await?;
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = timeout(FULL_AFTER, TcpStream::connect(self.address)).await {
            queued.push(stream);
        }
        Ok(Full { _listener: listener, _queued: queued })
    }
}

async fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let listen = || {
        let socket = TcpSocket::new_v4()?;
        // Connections that were made before stand in nobody's way.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(backlog)
    };
    reopened(listen).await
}

/// Opens a port that was ours before; who has it meanwhile is waited for.
pub(crate) async fn reopened<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    loop {
        match open() {
            Err(_) if begun.elapsed() < REOPEN_TIMEOUT => sleep(Duration::from_millis(5)).await,
            ended => return ended,
        }
    }
}
