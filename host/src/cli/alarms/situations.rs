//! `watchpost alarms situations`

use hyper::Method;

use super::{asked_wrong, at, folder, row};
use crate::{
    alarm::{
        request::AlarmRequest,
        situation::{Situation, situations},
        x733::severity_name,
    },
    cli::{
        Context,
        failure::{Failure, Outcome},
        load, print_json, table,
    },
    config,
    daemon::now_ns,
};

/// How each failure begins.
const CANNOT: &str = "cannot list situations";

pub(super) fn run(context: &Context) -> Outcome {
    let found = match context.ask_if_it_runs(CANNOT, Method::GET, "/api/v1/situations")? {
        Some(answer) => answer.read()?,
        None => of_files(context)?,
    };
    if context.json {
        return print_json(&found);
    }
    if found.is_empty() {
        println!("no alarms belong together");
    }
    for (place, situation) in found.iter().enumerate() {
        if place > 0 {
            println!();
        }
        let Situation { number, since_ns, severity, active, because, alarms } = situation;
        let all = alarms.len();
        println!("situation {number}, {}, since {}: {active} of {all} alarms are active", severity_name(*severity), at(*since_ns));
        if let Some(cause) = alarms.first() {
            println!("likely cause: {} ({because})", table::plain(&cause.subject.text));
        }
        let rows: Vec<_> = alarms.iter().map(row).collect();
        table::print(&["alarm", "severity", "state", "since", "count", "owner", "job", "text"], &rows);
    }
    Ok(())
}

/// Without a daemon its files tell, and the configuration what depends on what.
fn of_files(context: &Context) -> Result<Vec<Situation>, Failure> {
    let found = AlarmRequest { limit: crate::alarm::request::LIMIT_MAX, ..AlarmRequest::default() }
        .answer(folder(&context.data_folder()?, CANNOT)?, now_ns())
        .map_err(|error| asked_wrong(CANNOT, &error))?;
    let (draft, _) = config::read(&context.file()?, load::now());
    Ok(situations(found.alarms, &draft.jobs))
}
