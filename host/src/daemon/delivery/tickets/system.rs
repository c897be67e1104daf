//! A system of tickets that does wrong all that systems do wrong: it fails before and after it has done something, answers late, twice or
//! never, says that it failed where it did not, finds what it made only after a while, is away for half an hour, in which some is said to be
//! nowhere; it gives tickets to somebody who has not asked for them; and people work in it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::{Method, header::HeaderMap};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::lock;
use crate::ticket::wire::{Answer, Coming, Request, Wire};

/// How long a search may not see what was made.
pub(super) const LAG: Duration = Duration::from_secs(5);
/// Deadline of a request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is away, from when on, and until when, nanoseconds.
const AWAY: (i64, std::ops::Range<i64>) = (14_400_000_000_000, 600_000_000_000..2_400_000_000_000);
/// Who is given tickets and has not asked for them.
const LEAD: &str = "lead";
/// Where virtual time begins, nanoseconds since 1970.
pub(super) const BEGIN_NS: i64 = 1_796_000_000_000_000_000;

/// Chance that can be had again (SplitMix64).
pub(super) struct Chance(pub(super) AtomicU64);

impl Chance {
    pub(super) fn below(&self, end: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// A ticket as the system has it.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) id: u64,
    pub(super) key: String,
    pub(super) text: String,
    pub(super) state: String,
    pub(super) owner: Option<String>,
    pub(super) closed_by: Option<String>,
    /// Author and text, in order.
    pub(super) comments: Vec<(String, String)>,
    /// Rises with each change.
    pub(super) version: u64,
    visible_ns: i64,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) tickets: Vec<Made>,
    pub(super) requests: u64,
    pub(super) faults: u64,
    /// Creates that took effect twice, or are not seen at once.
    pub(super) doubled: u64,
}

#[derive(Clone)]
pub(super) struct System {
    pub(super) world: Arc<Mutex<World>>,
    chance: Arc<Chance>,
    began: Instant,
    /// Of a thousand requests, how many go wrong in each of the ways: all of them, or none.
    faulty: bool,
    /// Whether it takes no change of a ticket without its version.
    versioned: bool,
}

impl System {
    pub(super) fn new(chance: Arc<Chance>, faulty: bool) -> Self {
        Self { world: Arc::default(), chance, began: Instant::now(), faulty, versioned: false }
    }

    pub(super) fn versioned(self, versioned: bool) -> Self {
        Self { versioned, ..self }
    }

    pub(super) fn now_ns(&self) -> i64 {
        BEGIN_NS + i64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }

    /// Does what is asked; gives the status and the body.
    fn serve(&self, request: &Request) -> (u16, Value) {
        let (now_ns, lag_ns) = (self.now_ns(), u64::try_from(LAG.as_nanos()).unwrap());
        let mut world = lock(&self.world);
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        if let Some(key) = request.path.strip_prefix("/tickets?key=") {
            let found = world.tickets.iter().filter(|ticket| ticket.key == key && ticket.visible_ns <= now_ns);
            return (200, json!({ "tickets": found.map(|ticket| json!({ "id": ticket.id })).collect::<Vec<_>>() }));
        }
        if request.path == "/tickets" {
            let id = world.tickets.len() as u64 + 1;
            let text = |key: &str| body[key].as_str().unwrap().to_owned();
            let visible_ns = now_ns + i64::try_from(if self.faulty { self.chance.below(lag_ns) } else { 0 }).unwrap();
            world.tickets.push(Made {
                id,
                key: text("key"),
                text: text("text"),
                state: "new".into(),
                owner: (self.chance.below(2) == 0).then(|| LEAD.into()),
                closed_by: None,
                comments: Vec::new(),
                version: 0,
                visible_ns,
            });
            return (201, json!({ "id": id }));
        }
        let mut parts = request.path.split('/').skip(2);
        let id: u64 = parts.next().unwrap().parse().unwrap();
        let Some(ticket) = world.tickets.iter_mut().find(|ticket| ticket.id == id) else { return (404, json!({})) };
        if request.method != Method::GET {
            let meant = request.headers.iter().find(|(name, _)| name.as_str() == "if-match").map(|(_, value)| value.reveal());
            if self.versioned && meant != Some(ticket.version.to_string().as_str()) {
                return (412, json!({ "error": format!("{meant:?} is not {}", ticket.version) }));
            }
            ticket.version += 1;
        }
        match (&request.method, parts.next()) {
            (&Method::GET, None) => {
                (200, json!({ "state": ticket.state, "owner": ticket.owner, "closed_by": ticket.closed_by, "version": ticket.version }))
            }
            (&Method::PATCH, None) => {
                ticket.state = body["state"].as_str().unwrap().to_owned();
                ticket.closed_by = (ticket.state == "resolved").then(|| "watchpost".into());
                (200, json!({}))
            }
            (&Method::GET, Some("comments")) => {
                let comments = ticket.comments.iter().zip(1..);
                let comments = comments.map(|((author, text), n)| json!({ "id": format!("{id}-{n}"), "author": author, "text": text }));
                (200, json!({ "comments": comments.collect::<Vec<_>>() }))
            }
            (&Method::POST, Some("comments")) => {
                ticket.comments.push(("watchpost".into(), body["text"].as_str().unwrap().to_owned()));
                (201, json!({}))
            }
            other => panic!("{other:?}"),
        }
    }

    async fn answer(self, request: Request) -> Result<Answer, String> {
        sleep(Duration::from_millis(1 + self.chance.below(30))).await;
        lock(&self.world).requests += 1;
        let said = |(status, body): (u16, Value)| Ok(Answer { status, headers: HeaderMap::new(), text: body.to_string(), after: None });
        let never = Duration::from_secs(3_600);
        let fault = if self.faulty { self.chance.below(1_000) } else { 1_000 };
        lock(&self.world).faults += u64::from(fault < 220);
        if self.faulty && AWAY.1.contains(&((self.now_ns() - BEGIN_NS) % AWAY.0)) {
            return said((if self.chance.below(10) == 0 { 404 } else { 503 }, json!({})));
        }
        match fault {
            0..40 => said((503, json!({}))),
            40..55 => Ok(Answer { status: 429, headers: HeaderMap::new(), text: String::new(), after: Some(Duration::from_secs(2)) }),
            55..80 => Err("reset before it".into()),
            80..105 => {
                self.serve(&request);
                Err("reset after it".into())
            }
            105..130 => {
                self.serve(&request);
                said((500, json!({})))
            }
            130..145 => {
                self.serve(&request);
                said((200, json!({ "ok": false, "error": "no, yes" })))
            }
            145..160 => said((200, json!({ "error": "busy" }))),
            160..170 => {
                self.serve(&request);
                Ok(Answer { status: 200, headers: HeaderMap::new(), text: "<html>done".into(), after: None })
            }
            170..180 => {
                sleep(never).await;
                Err("never".into())
            }
            180..195 => {
                self.serve(&request);
                sleep(never).await;
                Err("never".into())
            }
            // It takes effect when nobody waits any more, whatever became of who asked.
            195..210 => {
                let later = Duration::from_millis(self.chance.below(15_000));
                let system = self.clone();
                tokio::spawn(async move {
                    sleep(later).await;
                    system.serve(&request);
                });
                sleep(never).await;
                Err("never".into())
            }
            // Something in between asks twice: where a ticket is made, there are two.
            210..220 if request.path == "/tickets" => {
                lock(&self.world).doubled += 1;
                let first = self.serve(&request);
                self.serve(&request);
                said(first)
            }
            _ => said(self.serve(&request)),
        }
    }
}

impl Wire for System {
    fn ask(&self, request: Request) -> Coming<'_> {
        Box::pin(self.clone().answer(request))
    }
}
