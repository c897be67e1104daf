//! Servers to measure, and schedules that measure them.

use std::{
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::harness::until;
use watchpost_testkit::{Script, Server};

/// A server that does all that a session asks.
pub(crate) async fn willing() -> Server {
    let script = Script::new().say("220 ready").expect("EHLO").say("250 here").expect("QUIT").say("221 bye");
    Server::start(script).await.unwrap()
}

/// A server that takes a connection and says nothing.
pub(crate) struct Silent(TcpListener);

impl Silent {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Waits for a client; it hangs for as long as the stream is held.
    pub(crate) fn client(&self) -> TcpStream {
        until(Duration::from_secs(20), || self.0.accept().ok()).expect("somebody connects").0
    }
}

/// A job of the agent `smtp` against a port.
pub(crate) fn job(name: &str, timing: &str, port: u16) -> String {
    format!("[[job]]\nname = \"{name}\"\nagent = \"smtp\"\n{timing}\nconfig = {{ host = \"127.0.0.1\", port = {port} }}\n")
}
