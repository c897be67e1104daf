//! `watchpost reload`

use hyper::{Method, StatusCode};

use super::{Context, Failure, Outcome, client::no_daemon, print_json};
use crate::{config::Faults, daemon::Changes};

pub(super) fn run(context: &Context) -> Outcome {
    let data = context.data_folder()?;
    let answer = super::client::ask(&data, Method::POST, "/api/v1/reload")?;
    let answer = answer.ok_or_else(|| no_daemon(&data))?;
    if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
        let faults: Faults =
            serde_json::from_slice(&answer.body).map_err(|error| Failure::of("the daemon's answer is not understood", &error))?;
        if context.json {
            print_json(&faults)?;
            return Err(Failure::Told(2));
        }
        return Err(Failure::Faults(faults));
    }
    let changes: Changes = answer.read()?;
    if context.json {
        return print_json(&changes);
    }
    println!(
        "reloaded: {} added, {} changed, {} removed, {} unchanged",
        changes.added, changes.changed, changes.removed, changes.unchanged
    );
    Ok(())
}
