//! A receiver by HTTP that answers as it is told, and remembers what it got.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

/// What it answers.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// A whole answer, as it crosses the wire.
    Says(&'static str),
    /// The connection is reset.
    Resets,
    /// Nothing, until the other side has had enough.
    Hangs,
}

pub(crate) const FINE: Answer = Answer::Says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");

/// A request that it got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// The receiver; it serves until the test ends.
#[derive(Clone)]
pub(crate) struct Receiver {
    port: u16,
    script: Arc<Mutex<VecDeque<Answer>>>,
    got: Arc<Mutex<Vec<(Got, bool)>>>,
}

impl Receiver {
    /// Answers by the script first, then that all is fine.
    pub(crate) fn start(script: &[Answer]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// Answers on a port that all is fine.
    pub(crate) fn at(port: u16) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", port)).unwrap(), &[])
    }

    fn on(listener: TcpListener, script: &[Answer]) -> Self {
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, script: Arc::new(Mutex::new(script.iter().copied().collect())), got: Arc::default() };
        let serving = receiver.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// Requests that were answered well.
    pub(crate) fn taken(&self) -> Vec<Got> {
        self.got.lock().unwrap().iter().filter(|(_, fine)| *fine).map(|(got, _)| got.clone()).collect()
    }

    /// All requests.
    pub(crate) fn all(&self) -> Vec<Got> {
        self.got.lock().unwrap().iter().map(|(got, _)| got.clone()).collect()
    }

    /// The steps that were told and taken, in their order.
    pub(crate) fn steps(&self) -> Vec<String> {
        self.taken().iter().map(|got| got.json()["step"].as_str().unwrap_or("heartbeat").to_owned()).collect()
    }

    fn serve(&self, mut stream: TcpStream) {
        let Some(got) = read(&stream) else { return };
        let answer = self.script.lock().unwrap().pop_front();
        self.got.lock().unwrap().push((got, answer.is_none()));
        match answer.unwrap_or(FINE) {
            Answer::Says(answer) => drop(stream.write_all(answer.as_bytes())),
            Answer::Resets => {
                let linger = rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO));
                linger.unwrap();
            }
            Answer::Hangs => drop(stream.read(&mut [0; 1])),
        }
    }
}

fn read(stream: &TcpStream) -> Option<Got> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ").and_then(|length| length.parse().ok()));
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Got { head, body: String::from_utf8(body).ok()? })
}
