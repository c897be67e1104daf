//! A long wire to a real server: what the server says arrives later, each piece by the same time.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

/// Bytes that go over the wire at once.
const PIECE_BYTES: usize = 64 * 1024;

/// A piece, and when it arrives.
type Piece = (Instant, Vec<u8>);

/// A port of loopback at whose other end is a server; it goes with the test's process, and takes no more than a thread meanwhile.
pub(crate) struct Wire {
    pub(crate) port: u16,
}

impl Wire {
    /// Lays a wire to a port of this machine.
    pub(crate) fn to(server: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                // A server that is not there is one that hangs up.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    connect(client, server, delay);
                }
            }
        });
        Self { port }
    }
}

fn connect(client: TcpStream, server: TcpStream, delay: Duration) {
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    // No piece waits for the next one.
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    thread::spawn(move || {
        let _bytes = std::io::copy(&mut from_client, &mut to_server);
        let _gone = to_server.shutdown(Shutdown::Write);
    });
    let (sender, pieces) = mpsc::channel();
    thread::spawn(move || listen(server, &sender, delay));
    thread::spawn(move || deliver(client, &pieces));
}

fn listen(mut server: TcpStream, sender: &Sender<Piece>, delay: Duration) {
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(length @ 1..) = server.read(&mut buffer) {
        if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
            return;
        }
    }
}

fn deliver(mut client: TcpStream, pieces: &Receiver<Piece>) {
    while let Ok((due, piece)) = pieces.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if client.write_all(&piece).is_err() {
            return;
        }
    }
    let _gone = client.shutdown(Shutdown::Write);
}
