//! What a run said, timed and masked, as people read it.

use watchpost_plugin_api::MetricSpec;
use watchpost_services::{
    dialogue::{Said, Speaker},
    outcome::{Outcome, Sample, Status},
};

use super::{table::plain, time, values};
use crate::{job::Job, plugin::RunEnd, series::selector::notation};

/// Prints dialogue, phases, and what would be stored.
pub(super) fn print(job: &Job, slot: Option<i64>, end: &RunEnd, metrics: &[MetricSpec]) {
    println!("{}: {}", job.name(), plain(&job.examined.target));
    if let Some(ports) = job.ports_of_programs() {
        println!("programs that it starts are given {}", given(&ports));
    }
    println!();
    for said in &end.dialogue {
        println!("{}", line(said));
    }
    if !end.dialogue.is_empty() {
        println!();
    }
    let RunEnd { outcome, .. } = end;
    phases(outcome, metrics);
    println!("status: {}", status(outcome));
    if outcome.refused > 0 {
        println!("refused: {} ({})", outcome.refused, plain(outcome.refusal.as_deref().unwrap_or("?")));
    }
    for event in &outcome.events {
        println!("event: {} {}: {}", format!("{:?}", event.severity).to_lowercase(), plain(&event.code), plain(&event.text));
    }
    stored(outcome, slot, metrics);
}

/// Says which TCP ports these are.
fn given(ports: &[u16]) -> String {
    let numbers: Vec<String> = ports.iter().map(u16::to_string).collect();
    match numbers[..] {
        [] => "no TCP port: the job declares none".into(),
        _ => format!("these TCP ports, as the job declares: {}", numbers.join(", ")),
    }
}

fn line(said: &Said) -> String {
    let mark = match said.speaker {
        Speaker::Agent => "-->",
        Speaker::Target => "<--",
        Speaker::Host => " * ",
    };
    format!("{:>10.3} ms {mark} {}", said.at_ns as f64 / 1e6, plain(&said.text))
}

/// Bars as long as each phase took.
fn phases(outcome: &Outcome, metrics: &[MetricSpec]) {
    const BAR: f64 = 40.0;
    let times: Vec<&Sample> =
        outcome.samples.iter().filter(|sample| sample.metric.ends_with("_time") && sample.metric != "total_time").collect();
    let longest = times.iter().map(|sample| sample.value).fold(0.0, f64::max);
    for sample in &times {
        let bar = "#".repeat(if longest > 0.0 { (sample.value / longest * BAR).ceil() as usize } else { 0 });
        println!("{:<20} {:>10}  {bar}", plain(&notation(sample, metrics)), time::short(sample.value));
    }
    println!("{:<20} {:>10}", "run", time::short(outcome.duration_ns as f64 / 1e9));
}

fn status(outcome: &Outcome) -> String {
    match &outcome.status {
        Status::Ok => "ok".into(),
        Status::Failed { kind, message } => format!("failed: {kind}: {}", plain(message)),
    }
}

fn stored(outcome: &Outcome, slot: Option<i64>, metrics: &[MetricSpec]) {
    let at = slot.map_or(String::new(), |slot| format!(" at slot {slot} ({})", time::local(slot as f64)));
    println!("\na scheduled run would store{at}:");
    println!("  up = {}", outcome.status.up().map_or("unknown".into(), |up| up.to_string()));
    println!("  run_duration = {}", outcome.duration_ns as f64 / 1e9);
    values::print(&outcome.samples, metrics);
    println!("nothing was stored");
}
