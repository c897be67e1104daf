//! `watchpost check`

use std::path::Path;

use serde::Serialize;
use watchpost_worker::confine::kernel::{Gap, gaps};

use super::{Context, Failure, Outcome, print_json, runtime, series::size, table::counted};
use crate::{
    config::{Fault, Faults},
    job::{Files, survey},
    plugin::Plugins,
    series::needs::Needs,
};

#[derive(Serialize)]
struct Answer {
    ok: bool,
    jobs: usize,
    agents: usize,
    /// Room that the series will take.
    series: Needs,
    faults: Vec<Fault>,
    /// What agents are not held to on this machine.
    gaps: Vec<Gap>,
    /// Jobs whose programs are given no TCP port.
    programs_without_ports: Vec<String>,
}

pub(super) fn run(context: &Context) -> Outcome {
    let file = context.file()?;
    let survey = runtime()?.block_on(async {
        let survey = survey(Files::read(&file), &Plugins::default(), |_| Vec::new()).await;
        survey.plugins.stop().await;
        survey
    });
    let mut faults = survey.faults;
    // An agent that is missed has been told of the libraries that may carry it.
    let told = |reason: &str| faults.iter().any(|fault| fault.hint.as_ref().is_some_and(|hint| hint.contains(reason)));
    let untold: Vec<_> = survey.not_loaded.into_iter().filter(|(problem, _)| !told(&problem.reason)).map(|(_, fault)| fault).collect();
    faults.extend(untold);
    let faults = faults.sorted();
    let (jobs, agents) = (survey.jobs.len(), survey.plugins.agent_names().count());
    let mut series = Needs::default();
    survey.jobs.iter().for_each(|job| series += job.needs());
    let without_ports = survey.jobs.iter().filter(|job| job.ports_of_programs().is_some_and(|ports| ports.is_empty()));
    let answer = Answer {
        ok: !faults.stop(),
        jobs,
        agents,
        series,
        faults: faults.iter().cloned().collect(),
        gaps: gaps(),
        programs_without_ports: without_ports.map(|job| job.name().to_owned()).collect(),
    };
    if context.json {
        print_json(&answer)?;
    } else {
        tell(&answer, &faults, &file);
    }
    if answer.ok { Ok(()) } else { Err(Failure::Told(2)) }
}

fn tell(answer: &Answer, faults: &Faults, file: &Path) {
    if faults.iter().next().is_some() {
        eprintln!("{faults}");
    }
    if answer.ok {
        println!("{}: fine: {}, {}", file.display(), counted(answer.jobs, "job"), counted(answer.agents, "agent"));
        println!("{}", needed(&answer.series));
        println!("agents are held to what they say that they need, but on this machine not for");
        answer.gaps.iter().for_each(|Gap { what, why }| println!("  {what}: {why}"));
        if let Some(line) = without_ports(&answer.programs_without_ports) {
            println!("{line}");
        }
    }
}

/// Tells whose programs are given no TCP port.
fn without_ports(jobs: &[String]) -> Option<String> {
    /// Jobs that are named.
    const NAMED_MAX: usize = 5;
    let named = jobs.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match jobs.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!jobs.is_empty()).then(|| format!("programs are given no TCP port where the job declares none: {named}{more}"))
}

/// What the series will take, and what more with as many label sets as there may be.
fn needed(series: &Needs) -> String {
    let files = |count: u64| counted(usize::try_from(count).unwrap_or(usize::MAX), "file");
    let least = format!("series will take {} in {}", size(series.bytes), files(series.files));
    if series.files_max == series.files {
        return least;
    }
    format!("{least}; with as many label sets as labels_max allows, {} in {}", size(series.bytes_max), files(series.files_max))
}
