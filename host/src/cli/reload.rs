//! `watchpost reload`

use hyper::{Method, StatusCode};

use super::{Context, Failure, Outcome, load::tell, print_json};
use crate::{
    config::Faults,
    daemon::{Changes, api::socket_path},
};

pub(super) fn run(context: &Context) -> Outcome {
    let data = context.data_folder()?;
    let answer = super::client::ask(&data, Method::POST, "/api/v1/reload")?;
    let answer = answer.ok_or_else(|| Failure::Failed(format!("no daemon answers at {}", socket_path(&data).display())))?;
    if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
        let faults: Faults =
            serde_json::from_slice(&answer.body).map_err(|error| Failure::of("the daemon's answer is not understood", &error))?;
        if context.json {
            print_json(&faults)?;
            return Err(Failure::Told(2));
        }
        return Err(tell(&faults));
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
