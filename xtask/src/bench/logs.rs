//! Lines of a mail log counted in a second of CPU: the agent `maillog` in its worker, beside Debian's mtail and pflogsumm.
//!
//! All three read the same file in turn, several times over, and must agree on what is in it before their times are told. They do not do
//! the same: pflogsumm makes a report by host and hour; mtail here runs a program of five patterns and knows nothing else of the lines;
//! maillog tells the class of every line, joins sizes to queue files and counts connections.

mod corpus;
mod peers;

use super::cost::{Folder, median};
use crate::error::{Error, Outcome};
use crate::place;
use peers::{Counts, PEERS};
use std::time::{Duration, Instant};

/// Lines of the log, at least.
const LINES: usize = 3_000_000;
/// Runs of each.
const RUNS: usize = 3;
/// After that no round is begun any more.
const BEGIN_WITHIN: Duration = Duration::from_secs(240);
/// After that everything ends.
const END_WITHIN: Duration = Duration::from_secs(540);

pub(super) fn run() -> Outcome {
    let folder = Folder::make("logs")?;
    let log = folder.0.join("mail.log");
    let lines = corpus::write(&place::workspace(), &log, LINES)?;
    let bytes = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
    println!("a log of {lines} lines, {} MB, of a real Postfix with a content filter", bytes / 1_000_000);
    let begun = Instant::now();
    let mut seconds = PEERS.map(|_| Vec::new());
    let mut agreed: Option<Counts> = None;
    for _ in 0..RUNS {
        if begun.elapsed() > BEGIN_WITHIN {
            break;
        }
        for (peer, seconds) in PEERS.iter().zip(&mut seconds) {
            let (cpu, counts) = peer.read(&folder.0, &log, END_WITHIN.saturating_sub(begun.elapsed()))?;
            let first = agreed.get_or_insert_with(|| counts.clone());
            if *first != counts {
                return Err(Error::Refused(format!("{} counts {counts:?}, maillog {first:?}", peer.name)));
            }
            seconds.push(cpu);
        }
    }
    println!(
        "all of them: {}",
        agreed.unwrap_or_default().iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    );
    println!("{:<22} {:>14} {:>14} {:>16} {:>10}", "", "CPU s (median)", "lines/CPU s", "of", "maillog is");
    let of_maillog = median(&seconds[0]);
    for (peer, seconds) in PEERS.iter().zip(&seconds) {
        let cpu = median(seconds);
        let ratio = if peer.name == PEERS[0].name { String::new() } else { format!("{:.1}x", cpu / of_maillog) };
        let all = seconds.iter().map(|cpu| format!("{cpu:.2}")).collect::<Vec<_>>().join(" ");
        println!("{:<22} {cpu:>14.2} {:>14.0} {all:>16} {ratio:>10}", peer.name, lines as f64 / cpu);
    }
    println!("CPU in user and kernel of the whole process with its threads and children, from its start until the log is read");
    Ok(())
}
