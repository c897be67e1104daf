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
    let (config, mut faults) = config::read(&file, now());
    let (mut jobs, mut agents) = (0, 0);
    if let Some(config) = &config {
        let bound = runtime()?.block_on(async {
            let plugins = plugins(config).await;
            let bound = bind_all(config, &plugins).await;
            plugins.stop().await;
            agents = plugins.agent_names().count();
            bound
        });
        faults.extend(match bound {
            Ok((all, warnings)) => {
                jobs = all.len();
                warnings
            }
            Err(faults) => faults,
        });
    }
    let faults = faults.sorted();
    let answer = Answer { ok: !faults.stop(), jobs, agents, faults: faults.iter().cloned().collect() };
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
