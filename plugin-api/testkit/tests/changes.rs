//! Servers that change while they run: what clients find before, and after.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{future::Future, io::ErrorKind, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{sleep, timeout},
};
use watchpost_testkit::{Answers, PacketServer, Script, Server};

/// A connection that is not there by then is neither taken nor refused.
const NO_ANSWER: Duration = Duration::from_millis(500);

/// Asks again and again until it is so; a change takes effect a little later than it is asked for.
async fn turns<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    let begun = std::time::Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "it never is");
        sleep(Duration::from_millis(10)).await;
    }
}

/// What a server says to who connects, up to its end.
async fn said(stream: TcpStream) -> String {
    let (mut stream, mut text) = (stream, String::new());
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_server_refuses_and_ignores_and_plays_again_and_cuts_nobody_off() {
    let server = Server::start(Script::new().say("hi").expect("go").say("first")).await.unwrap();
    let connect = || TcpStream::connect(server.address());
    let mut early = connect().await.unwrap();
    // It is served by now, and waits in no queue.
    early.read_exact(&mut [0; 4]).await.unwrap();

    server.refuse();
    turns(async || connect().await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)).await;

    server.ignore();
    turns(async || timeout(NO_ANSWER, connect()).await.is_err()).await;

    server.play(Script::new().say("second"));
    turns(async || timeout(NO_ANSWER, connect()).await.is_ok_and(|connected| connected.is_ok())).await;
    assert_eq!(said(connect().await.unwrap()).await, "second\r\n");

    early.write_all(b"go\r\n").await.unwrap();
    assert_eq!(said(early).await, "first\r\n");
}

/// What comes back for a datagram.
async fn echo(port: u16) -> Result<Vec<u8>, ErrorKind> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.1", port)).await.unwrap();
    socket.send(b"who").await.unwrap();
    let mut room = [0; 100];
    let length = timeout(Duration::from_secs(10), socket.recv(&mut room)).await.unwrap().map_err(|error| error.kind())?;
    Ok(room[..length].to_vec())
}

#[tokio::test]
async fn a_server_of_messages_closes_each_of_its_ports_and_opens_it_again() {
    let by_datagram = |text: &'static str| Answers::new().to_datagrams(move |_| Script::new().send(text));
    let server = PacketServer::start(by_datagram("first")).await.unwrap();
    let port = server.port();
    assert_eq!(echo(port).await.unwrap(), b"first");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());

    server.answer(Answers::new().to_streams(|_| Script::new().send("whole")));
    turns(async || echo(port).await == Err(ErrorKind::ConnectionRefused)).await;
    turns(async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(&[0, 1, b'?']).await.unwrap();
    assert_eq!(said(stream).await, "whole");

    server.answer(by_datagram("second"));
    turns(async || echo(port).await.is_ok_and(|answer| answer == b"second")).await;
    turns(async || TcpStream::connect(("127.0.0.1", port)).await.is_err()).await;
}
