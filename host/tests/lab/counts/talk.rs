//! What is done to a server, line by line.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    time::Duration,
};

use crate::servers::Lab;

/// How long a server may take to answer on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A session with a server of text.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    /// Connects, and reads the greeting.
    pub(crate) fn to(lab: &Lab, service: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", lab.port(service))).unwrap();
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).unwrap();
        let mut talk = Self(BufReader::new(stream));
        talk.line();
        talk
    }

    /// Logs in to IMAP; gives what the server says to it.
    pub(crate) fn log_in(lab: &Lab, user: &str, password: &str) -> (Self, String) {
        let mut talk = Self::to(lab, "imap");
        let said = talk.imap(&format!("LOGIN {user} {password}"));
        (talk, said)
    }

    /// Sends a command of IMAP; gives the line that ends its answer.
    pub(crate) fn imap(&mut self, command: &str) -> String {
        self.send(&format!("t {command}"));
        loop {
            let line = self.line();
            if let Some(answer) = line.strip_prefix("t ") {
                return answer.to_owned();
            }
        }
    }

    /// Sends a line; gives the last line of the answer, as SMTP, LMTP and POP3 have it.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.answer()
    }

    /// The last line of an answer.
    pub(crate) fn answer(&mut self) -> String {
        loop {
            let line = self.line();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    fn send(&mut self, line: &str) {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).unwrap();
        assert!(read > 0, "the server has closed the connection");
        line.trim_end().to_owned()
    }
}

/// Hands a message to LMTP; gives what it says to each recipient that it took.
pub(crate) fn deliver(lab: &Lab, to: &[&str], text: &str) -> Vec<String> {
    let mut talk = Talk::to(lab, "lmtp");
    talk.ask("LHLO test");
    talk.ask("MAIL FROM:<probe@lab.test>");
    let taken = to.iter().filter(|user| talk.ask(&format!("RCPT TO:<{user}>")).starts_with("250")).count();
    let mut said = Vec::new();
    if talk.ask("DATA").starts_with("354") {
        said.push(talk.ask(&format!("{text}.")));
        said.extend((1..taken).map(|_| talk.answer()));
    }
    talk.ask("QUIT");
    said
}
