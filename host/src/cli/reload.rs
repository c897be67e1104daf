//! `watchpost reload`

use hyper::{Method, StatusCode};

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json,
    table::plain,
};
use crate::{config::Faults, daemon::Reloaded};

pub(super) fn run(context: &Context) -> Outcome {
    let file = context.file()?;
    let file = std::path::absolute(&file).unwrap_or(file).to_string_lossy().into_owned();
    let answer = context.ask("cannot reload", Method::POST, &format!("/api/v1/reload?{}", query(&[("file", file)])))?;
    for note in answer.notes() {
        eprintln!("note: {}", plain(&note));
    }
    if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
        let faults: Faults = answer.parsed()?;
        if context.json {
            print_json(&faults)?;
            return Err(Failure::Told(2));
        }
        return Err(Failure::Faults(faults));
    }
    let reloaded: Reloaded = answer.read()?;
    if context.json { print_json(&reloaded) } else { tell(reloaded) }
}

fn tell(reloaded: Reloaded) -> Outcome {
    let Reloaded { changes, beside, loaded, unloaded, refused, outdated, warnings } = reloaded;
    if !warnings.is_empty() {
        eprintln!("{}", Faults::from(warnings));
    }
    for (path, reason) in &refused {
        eprintln!("warning: not loaded: {}: {}", path.display(), plain(reason));
    }
    for path in &outdated {
        eprintln!("warning: {} has changed since it was loaded: it runs on as it was, until the changed one takes over", path.display());
    }
    println!(
        "reloaded: jobs: {} added, {} changed, {} removed, {} unchanged",
        changes.added, changes.changed, changes.removed, changes.unchanged
    );
    for (kind, amounts) in &beside {
        println!("reloaded: {kind}: {}", amounts.said());
    }
    for path in &loaded {
        println!("loaded: {}", path.display());
    }
    for path in &unloaded {
        println!("no longer loaded: {}", path.display());
    }
    Ok(())
}
