//! Datagram sockets lent to agents, each to one peer; what passes is noted in the job's dialogue by its size.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use tokio::{io::Interest, net::UdpSocket};
use watchpost_plugin_api::{
    AgentError, Ends,
    abi::{BorrowingFfiFuture, FfiError, FfiResult, HostDatagram, RSlice, RSliceMut, RString, host_fenced},
};

use crate::{
    dialogue::Dialogue,
    network,
    stream::{reason, told},
};

/// A datagram socket lent to an agent.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    peer: SocketAddr,
    dialogue: Arc<Dialogue>,
}

impl Datagrams {
    /// Opens a socket to one peer. The kernel chooses the port by chance, and lets in what comes from the peer only.
    pub(crate) async fn open(peer: SocketAddr, dialogue: Arc<Dialogue>) -> Result<Self, AgentError> {
        if network::here().is_some() {
            return Err(AgentError::local("the network of this test has no datagrams"));
        }
        let from: SocketAddr = match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(from).await;
        let socket = socket.map_err(|error| AgentError::local(format!("no datagram socket for {peer}: {}", reason(&error))))?;
        socket.connect(peer).await.map_err(|error| unreachable(peer, &error))?;
        dialogue.reaches(format!("the first datagram to {peer}"));
        dialogue.note(&format!("datagrams to {peer}"));
        Ok(Self { socket, peer, dialogue })
    }
}

impl Datagrams {
    async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let sent = self.socket.send(datagram).await?;
        self.dialogue.note(&format!("sent {sent} bytes"));
        Ok(())
    }

    async fn receive(&self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            // What ICMP tells makes a socket faulty, not readable: who waits for the latter only waits in vain.
            let ready = self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
            if ready.is_error() {
                ignore_blocked(self.socket.try_io(Interest::ERROR, || self.fault()))?;
            }
            if let Some(received) = ignore_blocked(self.socket.try_recv(buf))? {
                self.dialogue.hears();
                self.dialogue.note(&format!("received {received} bytes"));
                return Ok(received);
            }
        }
    }

    /// Takes the socket's fault; that there is none any more counts as having to wait for the next.
    fn fault(&self) -> io::Result<()> {
        Err(self.socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
    }

    fn unreachable(&self, error: &io::Error) -> FfiError {
        unreachable(self.peer, error).into()
    }
}

/// What ICMP has told of a peer.
fn unreachable(peer: SocketAddr, error: &io::Error) -> AgentError {
    AgentError::connect(format!("cannot reach {peer}: {}", reason(error)))
}

fn ignore_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        other => other.map(Some),
    }
}

impl HostDatagram for Datagrams {
    fn send<'a>(&'a mut self, datagram: RSlice<'a, u8>) -> BorrowingFfiFuture<'a, FfiResult<()>> {
        BorrowingFfiFuture::new(async move { Self::send(self, &datagram).await.map_err(|error| self.unreachable(&error)).into() })
    }

    fn receive<'a>(&'a mut self, mut buf: RSliceMut<'a, u8>) -> BorrowingFfiFuture<'a, FfiResult<usize>> {
        BorrowingFfiFuture::new(async move { Self::receive(self, &mut buf).await.map_err(|error| self.unreachable(&error)).into() })
    }

    fn ends(&self) -> FfiResult<RString> {
        host_fenced(|| told(&Ends { local: self.socket.local_addr().ok(), peer: Some(self.peer) }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn open(peer: SocketAddr) -> Datagrams {
        Datagrams::open(peer, Arc::new(Dialogue::new(&[], None))).await.unwrap()
    }

    async fn server() -> UdpSocket {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
    }

    #[tokio::test]
    async fn datagrams_keep_their_boundaries_even_an_empty_one() {
        let server = server().await;
        let ours = open(server.local_addr().unwrap()).await;
        ours.send(b"a question").await.unwrap();
        let mut room = [0; 100];
        let (length, client) = server.recv_from(&mut room).await.unwrap();
        assert_eq!(&room[..length], b"a question");
        for answer in [b"one".as_slice(), b"", b"three"] {
            server.send_to(answer, client).await.unwrap();
        }
        for answer in [b"one".as_slice(), b"", b"three"] {
            let length = ours.receive(&mut room).await.unwrap();
            assert_eq!(&room[..length], answer);
        }
    }

    #[tokio::test]
    async fn what_another_than_the_peer_sends_does_not_come_in() {
        let (server, stranger) = (server().await, server().await);
        let ours = open(server.local_addr().unwrap()).await;
        let port = ours.socket.local_addr().unwrap().port();
        stranger.send_to(b"forged", (Ipv4Addr::LOCALHOST, port)).await.unwrap();
        server.send_to(b"true", (Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let mut room = [0; 100];
        let length = ours.receive(&mut room).await.unwrap();
        assert_eq!(&room[..length], b"true");
    }

    #[tokio::test]
    async fn a_closed_port_is_told_at_once_and_again_and_waiting_goes_on_where_it_opens() {
        let closed = server().await;
        let peer = closed.local_addr().unwrap();
        drop(closed);
        let ours = open(peer).await;
        let mut room = [0; 100];
        for _ in 0..2 {
            ours.send(b"anybody?").await.unwrap();
            let error = timeout(Duration::from_secs(10), ours.receive(&mut room)).await.unwrap().unwrap_err();
            assert_eq!(unreachable(peer, &error), AgentError::connect(format!("cannot reach {peer}: Connection refused")));
        }
        // Nothing is wrong any more, and nothing is there.
        assert!(timeout(Duration::from_millis(50), ours.receive(&mut room)).await.is_err());
        let opened = UdpSocket::bind(peer).await.unwrap();
        opened.send_to(b"here", (Ipv4Addr::LOCALHOST, ours.socket.local_addr().unwrap().port())).await.unwrap();
        assert_eq!(timeout(Duration::from_secs(10), ours.receive(&mut room)).await.unwrap().unwrap(), 4);
    }
}
