//! What is acknowledged survives `kill -9`.
//!
//! The test starts itself again as a child that appends and prints what was acknowledged, kills it at random
//! moments (while it opens, too), and looks for every printed record. `WATCHPOST_PROVE_KILLS` sets the number
//! of kills, `WATCHPOST_PROVE_SEED` repeats a run.

#![expect(clippy::expect_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use watchpost_journal::{Journal, Options, Position, Reader};

const CHILD_DIR: &str = "WATCHPOST_JOURNAL_CHILD_DIR";
const CHILD_SEED: &str = "WATCHPOST_JOURNAL_CHILD_SEED";
const THIS_TEST: &str = "an_acknowledged_record_survives_kill_9";

/// Kills of one test run, where nobody asks for more.
const KILLS: u64 = 4;
/// After so many kills the next ones get a folder of their own, so that looking for all stays quick.
const KILLS_PER_FOLDER: u64 = 10;
/// A child that takes longer to acknowledge anything is a failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// A child that nobody kills ends by itself.
const CHILD_LIFE: Duration = Duration::from_secs(60);

/// Position of each acknowledged record, and what it held.
type Acknowledged = BTreeMap<Position, u64>;

/// SplitMix64: a seed tells all.
struct Chance(u64);

impl Chance {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A record tells its own number, so that a mix-up shows.
fn payload(content: u64, bytes: usize) -> Vec<u8> {
    content.to_le_bytes().into_iter().cycle().take(8 + bytes).collect()
}

fn content(payload: &[u8]) -> u64 {
    let content = u64::from_le_bytes(*payload.first_chunk().expect("at least its number"));
    assert_eq!(payload, self::payload(content, payload.len() - 8), "a record is whole");
    content
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn an_acknowledged_record_survives_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        return append_until_killed(Path::new(&dir), Chance(number(CHILD_SEED).expect("a seed")));
    }
    let kills = number("WATCHPOST_PROVE_KILLS").unwrap_or(KILLS);
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64);
    let seed = number("WATCHPOST_PROVE_SEED").unwrap_or_else(now);
    let mut chance = Chance(seed);
    let (mut done, mut acknowledged, mut torn) = (0, 0, 0);
    while done < kills {
        let count = KILLS_PER_FOLDER.min(kills - done);
        let (records, tails) = lives_of_one_folder(count, &mut chance);
        (done, acknowledged, torn) = (done + count, acknowledged + records, torn + tails);
    }
    println!("seed {seed}: {kills} kills, {acknowledged} acknowledged, 0 lost, {torn} torn tails");
}

fn lives_of_one_folder(kills: u64, chance: &mut Chance) -> (u64, u64) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut acknowledged = Acknowledged::new();
    let mut torn = 0;
    for _ in 0..kills {
        live_and_die(dir.path(), chance, &mut acknowledged);
        if !acknowledged.is_empty() {
            look_for(&acknowledged, &mut Reader::offline(dir.path(), Position::START).expect("readable"));
        }
        if chance.draw(2) == 0 {
            torn += reopen(dir.path(), &acknowledged);
        }
    }
    live_until_acknowledged(dir.path(), chance, &mut acknowledged);
    torn += reopen(dir.path(), &acknowledged);
    (acknowledged.len() as u64, torn)
}

/// Opens the journal here; returns the number of torn tails found.
fn reopen(dir: &Path, acknowledged: &Acknowledged) -> u64 {
    let (journal, recovery) = Journal::open(dir, Options::default()).expect("opened");
    assert!(recovery.lost.is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
    look_for(acknowledged, &mut journal.reader(journal.first()));
    u64::from(recovery.torn_tail.is_some())
}

fn look_for(acknowledged: &Acknowledged, reader: &mut Reader) {
    let mut there = Acknowledged::new();
    while let Some((position, payload)) = reader.next().expect("nothing lost") {
        assert!(there.insert(position, content(&payload)).is_none(), "{position} twice");
    }
    for (position, content) in acknowledged {
        assert_eq!(there.get(position), Some(content), "acknowledged record {position}");
    }
}

/// A life that ends at any moment, also before the child has opened anything.
fn live_and_die(dir: &Path, chance: &mut Chance, acknowledged: &mut Acknowledged) {
    if chance.draw(4) != 0 {
        return live_until_acknowledged(dir, chance, acknowledged);
    }
    let (mut child, lines) = start(dir, chance);
    std::thread::sleep(Duration::from_micros(chance.draw(30_000)));
    child.kill().expect("killed");
    note(&lines, acknowledged);
    child.wait().expect("ended");
}

/// A life that ends at a random moment after the first acknowledgement.
fn live_until_acknowledged(dir: &Path, chance: &mut Chance, acknowledged: &mut Acknowledged) {
    let (mut child, lines) = start(dir, chance);
    let first = lines.recv_timeout(PATIENCE).expect("an acknowledgement in time");
    std::thread::sleep(Duration::from_micros(chance.draw(100_000)));
    child.kill().expect("killed");
    acknowledged.extend([first]);
    note(&lines, acknowledged);
    child.wait().expect("ended");
}

fn start(dir: &Path, chance: &mut Chance) -> (Child, Receiver<(Position, u64)>) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", THIS_TEST, "--nocapture"])
        .env(CHILD_DIR, dir)
        .env(CHILD_SEED, chance.draw(u64::MAX).to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let output = child.stdout.take().expect("piped");
    let (sender, lines) = channel();
    std::thread::spawn(move || listen(output, |line| _ = sender.send(line)));
    (child, lines)
}

fn listen(output: ChildStdout, told: impl Fn((Position, u64))) {
    let mut output = BufReader::new(output);
    let mut line = String::new();
    while output.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some(words) = line.strip_prefix("acknowledged ").and_then(|words| words.strip_suffix('\n')) {
            let (position, content) = words.split_once(' ').expect("two numbers");
            told((Position::from(position.parse::<u64>().expect("a position")), content.parse().expect("a content")));
        }
        line.clear();
    }
}

/// Notes what was printed, up to the end of the child's output.
fn note(lines: &Receiver<(Position, u64)>, acknowledged: &mut Acknowledged) {
    while let Ok((position, content)) = lines.recv_timeout(PATIENCE) {
        assert!(acknowledged.insert(position, content).is_none(), "{position} was given twice");
    }
}

fn append_until_killed(dir: &Path, mut chance: Chance) {
    let options = Options { segment_bytes_max: 64 << 10, group_delay: Duration::from_millis(1), queue_max: 500, ..Options::default() };
    let (journal, recovery) = Journal::open(dir, options).expect("opened");
    assert!(recovery.lost.is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
    let end = Instant::now() + CHILD_LIFE;
    while Instant::now() < end {
        let content = chance.draw(u64::MAX);
        let bytes = if chance.draw(50) == 0 { chance.draw(100_000) } else { chance.draw(300) } as usize;
        let print = move |answer: Result<Position, _>| {
            let line = format!("acknowledged {} {content}\n", answer.expect("durable"));
            std::io::stdout().write_all(line.as_bytes()).expect("a parent that listens");
        };
        if journal.append_with(&payload(content, bytes), Box::new(print)).is_err() {
            std::thread::sleep(Duration::from_millis(1)); // full: the disk is slower than this loop
        }
    }
}
