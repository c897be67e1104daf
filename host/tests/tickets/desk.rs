//! A system of tickets behind a real socket that does wrong all that systems do wrong: it resets connections before and after it has done
//! something, answers late, twice, or never, says that it failed where it did not, and finds what it made only after a while.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{sleep, spawn},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::chance::Chance;

/// How long a search may not see what was made; the template says twice as much.
const LAG: Duration = Duration::from_millis(1_000);
/// Until when something may take effect that nobody waits for any more; the daemon reckons with twice its deadline of a second.
const LATE: Duration = Duration::from_millis(1_200);
/// How long a request is looked at for its end.
const WHOLE_WITHIN: Duration = Duration::from_secs(5);
/// How long whoever asks is left without an answer: he has gone by then.
const NEVER: Duration = Duration::from_secs(3);
/// Bytes of a request, at most.
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// A ticket as the system has it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) id: usize,
    pub(crate) key: String,
    pub(crate) title: String,
    /// What it was made with, and what was written into it since.
    pub(crate) texts: Vec<String>,
    pub(crate) state: String,
    seen_from: Instant,
}

impl Made {
    /// Whether it is one that was resolved for another.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.texts.iter().any(|text| text.ends_with("/duplicate"))
    }
}

#[derive(Default)]
struct World {
    tickets: Vec<Made>,
    figures: Figures,
}

/// What was asked, and what went wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) faults: u64,
    pub(crate) doubled: u64,
}

/// The system, until the test ends.
pub(crate) struct Desk {
    pub(crate) port: u16,
    world: Arc<Mutex<World>>,
}

#[derive(Clone)]
struct Serving {
    world: Arc<Mutex<World>>,
    chance: Arc<Mutex<Chance>>,
}

/// A request, as far as it is of interest.
struct Asked {
    method: String,
    path: String,
    body: Value,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    pub(crate) fn start(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let world: Arc<Mutex<World>> = Arc::default();
        let serving = Serving { world: world.clone(), chance: Arc::new(Mutex::new(Chance(seed))) };
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                // A connection that breaks is what this is for.
                spawn(move || drop(serving.answer(stream)));
            }
        });
        Self { port, world }
    }

    pub(crate) fn tickets(&self) -> Vec<Made> {
        lock(&self.world).tickets.clone()
    }

    pub(crate) fn figures(&self) -> Figures {
        lock(&self.world).figures
    }
}

impl Serving {
    fn below(&self, end: u64) -> u64 {
        lock(&self.chance).below(end)
    }

    fn part_of(&self, whole: Duration) -> Duration {
        Duration::from_millis(self.below(whole.as_millis() as u64))
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let fault = self.below(1_000);
        {
            let figures = &mut lock(&self.world).figures;
            figures.requests += 1;
            figures.faults += u64::from(fault < 300);
        }
        // What was not read when a connection is dropped has it reset.
        let asked = peeked(&stream)?;
        let done = json!({ "ok": false, "error": "no, yes" });
        match fault {
            0..30 => return Ok(()),
            30..70 => {
                self.serve(&asked);
                return Ok(());
            }
            90..110 => {
                self.serve(&asked);
                sleep(NEVER);
                return Ok(());
            }
            110..120 => {
                sleep(NEVER);
                return Ok(());
            }
            // It takes effect when nobody waits any more, whatever became of who asked.
            120..140 => {
                sleep(self.part_of(LATE));
                self.serve(&asked);
                return Ok(());
            }
            _ => {}
        }
        read_away(&mut stream)?;
        let (status, body) = match fault {
            70..90 => (503, json!({})),
            140..155 => return write(&mut stream, "429 Slow\r\nRetry-After: 1", &json!({})),
            155..185 => {
                self.serve(&asked);
                (500, json!({}))
            }
            185..205 => {
                self.serve(&asked);
                (200, done)
            }
            205..220 => (200, json!({ "error": "busy" })),
            220..250 => {
                let answer = self.serve(&asked);
                sleep(self.part_of(Duration::from_millis(700)));
                answer
            }
            // An answer that comes twice is one.
            250..280 => {
                let (status, body) = self.serve(&asked);
                write(&mut stream, &format!("{status} So"), &body)?;
                (status, body)
            }
            // Something in between asks twice: where a ticket is made, there are two.
            280..300 if asked.path == "/tickets" => {
                lock(&self.world).figures.doubled += 1;
                self.serve(&asked);
                self.serve(&asked)
            }
            _ => self.serve(&asked),
        };
        write(&mut stream, &format!("{status} So"), &body)
    }

    /// Does what is asked; gives the status and the body.
    fn serve(&self, asked: &Asked) -> (u16, Value) {
        let seen_from = Instant::now() + self.part_of(LAG);
        let mut world = lock(&self.world);
        let text = |key: &str| asked.body[key].as_str().unwrap_or_default().to_owned();
        if let Some(key) = asked.path.strip_prefix("/tickets?key=") {
            let found = world.tickets.iter().filter(|ticket| ticket.key == key && ticket.seen_from <= Instant::now());
            return (200, json!({ "tickets": found.map(|ticket| json!({ "id": ticket.id })).collect::<Vec<_>>() }));
        }
        if asked.path == "/tickets" {
            let id = world.tickets.len() + 1;
            let (key, title, texts) = (text("key"), text("title"), vec![text("text")]);
            world.tickets.push(Made { id, key, title, texts, state: "new".into(), seen_from });
            return (201, json!({ "id": id }));
        }
        let mut parts = asked.path.split('/').skip(2);
        let id: usize = parts.next().and_then(|id| id.parse().ok()).unwrap_or(0);
        let Some(ticket) = world.tickets.iter_mut().find(|ticket| ticket.id == id) else { return (404, json!({})) };
        match (asked.method.as_str(), parts.next()) {
            ("GET", None) => (200, json!({ "state": ticket.state, "owner": null, "closed_by": "watchpost" })),
            ("PATCH", None) => {
                ticket.state = text("state");
                (200, json!({}))
            }
            ("GET", Some("comments")) => {
                let comments = ticket.texts.iter().enumerate().skip(1);
                let comments = comments.map(|(n, text)| json!({ "id": format!("{id}-{n}"), "author": "watchpost", "text": text }));
                (200, json!({ "comments": comments.collect::<Vec<_>>() }))
            }
            ("POST", Some("comments")) => {
                ticket.texts.push(text("text"));
                (201, json!({}))
            }
            other => panic!("nobody asks for {other:?}"),
        }
    }
}

/// A whole request that is left where it is.
fn peeked(stream: &TcpStream) -> std::io::Result<Asked> {
    stream.set_read_timeout(Some(WHOLE_WITHIN))?;
    let begun = Instant::now();
    let mut bytes = vec![0; REQUEST_BYTES_MAX];
    loop {
        let read = stream.peek(&mut bytes)?;
        if let Some(asked) = parsed(&bytes[..read]) {
            return Ok(asked);
        }
        if read == 0 || begun.elapsed() > WHOLE_WITHIN {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        sleep(Duration::from_millis(1));
    }
}

fn parsed(bytes: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    (body.len() >= length).then(|| Asked { method, path, body: serde_json::from_str(body).unwrap_or_default() })
}

/// Takes what was looked at, so that the connection ends well.
fn read_away(stream: &mut TcpStream) -> std::io::Result<()> {
    let read = stream.read(&mut vec![0; REQUEST_BYTES_MAX])?;
    if read == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn write(stream: &mut TcpStream, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}
