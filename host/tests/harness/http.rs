//! The least of HTTP that asks a daemon: one question a connection, and an answer that is whole or none.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long a daemon may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// An answer that arrived whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks a listener.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<Answer, Failed> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    exchange(stream, "GET", path)
}

/// Asks the socket of a data folder, as the command line does.
pub(crate) fn ask(socket: &Path, method: &str, path: &str) -> Result<Answer, Failed> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    exchange(stream, method, path)
}

fn exchange(mut stream: impl Read + Write, method: &str, path: &str) -> Result<Answer, Failed> {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no whole head")?;
    let header = |name: &str| head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
    // Who is killed while it answers leaves a part of a number that reads as another number.
    let (_, length) = header("content-length").ok_or("an answer without its length")?;
    if length.parse::<usize>()? != body.len() {
        return Err("a part of an answer".into());
    }
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    Ok(Answer { status, body: body.to_owned() })
}
