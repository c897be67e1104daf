//! CPU of one session by IMAP over TLS (login, select, fetch, logout) against the lab's Dovecot: our worker, and what others can do of it.
//!
//! Only the measuring side counts. The worker is that of a daemon whose jobs run every five seconds, as in service; `blackbox_exporter` is asked
//! by HTTP as Prometheus asks it; `check_imap` is a program for each session, as Nagios starts it.

mod peers;
mod scene;

use super::cost::{Folder, median};
use crate::error::Outcome;
use peers::PEERS;
use scene::Scene;

/// Measurements of each.
const ROUNDS: usize = 3;

/// What a peer was asked and cost.
struct Measured {
    /// Seconds of CPU of one session.
    cpu: f64,
    sessions: u64,
}

pub(super) fn run() -> Outcome {
    let folder = Folder::make("imap")?;
    let scene = Scene::begin(&folder.0)?;
    let mut figures: Vec<(String, &str, Vec<f64>, u64)> = Vec::new();
    for round in 0..ROUNDS {
        let mut at = 0;
        for peer in &PEERS {
            for (name, does, measured) in (peer.measure)(&scene)? {
                if round == 0 {
                    figures.push((name, does, Vec::new(), 0));
                }
                figures[at].2.push(measured.cpu * 1e3);
                figures[at].3 += measured.sessions;
                at += 1;
            }
        }
    }
    println!("{:<28} {:>9} {:>22} {:>9} {:>11}  a session is", "", "CPU ms", "of", "sessions", "to worker");
    let worker = median(&figures[0].2);
    for (name, does, times, sessions) in &figures {
        let cpu = median(times);
        let all = times.iter().map(|time| format!("{time:.2}")).collect::<Vec<_>>().join(" ");
        println!("{name:<28} {cpu:>9.2} {all:>22} {sessions:>9} {:>10.1}x  {does}", cpu / worker);
    }
    println!("medians; CPU in user and kernel of the measuring side alone, children included; the server's is not counted");
    Ok(())
}
