//! `watchpost check`

use serde::Serialize;

use super::{
    Context, Failure, Outcome,
    load::{now, plugins},
    print_json, runtime,
    table::counted,
};
use crate::{
    config::{self, Fault, Faults},
    job::bind_all,
};

#[derive(Serialize)]
struct Answer {
    ok: bool,
    jobs: usize,
    agents: usize,
    faults: Vec<Fault>,
}

pub(super) fn run(context: &Context) -> Outcome {
    let file = context.file()?;
    let (answer, faults) = match config::load(&file, now()) {
        Err(faults) => (Answer { ok: false, jobs: 0, agents: 0, faults: faults.clone().into_sorted() }, faults),
        Ok(loaded) => runtime()?.block_on(async {
            let plugins = plugins(&loaded.config).await;
            let (jobs, mut faults) = match bind_all(&loaded.config, &plugins).await {
                Ok((jobs, warnings)) => (jobs.len(), warnings),
                Err(faults) => (0, faults),
            };
            faults.extend(loaded.warnings);
            let faults = faults.sorted();
            plugins.stop().await;
            let agents = plugins.agent_names().count();
            (Answer { ok: !faults.stop(), jobs, agents, faults: faults.iter().cloned().collect() }, faults)
        }),
    };
    if context.json {
        print_json(&answer)?;
    } else {
        tell(&answer, &faults, &file);
    }
    if answer.ok { Ok(()) } else { Err(Failure::Told(2)) }
}

fn tell(answer: &Answer, faults: &Faults, file: &std::path::Path) {
    if faults.iter().next().is_some() {
        eprintln!("{faults}");
    }
    if answer.ok {
        println!("{}: fine: {}, {}", file.display(), counted(answer.jobs, "job"), counted(answer.agents, "agent"));
    }
}
