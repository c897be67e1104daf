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
    /// Keeps the port ours while it is closed: nobody else gets it, and whoever connects is refused.
    closed: Option<TcpSocket>,
}

/// A queue that is full for as long as this lives: its listener, and connections of our own in it.
pub(crate) struct Full {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Entrance {
    pub(crate) fn new(address: SocketAddr, listener: Option<TcpListener>) -> Self {
        Self { address, listener, closed: None }
    }

    /// Waits for a client, opening the port if it was closed. Dropped before there is one, it loses none.
    pub(crate) async fn accept(&mut self) -> io::Result<TcpStream> {
        let listener = match self.listener.take() {
            Some(open) => open,
            None => self.open(BACKLOG).await?,
        };
        let (stream, _) = self.listener.insert(listener).accept().await?;
        Ok(stream)
    }

    /// Closes the port.
    pub(crate) fn close(&mut self) {
        if self.listener.take().is_some() {
            self.closed = bound(self.address).ok();
        }
    }

    async fn open(&mut self, backlog: u32) -> io::Result<TcpListener> {
        self.closed = None;
        reopened(|| bound(self.address)?.listen(backlog)).await
    }

    /// Fills the queue of a port that takes nobody from it. listen(2): the kernel ignores who comes then, and the client tries again.
    pub(crate) async fn ignore(&mut self) -> io::Result<Full> {
        self.close();
        let listener = self.open(0).await?;
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = timeout(FULL_AFTER, TcpStream::connect(self.address)).await {
            queued.push(stream);
        }
        Ok(Full { _listener: listener, _queued: queued })
    }
}

/// A socket with that address that does not listen.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were made before stand in nobody's way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A port of 127.0.0.1 at which nobody listens, and nobody else will for as long as this lives: whoever connects is refused.
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    /// Takes a free port.
    pub fn take() -> io::Result<Self> {
        bound(SocketAddr::from(([127, 0, 0, 1], 0))).map(Self)
    }

    /// The port.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_refuses_and_is_nobody_elses() {
        let closed = ClosedPort::take().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], closed.port().unwrap()));
        assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let others: Vec<_> = (0..2_000).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != address));
    }

    #[tokio::test]
    async fn a_server_that_refuses_keeps_its_port() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut entrance = Entrance::new(address, Some(listener));
        entrance.close();
        assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let others: Vec<_> = (0..2_000).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(others.iter().all(|other| other.local_addr().unwrap() != address));
        drop(others);
        let taken = entrance.open(BACKLOG).await.unwrap();
        assert_eq!(taken.local_addr().unwrap(), address);
    }
}
