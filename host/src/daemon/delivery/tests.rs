//! Lives of alarms told to a receiver that fails in every way, by a daemon that is killed at random: everything arrives, in its order, and
//! what comes twice has the same id.
//!
//! `WATCHPOST_PROVE_DELIVERIES` lives; `cargo xtask prove delivery` tells ten thousand. `WATCHPOST_PROVE_SEED` repeats their chances.

mod back;
mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use rusqlite::Connection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use watchpost_journal::{Journal, Options};
use watchpost_plugin_api::Severity;

use super::*;
use crate::{
    alarm::{
        notice::Notice,
        store::{FILE, NoOutbox, Store},
    },
    notify::{
        channel::{Hidden, Kind},
        http::Receiver as Address,
        outbox::{self, Backlog},
        route::{Route, Routes},
        snmp,
        webhook::{Body, Webhook},
    },
};

/// Lives of the daily run.
const LIVES: u64 = 200;
/// How long a life's messages may take to arrive, all together; a failing receiver makes them wait.
const PATIENCE: Duration = Duration::from_secs(150);
/// Steps of each life.
const STEPS: [Step; 3] = [Step::Raised, Step::Changed, Step::Cleared];

/// Chance that can be had again (SplitMix64).
struct Chance(AtomicU64);

impl Chance {
    fn below(&self, end: u64) -> u64 {
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}

/// What a receiver got: id, alarm, step's number.
type Got = (String, u64, u64);

struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    /// One that takes everything, after a while.
    async fn slow(pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, got) = (listener.local_addr().unwrap().port(), Arc::default());
        let kept: Arc<Mutex<Vec<Got>>> = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let kept = kept.clone();
                tokio::spawn(async move {
                    let Some(message) = read(&mut stream).await else { return };
                    lock(&kept).push(message);
                    tokio::time::sleep(pause).await;
                    let _gone = stream.write_all(b"HTTP/1.1 204 Fine\r\n\r\n").await;
                });
            }
        });
        Self { port, got }
    }

    async fn start(chance: Arc<Chance>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, got) = (listener.local_addr().unwrap().port(), Arc::default());
        let kept: Arc<Mutex<Vec<Got>>> = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, kept.clone(), chance.clone()));
            }
        });
        Self { port, got }
    }
}

/// Takes one request, or fails at it in one of the ways in which receivers fail.
async fn serve(mut stream: TcpStream, got: Arc<Mutex<Vec<Got>>>, chance: Arc<Chance>) {
    let Some(message) = read(&mut stream).await else { return };
    let fault = chance.below(100);
    // Some fail after they have taken it: nobody can tell those from the others.
    let takes = !matches!(fault, 75..84);
    if takes {
        lock(&got).push(message);
    }
    let answer: &[u8] = match fault {
        75..79 => b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        79..81 => b"HTTP/1.1 429 Later\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        81..84 => b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"ok\":false}",
        84..87 => b"HTTP/1.1 500 After\r\nContent-Length: 0\r\n\r\n",
        87..90 => b"nonsense\r\n\r\n",
        90..93 => return,
        93..94 => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            return;
        }
        _ => b"HTTP/1.1 204 Fine\r\n\r\n",
    };
    let _gone = stream.write_all(answer).await;
}

async fn read(stream: &mut TcpStream) -> Option<Got> {
    let (id, said) = request(stream).await?;
    Some((id, said["alarm"].as_u64()?, said["seq"].as_u64()?))
}

/// Reads a request: its id, and its body.
async fn request(stream: &mut TcpStream) -> Option<(String, serde_json::Value)> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(length) => bytes.extend_from_slice(&piece[..length]),
        }
        let text = std::str::from_utf8(&bytes).ok()?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
        if body.len() < header("content-length: ")?.parse().ok()? {
            continue;
        }
        return Some((header("idempotency-key: ")?, serde_json::from_str(body).ok()?));
    }
}

fn channel(port: u16) -> Channel {
    let receiver = Address { url: format!("http://127.0.0.1:{port}/").parse().unwrap(), ca_file: None };
    let kind = Kind::Webhook(Webhook { receiver, headers: Vec::new(), secret: None, body: Body::Own });
    Channel { name: "hook".into(), kind, tell: Step::ALL.into(), heartbeat: None, timeout: Duration::from_secs(1), person: None }
}

fn routes() -> Routes {
    let route = Route {
        matches: None,
        severity: Severity::Indeterminate,
        active: None,
        zone: crate::schedule::Zone::default(),
        channels: vec!["hook".into()],
        delay: Duration::ZERO,
        group_by: Vec::new(),
        group_wait: Duration::ZERO,
        repeat: None,
        escalate: Vec::new(),
        by_situation: false,
    };
    Routes { routes: vec![route], wants: [("hook".to_owned(), Step::ALL.into())].into(), ..Routes::default() }
}

/// A daemon's deliveries, until they are killed.
async fn deliver((data, turns): (&Path, &Turns), appender: &Appender, channel: &Channel) -> Delivery {
    let delivery = Delivery::open((&data.join(FILE), turns.clone()), appender.clone(), Overheard::default(), Arc::default()).unwrap();
    delivery.set(std::slice::from_ref(channel)).await;
    delivery
}

/// As if the process were gone: nothing is written down any more of what was told.
fn kill(delivery: Delivery) {
    lock(&delivery.running).values().for_each(|running| running.task.abort());
}

/// Where lives are told: how many, their chances, and a data folder without alarms.
struct Scene {
    lives: u64,
    chance: Arc<Chance>,
    data: PathBuf,
    /// One machine has one daemon: all that write take turns, also with what a killed one still had to write.
    turns: Turns,
    appender: Appender,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn set() -> Self {
        let lives = std::env::var("WATCHPOST_PROVE_DELIVERIES").map_or(LIVES, |count| count.parse().unwrap());
        let seed = std::env::var("WATCHPOST_PROVE_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed: u64 = seed.unwrap_or_else(|| now_ns().unsigned_abs());
        println!("WATCHPOST_PROVE_SEED={seed}");
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        drop(Store::open(&data, Box::new(NoOutbox)).unwrap());
        let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
        let (chance, appender) = (Arc::new(Chance(seed.into())), Appender::new(Arc::new(journal)));
        Self { lives, chance, data, turns: Turns::default(), appender, _folder: folder }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_arrives_in_its_order_whatever_receivers_and_kills_do() {
    let Scene { lives, chance, data, turns, appender, _folder } = Scene::set();
    let receiver = Receiver::start(chance.clone()).await;
    let channel = channel(receiver.port);

    let written = {
        let (data, turns, chance) = (data.clone(), turns.clone(), chance.clone());
        spawn_blocking(move || write_lives((&data, &turns), lives, &chance, &routes()))
    };
    let (began, mut kills, mut delivery) = (Instant::now(), 0, deliver((&data, &turns), &appender, &channel).await);
    let outbox = Outbox::open(&data.join(FILE), Turns::default()).unwrap();
    loop {
        tokio::time::sleep(Duration::from_millis(50 + chance.below(400))).await;
        let backlog = outbox.backlog("hook", now_ns()).unwrap();
        if written.is_finished() && backlog.due == 0 && backlog.next_ns.is_none() {
            break;
        }
        assert!(began.elapsed() < PATIENCE * u32::try_from(1 + lives / 500).unwrap(), "{backlog:?} after {kills} kills");
        // Kills become rare towards the end, or there were none.
        if !written.is_finished() || chance.below(3) == 0 {
            kill(delivery);
            kills += 1;
            delivery = deliver((&data, &turns), &appender, &channel).await;
        }
    }
    delivery.stop().await;
    let of_alarms = written.await.unwrap();
    let got = lock(&receiver.got).clone();
    let (doubles, wrong) = judge(&got, &of_alarms);
    println!(
        "{lives} lives, {kills} kills, {} messages taken, {doubles} of them again, {} s, longest turn {}",
        got.len(),
        seconds(began.elapsed()),
        turns.longest()
    );
    assert_eq!(wrong, [""; 0]);
    assert!(kills > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_has_told_again_only_what_was_answered_just_before_it() {
    // Killed near the end of a round of 256: it was 230 messages that were told again, when a round was marked at its end.
    const MESSAGES: u64 = 300;
    const KILLED_AFTER: usize = 230;
    const AGAIN_MAX: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_owned();
    drop(Store::open(&data, Box::new(NoOutbox)).unwrap());
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    let appender = Appender::new(Arc::new(journal));
    let receiver = Receiver::slow(Duration::from_millis(40)).await;
    let channel = channel(receiver.port);
    {
        let mut connection = Connection::open(data.join(FILE)).unwrap();
        let transaction = connection.transaction().unwrap();
        for number in 1..=MESSAGES {
            let key = format!("job/rule/{number}");
            let notice = Notice { seq: number, alarm: number, key, time_ns: now_ns(), ..sample(Step::Raised) };
            outbox::put(&transaction, &notice, &routes()).unwrap();
        }
        transaction.commit().unwrap();
    }
    let taken = || lock(&receiver.got).len();
    let began = Instant::now();
    let turns = Turns::default();
    let delivery = deliver((&data, &turns), &appender, &channel).await;
    while taken() < KILLED_AFTER {
        assert!(began.elapsed() < PATIENCE, "{} were taken", taken());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill(delivery);
    let before = taken();
    let delivery = deliver((&data, &turns), &appender, &channel).await;
    let outbox = Outbox::open(&data.join(FILE), Turns::default()).unwrap();
    while outbox.backlog("hook", now_ns()).unwrap() != Backlog::default() {
        assert!(began.elapsed() < PATIENCE, "{} were taken", taken());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    delivery.stop().await;
    let again = taken() - usize::try_from(MESSAGES).unwrap();
    println!("killed after {before} messages, {again} of them were told again");
    assert!(again <= AGAIN_MAX, "{again} of {before} were told again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_of_traps_is_known_before_the_first_one_is_sent() {
    let Scene { data, turns, appender, _folder, .. } = Scene::set();
    let delivery = deliver((&data, &turns), &appender, &channel(1)).await;
    let engine = snmp::Engine::of(&data);
    assert_eq!(engine.known().unwrap(), None, "nobody needs one");
    let login = snmp::Login::V3 {
        user: "watchpost".into(),
        auth: async_snmp::AuthProtocol::Sha256,
        auth_password: Hidden::new("authenticated".into()),
        privacy: async_snmp::PrivProtocol::Aes128,
        privacy_password: Hidden::new("private enough".into()),
    };
    let root = async_snmp::Oid::parse(snmp::ROOT).unwrap();
    for (inform, boots) in [(true, None), (false, Some(1)), (false, Some(1))] {
        let kind = Kind::Snmp(snmp::Snmp { host: "127.0.0.1".into(), port: 1, inform, login: login.clone(), root: root.clone() });
        delivery.set(&[Channel { name: "nms".into(), kind, ..channel(1) }]).await;
        assert_eq!(engine.known().unwrap().map(|(_, boots)| boots), boots, "inform = {inform}");
    }
    delivery.stop().await;
}

/// Writes the steps of all lives, those of one in their order, those of many mixed; gives of which alarm each is a life. Most are of one that
/// was there before.
fn write_lives((data, turns): (&Path, &Turns), lives: u64, chance: &Chance, routes: &Routes) -> BTreeMap<u64, u64> {
    let mut connection = Connection::open(data.join(FILE)).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let (mut open, mut seq): (Vec<(u64, usize)>, u64) = (Vec::new(), 0);
    let (mut begun, mut of_alarms, mut over): (u64, BTreeMap<u64, u64>, Vec<u64>) = (0, BTreeMap::new(), Vec::new());
    while begun < lives || !open.is_empty() {
        let mut turn = turns.first();
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        for _ in 0..50 {
            if begun < lives && (open.is_empty() || chance.below(2) == 0) {
                begun += 1;
                let again = if chance.below(4) > 0 { over.pop() } else { None };
                of_alarms.insert(begun, again.unwrap_or(begun));
                open.push((begun, 0));
            }
            if open.is_empty() {
                break;
            }
            let at = usize::try_from(chance.below(open.len() as u64)).unwrap();
            let (alarm, step) = open[at];
            seq += 1;
            let mut notice = Notice { seq, alarm, time_ns: now_ns(), ..sample(STEPS[step]) };
            notice.key = format!("job/rule/{}", of_alarms[&alarm]);
            outbox::put(&transaction, &notice, routes).unwrap();
            if step + 1 == STEPS.len() {
                open.swap_remove(at);
                over.push(of_alarms[&alarm]);
            } else {
                open[at].1 += 1;
            }
        }
        transaction.commit().unwrap();
        turn.wrote(50);
        drop(turn);
        std::thread::sleep(Duration::from_millis(20));
    }
    of_alarms
}

/// Counts what came again; says what is missing, out of order over the lives of an alarm, or told under another id.
fn judge(got: &[Got], of_alarms: &BTreeMap<u64, u64>) -> (usize, Vec<String>) {
    let mut of_lives: BTreeMap<u64, Vec<(u64, &str)>> = BTreeMap::new();
    let mut order: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (id, life, seq) in got {
        of_lives.entry(*life).or_default().push((*seq, id));
        order.entry(of_alarms[life]).or_default().push(*seq);
    }
    let (mut wrong, mut doubles) = (Vec::new(), 0);
    for life in of_alarms.keys() {
        let told = of_lives.remove(life).unwrap_or_default();
        let distinct: BTreeSet<u64> = told.iter().map(|(seq, _)| *seq).collect();
        let ids: BTreeSet<&str> = told.iter().map(|(_, id)| *id).collect();
        doubles += told.len() - distinct.len();
        if distinct.len() != STEPS.len() || ids.len() != STEPS.len() {
            wrong.push(format!("life {life} was told {told:?}"));
        }
    }
    for (alarm, told) in order {
        // What a killed daemon had sent may arrive late, and is known by its id: what counts is when each came first.
        let mut seen = BTreeSet::new();
        let first: Vec<u64> = told.iter().copied().filter(|seq| seen.insert(*seq)).collect();
        if !first.is_sorted() {
            wrong.push(format!("alarm {alarm} was told out of order: {told:?}"));
        }
    }
    (doubles, wrong)
}
