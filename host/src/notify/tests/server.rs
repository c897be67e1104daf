//! A scripted server of mail: whoever talks to it is refused what the test wants, and what it took is kept.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Mails that were taken: for whom, and the id.
type Mails = Mutex<Vec<(Vec<String>, String)>>;
/// What it answers to lines that begin so, the longest beginning first, until it is told otherwise; to others that all is well.
type Answers = Arc<Mutex<BTreeMap<&'static str, &'static str>>>;

/// A server; it serves as long as the test.
pub(super) struct Server {
    pub(super) port: u16,
    answers: Answers,
    taken: Arc<Mails>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), answers: Arc::default(), taken: Arc::default() };
        let (answers, taken) = (server.answers.clone(), server.taken.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, taken) = (answers.clone(), taken.clone());
                tokio::spawn(async move { serve(stream, &answers, &taken).await });
            }
        });
        server
    }

    /// Has it answer so to what begins so; `""` is the connection itself.
    pub(super) fn answers(&self, answers: &[(&'static str, &'static str)]) {
        *self.answers.lock().unwrap() = answers.iter().copied().collect();
    }

    /// Mails that it took since it was asked last.
    pub(super) fn taken(&self) -> Vec<(Vec<String>, String)> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

/// Talks until a mail is taken, or the other side goes.
async fn serve(stream: TcpStream, answers: &Answers, taken: &Mails) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let answer = |line: &str, usual: &'static str| {
        let answers = answers.lock().unwrap();
        let found = answers
            .iter()
            .rev()
            .find(|(begin, _)| if line.is_empty() { begin.is_empty() } else { !begin.is_empty() && line.starts_with(*begin) });
        found.map_or(usual, |(_, answer)| *answer)
    };
    let mut say = answer("", "220 mx.lab.test").to_owned();
    let (mut to, mut in_data, mut is_over, mut id) = (Vec::new(), false, false, String::new());
    loop {
        if is_over && say.starts_with('2') {
            taken.lock().unwrap().push((std::mem::take(&mut to), std::mem::take(&mut id)));
        }
        if !say.is_empty() {
            stream.get_mut().write_all(format!("{say}\r\n").as_bytes()).await.ok()?;
        }
        if is_over {
            return Some(());
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        say = match line.split([' ', ':']).next() {
            _ if in_data && line == "." => {
                is_over = true;
                answer(line, "250 kept").into()
            }
            _ if in_data => {
                id = line.strip_prefix("Message-ID: ").map_or(id, str::to_owned);
                String::new()
            }
            Some("EHLO") => answer(line, "250-mx.lab.test\r\n250 AUTH PLAIN").into(),
            Some("RCPT") => {
                let say = answer(line, "250 fine");
                if say.starts_with('2') {
                    to.push(line.trim_start_matches("RCPT TO:<").trim_end_matches('>').to_owned());
                }
                say.into()
            }
            Some("DATA") => {
                let say = answer(line, "354 go on");
                in_data = say.starts_with('3');
                say.into()
            }
            Some("AUTH") => answer(line, "235 welcome").into(),
            _ => answer(line, "250 fine").into(),
        };
    }
}
