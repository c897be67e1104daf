//! A server of pages: answers by method and path, in order, and tells what it was asked.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex as Lock, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinSet,
    time::timeout,
};

use crate::{
    authority::ServerTls,
    page::Page,
    script::Step,
    server::{STEP_TIMEOUT, StoryError, act},
    wire::Wire,
};

/// Requests that are remembered before a test asks.
const ASKED_MAX: usize = 4096;

/// What a server answers, by method and path.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// By `GET /path`; given in this order, the last again and again.
    pages: HashMap<String, Vec<Page>>,
    tls: Option<ServerTls>,
}

impl Pages {
    /// Begins with a server that answers 404 to everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers so to a request like `GET /login`, whatever its query. Told again for the same, it is the answer to the next such request;
    /// the last stays.
    pub fn on(mut self, request: &str, page: Page) -> Self {
        self.pages.entry(request.to_owned()).or_default().push(page);
        self
    }

    /// Speaks TLS from the first byte on.
    pub fn tls(mut self, tls: &ServerTls) -> Self {
        self.tls = Some(tls.clone());
        self
    }
}

/// A request as the server heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which connection it came by, counted from 1.
    pub connection: usize,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// In the order sent.
    pub headers: Vec<(String, String)>,
    /// As text.
    pub body: String,
}

impl Asked {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A server of pages on a port of its own; stops when it is dropped.
pub struct HttpServer {
    address: SocketAddr,
    secure: bool,
    asked: Mutex<Receiver<Asked>>,
    /// Aborted when they are dropped.
    _door: JoinSet<()>,
}

impl HttpServer {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(pages: Pages) -> Result<Self, StoryError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, secure) = (listener.local_addr()?, pages.tls.is_some());
        let (told, asked) = channel(ASKED_MAX);
        let mut door = JoinSet::new();
        door.spawn(serve(listener, pages, told));
        Ok(Self { address, secure, asked: Mutex::new(asked), _door: door })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Waits until the next request has come, and tells which.
    ///
    /// Errors: [`StoryError::Nobody`] after 20 s.
    pub async fn asked(&self) -> Result<Asked, StoryError> {
        timeout(STEP_TIMEOUT, self.asked.lock().await.recv()).await.ok().flatten().ok_or(StoryError::Nobody)
    }

    /// What was asked since, without waiting.
    pub async fn asked_so_far(&self) -> Vec<Asked> {
        let mut asked = self.asked.lock().await;
        std::iter::from_fn(|| asked.try_recv().ok()).collect()
    }
}

/// Pages that are left, for all connections together.
type Left = Arc<Lock<HashMap<String, Vec<Page>>>>;

async fn serve(listener: TcpListener, pages: Pages, told: Sender<Asked>) {
    let left = Arc::new(Lock::new(pages.pages));
    let mut clients = JoinSet::new();
    let mut connection = 0;
    while let Ok((stream, _)) = listener.accept().await {
        connection += 1;
        let (tls, left, told) = (pages.tls.clone(), left.clone(), told.clone());
        // A client that goes, or speaks no HTTP, ends its own connection only.
        clients.spawn(async move { drop(client(stream, tls, connection, left, told).await) });
        while clients.try_join_next().is_some() {}
    }
}

async fn client(stream: TcpStream, tls: Option<ServerTls>, connection: usize, left: Left, told: Sender<Asked>) -> io::Result<()> {
    let mut wire = Wire::new(stream);
    if let Some(tls) = tls {
        timeout(STEP_TIMEOUT, wire.start_tls(&tls)).await??;
    }
    loop {
        let asked = timeout(STEP_TIMEOUT, read(&mut wire, connection)).await??;
        let page = next(&left, &asked);
        let wants_head = asked.method == "HEAD";
        let close = page.closes() || asked.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        // Full, or nobody left to tell: the test did not want to know.
        let _ = told.try_send(asked);
        for step in page.steps(wants_head) {
            if matches!(step, Step::Silence) {
                wire.gone().await;
            }
            timeout(STEP_TIMEOUT, act(&step, &mut wire, &mut Vec::new())).await??;
        }
        if close {
            return wire.close().await;
        }
    }
}

/// The page that is due; the last of a path stays.
fn next(left: &Left, asked: &Asked) -> Page {
    let path = asked.path.split('?').next().unwrap_or_default();
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    match left.get_mut(&format!("{} {path}", asked.method)) {
        Some(pages) if pages.len() > 1 => pages.remove(0),
        Some(pages) => pages.first().cloned().unwrap_or_else(Page::missing),
        None => Page::missing(),
    }
}

async fn read(wire: &mut Wire, connection: usize) -> io::Result<Asked> {
    let first = wire.line().await?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Err(io::Error::other("no request")) };
    let mut asked = Asked { connection, method, path, headers: Vec::new(), body: String::new() };
    loop {
        let line = wire.line().await?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other("no header"))?;
        asked.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = asked.header("Content-Length").map(str::parse).transpose().map_err(io::Error::other)?;
    asked.body = String::from_utf8_lossy(&wire.bytes(length.unwrap_or(0)).await?).into_owned();
    Ok(asked)
}
