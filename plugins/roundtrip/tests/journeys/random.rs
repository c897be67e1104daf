//! Deliveries with random delay, loss, copies and order, runs that are lost and workers that are killed.

use std::{collections::HashMap, fs, sync::Mutex, time::Instant};

use watchpost_testkit::Served;

use crate::*;

/// Deliveries unless the environment says otherwise.
const DELIVERIES: u32 = 20;
/// What the job calls lost.
const LOST_AFTER: Duration = Duration::from_millis(2000);
/// How long a test waits for a server to tell of a message that it took.
const TOLD_TIMEOUT: Duration = Duration::from_secs(20);

/// A sequence of numbers from a seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// What is true of a message, whoever knows it.
struct Truth {
    text: String,
    sent_ns: u64,
    /// Whether the run that sent it was kept.
    kept: bool,
    /// When its copies are delivered: after so many further runs, or, if it is to be too late, at a moment.
    due: Vec<(u32, Option<Instant>)>,
    /// When the first copy was delivered.
    delivered_ns: Option<u64>,
    copies: u64,
}

struct World {
    scene: Scene,
    dice: Dice,
    served: Arc<Mutex<Vec<Served>>>,
    messages: HashMap<String, Truth>,
    runs: u32,
    strangers: HashMap<String, String>,
    /// What is sent from now on never comes.
    ending: bool,
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

impl World {
    async fn new(seed: u64) -> Self {
        let keys = json!({ "late_after": "200ms", "lost_after": format!("{}ms", LOST_AFTER.as_millis()) });
        let scene = Scene::new(keys).await;
        let served = Arc::new(Mutex::new(Vec::new()));
        let (smtp, telling) = (scene.smtp.clone(), served.clone());
        tokio::spawn(async move {
            loop {
                if let Ok(one) = smtp.served().await {
                    telling.lock().unwrap().push(one);
                }
            }
        });
        let (messages, strangers) = (HashMap::new(), HashMap::new());
        Self { scene, dice: Dice(seed | 1), served, messages, runs: 0, strangers, ending: false }
    }

    /// Learns of the messages that the server has taken, and decides what becomes of each; gives how many there were.
    fn learn(&mut self, kept: bool) -> usize {
        let mut taken = 0;
        let told = std::mem::take(&mut *self.served.lock().unwrap());
        for served in told {
            let Some(begin) = served.heard.iter().position(|line| line == "DATA") else { continue };
            let Some(end) = served.heard.iter().position(|line| line == ".") else { continue };
            let text: String = served.heard[begin + 1..end].iter().map(|line| format!("{line}\r\n")).collect();
            let mark = text.lines().find_map(|line| line.strip_prefix("X-Watchpost-Roundtrip: ")).unwrap().to_owned();
            let sent_ns = mark.split(' ').nth(2).unwrap().parse().unwrap();
            let due = self.fate();
            self.messages.insert(mark, Truth { text, sent_ns, kept, due, delivered_ns: None, copies: 0 });
            taken += 1;
        }
        taken
    }

    fn fate(&mut self) -> Vec<(u32, Option<Instant>)> {
        if self.ending || self.dice.percent(10) {
            return Vec::new();
        }
        let too_late = self.dice.percent(5).then(|| Instant::now() + LOST_AFTER + Duration::from_millis(300));
        let copies = if self.dice.percent(15) { 1 + self.dice.below(3) } else { 1 };
        (0..copies).map(|_| (self.runs + self.dice.below(6) as u32, too_late)).collect()
    }

    fn deliver_what_is_due(&mut self, all: bool) {
        for truth in self.messages.values_mut() {
            let is_due = |due: &(u32, Option<Instant>)| match due.1 {
                Some(moment) => Instant::now() >= moment,
                None => all || due.0 <= self.runs,
            };
            let (due, rest): (Vec<_>, Vec<_>) = truth.due.iter().partition(|due| is_due(due));
            truth.due = rest;
            for _ in due {
                self.scene.deliver(&truth.text);
                truth.delivered_ns.get_or_insert_with(now_ns);
                truth.copies += 1;
            }
        }
    }

    fn meddle(&mut self) {
        if self.dice.percent(5) {
            let text = format!("Subject: Watchpost round trip\r\n\r\n{}\r\n", self.dice.below(1000));
            let name = self.scene.deliver(&text);
            self.strangers.insert(name, text);
        }
        if self.dice.percent(10) {
            // Somebody opens the mailbox.
            for name in self.scene.tree.names("new").unwrap() {
                self.scene.tree.rename(format!("new/{name}"), format!("cur/{name}:2,S")).unwrap();
            }
        }
    }

    /// One run of those that are kept.
    async fn run(&mut self) -> Ran {
        self.runs += 1;
        let ran = self.scene.run().await;
        self.told(true).await;
        ran
    }

    /// Waits until the server has told of the message of a run that ended well.
    async fn told(&mut self, kept: bool) {
        let begun = Instant::now();
        while self.learn(kept) == 0 {
            assert!(begun.elapsed() < TOLD_TIMEOUT, "the server tells of no message");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn step(&mut self, kept: &mut Option<Vec<u8>>) {
        // What a run that is killed before the first one ended sends, nobody knows again.
        match self.dice.below(100) {
            0..10 if kept.is_some() => {
                self.runs += 1;
                self.scene.run().await;
                self.told(false).await;
                self.scene.restart(kept.clone());
            }
            10..16 if kept.is_some() => {
                let time = Duration::from_micros(self.dice.below(12_000));
                let _killed = tokio::time::timeout(time, self.scene.kit.run()).await;
                self.scene.restart(kept.clone());
                // Whether the message was taken shows when the connection has ended; it is nobody's but the world's.
                tokio::time::sleep(Duration::from_millis(20)).await;
                self.learn(false);
            }
            _ => *kept = self.run().await.outcome.cursor,
        }
        self.meddle();
        self.deliver_what_is_due(false);
    }

    /// Has everything delivered that will be, and runs until all of it is counted.
    async fn end(&mut self) -> Ran {
        self.ending = true;
        while self.messages.values().any(|truth| !truth.due.is_empty()) {
            self.deliver_what_is_due(true);
            self.run().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(LOST_AFTER + Duration::from_millis(100)).await;
        self.run().await
    }
}

#[tokio::test]
async fn nothing_that_comes_in_time_is_lost_nothing_is_counted_twice_and_no_stranger_is_touched() {
    let deliveries = std::env::var("WATCHPOST_PROVE_ROUNDTRIPS").map_or(DELIVERIES, |count| count.parse().unwrap());
    let seed = std::env::var("WATCHPOST_PROVE_SEED").map_or_else(|_| now_ns(), |seed| seed.parse().unwrap());
    println!("WATCHPOST_PROVE_SEED={seed}");
    let mut world = World::new(seed).await;
    for number in 0..3 {
        let text = format!("Subject: stranger {number}\r\n\r\nhello\r\n");
        let name = world.scene.deliver(&text);
        world.strangers.insert(name, text);
    }
    let mut kept = None;
    while world.messages.len() < deliveries as usize {
        world.step(&mut kept).await;
    }
    let last = world.end().await;
    let total = |metric: Metric| last.value(metric).unwrap() as u64;
    let (sent, arrived, lost) = (total(standard::MESSAGES_SENT), total(MESSAGES_ARRIVED), total(MESSAGES_LOST));
    let in_time = |truth: &&Truth| truth.delivered_ns.is_some_and(|at| at <= truth.sent_ns + LOST_AFTER.as_nanos() as u64);
    let count = |of: &dyn Fn(&&Truth) -> bool| world.messages.values().filter(of).count() as u64;
    let known = count(&|truth| truth.kept || truth.delivered_ns.is_some());
    let must_arrive = count(&|truth| in_time(truth) || (!truth.kept && truth.delivered_ns.is_some()));
    let may_be_lost = count(&|truth| truth.kept && !in_time(truth));
    let never = count(&|truth| truth.kept && truth.delivered_ns.is_none());
    let copies: u64 = world.messages.values().map(|truth| truth.copies.saturating_sub(1)).sum();
    let told = format!("seed {seed}: {sent} sent, {arrived} arrived, {lost} lost, {} copies of {known}", total(MESSAGES_DUPLICATE));
    println!("{told}; {} runs, {must_arrive} in time, {never} never delivered", world.runs);
    assert_eq!((sent, total(IN_FLIGHT)), (known, 1), "{told}");
    assert_eq!(sent, arrived + lost + 1, "{told}");
    assert!(arrived >= must_arrive && lost <= may_be_lost, "{told}: {must_arrive} were in time");
    // The last one is in flight.
    assert!(lost >= never - 1, "{told}: {never} were never delivered");
    assert_eq!(total(MESSAGES_DUPLICATE), copies, "{told}");
    world.scene.run().await;
    for folder in ["new", "cur"] {
        for name in world.scene.tree.names(folder).unwrap() {
            let unique = name.split(':').next().unwrap();
            let text = world.strangers.remove(unique).unwrap_or_else(|| panic!("seed {seed}: {name} is left"));
            assert_eq!(fs::read_to_string(world.scene.tree.at(folder).join(&name)).unwrap(), text);
        }
    }
    assert_eq!(world.strangers.len(), 0, "seed {seed}: strangers' messages are gone");
}
