//! Lives of alarms told in tickets of a system that fails in every way, by a daemon that is killed at random: exactly one ticket for each,
//! or for all of a situation, every step in it once, and nothing left open; what people do there is seen once, and what we do is taken for
//! nobody's.
//!
//! Time is virtual. `WATCHPOST_PROVE_TICKETS` lives; `cargo xtask prove tickets` tells ten thousand. `WATCHPOST_PROVE_SEED` repeats their
//! chances.

use std::{collections::BTreeSet, path::Path, sync::Weak, time::Duration};

use rusqlite::{Connection, params};
use tokio::{task::JoinHandle, time::sleep};
use watchpost_journal::{Journal, Options};

use super::{
    stories::{Expected, TOGETHER, stories},
    system::{BEGIN_NS, Chance, LAG, Made, System, TIMEOUT},
    *,
};
use crate::{
    alarm::{
        ledger::ActError,
        life::{Act, Life, Note, Stage, Until},
        notice::Notice,
        record::{Alarm, Origin, Subject},
        situation::{Situation, situation},
        store::{FILE, NoOutbox, Store},
    },
    daemon::{
        delivery::{Delivery, lock},
        host_alarms::Overheard,
    },
    notify::{
        channel::Kind,
        outbox::{self, Outbox},
        route::{Route, Routes},
    },
    series::selector::Selector,
    ticket::life::mark,
};

/// Lives of the daily run.
const LIVES: u64 = 200;
const SECOND: i64 = 1_000_000_000;

/// What was done to an alarm, and by whom.
type Deeds = Vec<(u64, String, Act)>;

/// Remembers what was done to alarms.
#[derive(Default)]
struct Memory(Mutex<(BTreeMap<u64, Alarm>, Deeds)>);

impl Hands for Memory {
    fn alarm(&self, number: u64) -> Option<Alarm> {
        lock(&self.0).0.get(&number).cloned()
    }

    fn situation(&self, number: u64) -> Option<Situation> {
        let alarms = lock(&self.0).0.clone().into_values();
        let alarms: Vec<Alarm> = alarms.filter(|alarm| alarm.situation.unwrap_or(alarm.life.number) == number).collect();
        (alarms.len() > 1).then(|| situation(number, alarms, |_| 0))
    }

    fn act(&self, number: u64, who: &str, act: Act) -> Result<(), ActError> {
        let mut held = lock(&self.0);
        if let Some(alarm) = held.0.get_mut(&number) {
            match &act {
                Act::Annotate(text) => alarm.life.notes.push(Note { time_ns: 0, by: who.into(), text: text.clone() }),
                Act::Acknowledge(until_ns) => alarm.life.acknowledged = Some(Until { by: who.into(), until_ns: *until_ns }),
                Act::Own => alarm.life.owner = Some(who.into()),
                Act::Close { .. } => alarm.life.stage = Stage::Closed,
                _ => {}
            }
        }
        held.1.push((number, who.to_owned(), act));
        Ok(())
    }
}

/// An alarm as a step tells of it.
fn alarm_of(notice: &Notice) -> Alarm {
    let stage = if notice.active { Stage::Active } else { Stage::Cleared };
    let mut life = Life::default();
    (life.number, life.stage, life.raised_ns, life.severity) = (notice.alarm, stage, notice.raised_ns, notice.severity);
    let Notice { key, rule, agent, job, target, series, labels, event_type, cause, value, bound, text, .. } = notice.clone();
    let (instruction, link) = (None, None);
    let origin = Origin::Rule;
    let subject =
        Subject { key, origin, rule, agent, job, target, series, labels, event_type, cause, value, bound, text, instruction, link };
    Alarm { life, subject, situation: notice.situation }
}

/// A channel as the configuration gives it.
fn channel(folder: &Path, versioned: bool) -> Channel {
    let rest = crate::ticket::template::SHIPPED.iter().find(|(name, _)| *name == "rest").unwrap().1;
    let replaced = |template: &str, from: &str, to: &str| {
        assert!(template.contains(from), "{from}");
        template.replace(from, to)
    };
    let mut template = replaced(rest, "search_lag = \"0s\"", &format!("search_lag = \"{}s\"", LAG.as_secs()));
    if versioned {
        template = replaced(&template, "[read]\n", "[read]\nversion = \"/version\"\n");
        for change in ["[comment]\n", "[resolve]\n", "[reopen]\n"] {
            template = replaced(&template, change, &format!("{change}headers = {{ If-Match = \"{{{{ ticket.version }}}}\" }}\n"));
        }
    }
    std::fs::write(folder.join("rest.toml"), template).unwrap();
    std::fs::create_dir_all(folder.join("plugins")).unwrap();
    std::fs::create_dir_all(folder.join("schedules")).unwrap();
    let main = format!(
        "[[channel]]\nname = \"desk\"\ntype = \"ticket\"\nurl = \"http://desk.lab.test\"\ntemplate = \"rest.toml\"\ndelay = \"0s\"\n\
         poll = \"15m\"\nreopen_within = \"10m\"\ntimeout = \"{}s\"\n\n[[route]]\nchannels = [\"desk\"]\n",
        TIMEOUT.as_secs()
    );
    std::fs::write(folder.join("watchpost.toml"), main).unwrap();
    let (draft, faults) = crate::config::read(&folder.join("watchpost.toml"), crate::schedule::UnixTime::from_secs(BEGIN_NS / SECOND));
    draft.channels.into_iter().next().unwrap_or_else(|| panic!("{faults}"))
}

fn routes(channel: &Channel) -> Routes {
    let all = Route {
        matches: None,
        severity: Severity::Indeterminate,
        active: None,
        zone: crate::schedule::Zone::default(),
        channels: vec!["desk".into()],
        delay: Duration::ZERO,
        group_by: Vec::new(),
        group_wait: Duration::ZERO,
        repeat: None,
        escalate: Vec::new(),
        by_situation: false,
    };
    let together = Route {
        matches: Some(crate::config::At { value: Selector::parse(TOGETHER).unwrap(), place: crate::config::Place::whole("w") }),
        by_situation: true,
        ..all.clone()
    };
    let desk = || "desk".to_owned();
    let (wants, delays) = ([(desk(), channel.tell.clone())].into(), [(desk(), channel.kind.delay())].into());
    let desks = channel.kind.reopen_within().map(|within| (desk(), within)).into_iter().collect();
    Routes { routes: vec![together, all], wants, delays, desks, ..Routes::default() }
}

/// A daemon that looks after tickets, until it is killed.
struct Daemon {
    task: JoinHandle<()>,
    shared: Weak<Shared>,
    _stop: watch::Sender<bool>,
}

impl Daemon {
    fn start(delivery: &Delivery, channel: &Arc<Channel>, system: &System) -> Self {
        let Kind::Ticket(desk) = &channel.kind else { panic!("no tickets") };
        let (stop, stops) = watch::channel(false);
        let clock = system.clone();
        let lead = delivery.tickets(channel, desk, Arc::new(system.clone()), &Arc::default(), stops, Arc::new(move || clock.now_ns()));
        let shared = Arc::downgrade(&lead.shared);
        Self { task: tokio::spawn(lead.lead()), shared, _stop: stop }
    }

    /// As if the process were gone; what it was just writing is written.
    async fn kill(self) {
        self.task.abort();
        while self.shared.strong_count() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What people did: the ticket, who, and what he wrote, or nothing where he resolved it.
type Deed = (u64, &'static str, Option<String>);

/// Now and then somebody writes something into an open ticket, or resolves it.
fn people(system: &System, chance: &Chance, deeds: &mut Vec<Deed>) {
    let mut world = lock(&system.world);
    // Of those that are there twice, now and then the second.
    let mut keys = BTreeSet::new();
    let seconds: BTreeSet<u64> = world.tickets.iter().filter(|ticket| !keys.insert(ticket.key.clone())).map(|ticket| ticket.id).collect();
    let is_open_second = |ticket: &Made| ticket.state != "resolved" && seconds.contains(&ticket.id);
    let only_seconds = chance.below(2) == 0 && world.tickets.iter().any(is_open_second);
    let is_meant = |ticket: &&mut Made| ticket.state != "resolved" && (!only_seconds || seconds.contains(&ticket.id));
    let mut open: Vec<&mut Made> = world.tickets.iter_mut().filter(is_meant).collect();
    if open.is_empty() {
        return;
    }
    let at = usize::try_from(chance.below(open.len() as u64)).unwrap();
    let Some(ticket) = open.get_mut(at) else { return };
    ticket.version += 1;
    if chance.below(4) == 0 {
        (ticket.state, ticket.closed_by) = ("resolved".into(), Some("bob".into()));
        deeds.push((ticket.id, "bob", None));
    } else {
        let text = format!("looked at it, {}", deeds.len());
        ticket.comments.push(("alice".into(), text.clone()));
        deeds.push((ticket.id, "alice", Some(text)));
    }
}

#[tokio::test(start_paused = true)]
async fn every_alarm_has_one_ticket_with_every_step_and_none_is_left_open() {
    prove(false).await;
}

#[tokio::test(start_paused = true)]
async fn so_it_is_where_a_change_has_to_name_the_version_of_its_ticket() {
    prove(true).await;
}

async fn prove(versioned: bool) {
    let lives = std::env::var("WATCHPOST_PROVE_TICKETS").map_or(if versioned { LIVES / 2 } else { LIVES }, |count| count.parse().unwrap());
    let seed = std::env::var("WATCHPOST_PROVE_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed: u64 = seed.unwrap_or_else(|| crate::daemon::now_ns().unsigned_abs());
    println!("WATCHPOST_PROVE_SEED={seed}");
    let chance = Arc::new(Chance(seed.into()));
    // Nothing that is proved rests on a disk.
    let folder = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" }).unwrap();
    let data = folder.path().to_owned();
    drop(Store::open(&data, Box::new(NoOutbox)).unwrap());
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    let channel = Arc::new(channel(&data, versioned));
    let hands: Arc<Memory> = Arc::default();
    let delivery =
        Delivery::open((&data.join(FILE), Turns::default()), Appender::new(Arc::new(journal)), Overheard::default(), Arc::default())
            .unwrap();
    let delivery = delivery.with_hands(hands.clone());
    let instance = Outbox::open(&data.join(FILE), Turns::default()).unwrap().instance().unwrap();
    let (notices, expected) = stories(lives, &instance, &chance);
    let system = System::new(chance.clone(), true).versioned(versioned);
    let (began, mut kills, mut deeds, mut waiting) = (Instant::now(), 0, Vec::new(), VecDeque::from(notices));
    let routes = routes(&channel);
    let mut connection = Connection::open(data.join(FILE)).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    let outbox = Outbox::open(&data.join(FILE), Turns::default()).unwrap();
    let mut daemon = Daemon::start(&delivery, &channel, &system);
    let last_ns = waiting.back().unwrap().time_ns;
    loop {
        sleep(Duration::from_millis(200 + chance.below(4_000))).await;
        write(&mut connection, &mut waiting, &routes, &hands, system.now_ns());
        if chance.below(40) == 0 {
            people(&system, &chance, &mut deeds);
        }
        // Kills become rare towards the end, or there were none.
        if chance.below(if waiting.is_empty() { 40 } else { 8 }) == 0 {
            daemon.kill().await;
            kills += 1;
            daemon = Daemon::start(&delivery, &channel, &system);
        }
        let backlog = outbox.backlog("desk", system.now_ns()).unwrap();
        if waiting.is_empty() && backlog.due == 0 && backlog.next_ns.is_none() {
            break;
        }
        assert!(system.now_ns() < last_ns + 86_400 * SECOND, "{backlog:?} after {kills} kills");
    }
    // Late requests come in, and everything is read once more.
    let ended_ns = system.now_ns();
    loop {
        sleep(Duration::from_secs(60)).await;
        // The last ticket of each alarm: those before it are nobody's any more.
        let first = "SELECT min(CASE WHEN ticket ->> '$.unread' > 0 THEN 0 ELSE polled_ns END)
            FROM (SELECT polled_ns, ticket, max(first) FROM tickets GROUP BY alarm_key)";
        let owed = "SELECT count(*) FROM tickets WHERE ticket ->> '$.doubles.owed'";
        let owed = connection.query_row(owed, [], |row| row.get::<_, i64>(0)).unwrap();
        if owed == 0 && connection.query_row(first, [], |row| row.get::<_, i64>(0)).unwrap() > ended_ns {
            break;
        }
        assert!(system.now_ns() < ended_ns + 86_400 * SECOND, "not all are read");
    }
    daemon.kill().await;
    let world = lock(&system.world);
    let mut wrong = judge(&world.tickets, &expected, &deeds, &lock(&hands.0).1);
    // That duplicates are resolved hides no carelessness: none was made but those that something in between made.
    if world.tickets.len() as u64 != expected.len() as u64 + world.doubled {
        wrong.push(format!("{} tickets were made for {} and {} doubled", world.tickets.len(), expected.len(), world.doubled));
    }
    println!(
        "{lives} lives of {} tickets, {} of situations of several, in {} h, {kills} kills, {} requests of which {} failed, {} creates doubled, {} deeds of people, {} s",
        expected.len(),
        expected.iter().filter(|ticket| ticket.of_situation && ticket.lives.len() > 1).count(),
        (system.now_ns() - BEGIN_NS) / (3_600 * SECOND),
        world.requests,
        world.faults,
        world.doubled,
        deeds.len(),
        seconds(began.elapsed())
    );
    assert_eq!(wrong, [""; 0]);
    assert!(kills > 0 && world.faults > 0);
}

/// Writes the steps whose time has come, as the ledger does.
fn write(connection: &mut Connection, waiting: &mut VecDeque<Notice>, routes: &Routes, hands: &Memory, now_ns: i64) {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    while waiting.front().is_some_and(|notice| notice.time_ns <= now_ns) {
        let Some(notice) = waiting.pop_front() else { break };
        outbox::put(&transaction, &notice, routes).unwrap();
        let stage = if notice.active { 0 } else { 1 };
        let values = params![i64::try_from(notice.alarm).unwrap(), notice.key, stage];
        transaction.execute("INSERT OR REPLACE INTO alarms VALUES (?1, ?2, ?3, NULL, '{}')", values).unwrap();
        let mut held = lock(&hands.0);
        let known = held.0.entry(notice.alarm).or_insert_with(|| alarm_of(&notice));
        known.life.stage = alarm_of(&notice).life.stage;
    }
    transaction.commit().unwrap();
}

/// Says what is not as it should be.
fn judge(tickets: &[Made], expected: &[Expected], deeds: &[Deed], acts: &[(u64, String, Act)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut of_keys: BTreeMap<&str, Vec<&Made>> = BTreeMap::new();
    tickets.iter().for_each(|ticket| of_keys.entry(&ticket.key).or_default().push(ticket));
    for Expected { key, steps, lives, of_situation } in expected {
        let found = of_keys.remove(key.as_str()).unwrap_or_default();
        let is_duplicate = |ticket: &&&Made| ticket.comments.iter().any(|(_, text)| text.ends_with("/duplicate"));
        let (duplicates, true_ones): (Vec<&Made>, Vec<&Made>) = found.iter().partition(|ticket| is_duplicate(ticket));
        if let Some(open) = found.iter().find(|ticket| ticket.state != "resolved") {
            wrong.push(format!("{key}: ticket {} is left {}", open.id, open.state));
        }
        let [ticket] = true_ones.as_slice() else {
            wrong.push(format!("{key}: {} tickets beside {} duplicates", true_ones.len(), duplicates.len()));
            continue;
        };
        let said = std::iter::once(&ticket.text).chain(ticket.comments.iter().map(|(_, text)| text));
        let told: Vec<u64> = said.filter_map(|text| text.rsplit_once(&format!("{key}/"))?.1.trim().parse().ok()).collect();
        if told != *steps {
            wrong.push(format!("{key}: steps {told:?} instead of {steps:?}"));
        }
        if let Some(text) = steps.first().map(|seq| mark(key, *seq)).filter(|mark| !ticket.text.ends_with(mark)) {
            wrong.push(format!("{key}: the ticket itself does not bear {text}"));
        }
        let mut of_it: Vec<&(u64, String, Act)> = acts.iter().filter(|(alarm, ..)| lives.contains(alarm)).collect();
        if *of_situation {
            // It is done to each alarm that goes on: once, and to one after the other.
            let mut known: Vec<(&String, Option<&Act>)> = Vec::new();
            let notes: Vec<_> = of_it.iter().filter(|(.., act)| matches!(act, Act::Annotate(_))).collect();
            let again = notes.iter().enumerate().find(|(at, note)| notes.iter().take(*at).any(|earlier| earlier == *note));
            if let Some((_, twice)) = again {
                wrong.push(format!("{key}: {twice:?} was done twice"));
            }
            of_it.retain(|(_, who, act)| {
                // Who resolves it acknowledges what goes on, and closes what is over.
                let deed = (who, Some(act).filter(|act| matches!(act, Act::Annotate(text) if !text.starts_with("ticket "))));
                let is_new = !known.contains(&deed);
                known.push(deed);
                is_new
            });
        }
        let mut done: Vec<(String, Option<String>)> = of_it
            .into_iter()
            .filter_map(|(_, who, act)| match act {
                Act::Annotate(text) if text.starts_with("ticket ") => None,
                Act::Annotate(text) => Some((who.clone(), Some(text.clone()))),
                _ => Some((who.clone(), None)),
            })
            .collect();
        let did_in = |meant: &dyn Fn(u64) -> bool| -> Vec<(String, Option<String>)> {
            deeds.iter().filter(|(of, ..)| meant(*of)).map(|(_, who, text)| (format!("{who}@desk"), text.clone())).collect()
        };
        let mut did = did_in(&|of| of == ticket.id);
        // Of a duplicate counts what is written, whenever it is read: who resolves it did what is done anyway.
        let mut beside = did_in(&|of| duplicates.iter().any(|duplicate| duplicate.id == of));
        beside.retain(|(_, text)| text.is_some());
        // What is written is noted as often as it is written, and in the ticket itself in that order.
        let written = |deeds: &[(String, Option<String>)]| deeds.iter().filter(|(_, text)| text.is_some()).cloned().collect::<Vec<_>>();
        let (mut noted, mut noted_beside) = (written(&done), Vec::new());
        noted.retain(|note| {
            let is_beside = beside.contains(note);
            noted_beside.extend(is_beside.then(|| note.clone()));
            !is_beside
        });
        noted_beside.sort();
        beside.sort();
        let is_noted = noted == written(&did) && noted_beside == beside;
        did.extend(beside);
        done.sort();
        did.sort();
        // What somebody resolves while its alarm ends was over anyway.
        let mut left = did.clone();
        let mut is_invented = |deed: &(String, Option<String>)| match left.iter().position(|known| known == deed) {
            Some(at) => {
                left.swap_remove(at);
                false
            }
            None => true,
        };
        if done.iter().any(&mut is_invented) || !is_noted {
            wrong.push(format!("{key}: people did {did:?}, and {done:?} was done for them"));
        }
    }
    wrong.extend(of_keys.keys().map(|key| format!("{key}: nobody asked for it")));
    wrong
}
