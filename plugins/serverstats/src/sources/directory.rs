//! What slapd's `cn=Monitor` shows.
//!
//! Samples: `monitorCounter`, `monitorOpInitiated` and `monitorOpCompleted`, each with the name of its entry, as slapd writes it, as the
//! label `entry`. Our own connection and our own bind are among what it counts; the search that asks is begun and not completed.
//! Source: OpenLDAP's Administrator's Guide, "Monitoring".

use watchpost_directory::{
    Directory, Scope, Search, Session,
    message::{Answer, Entry, Request},
    outcome::SUCCESS,
};
use watchpost_exposition::Sample;
use watchpost_plugin_api::{AgentError, Cx, Laps};

use crate::map::{Tally, not_understood};

const BASE: &str = "cn=Monitor";
/// Not the entries of single connections, of which there may be thousands.
const FILTER: &str = "(|(objectClass=monitorCounterObject)(objectClass=monitorOperation)(cn=Operations))";
/// Attributes that hold numbers which are counted.
const COUNTED: [&str; 3] = ["monitorCounter", "monitorOpInitiated", "monitorOpCompleted"];
/// Entries that may come; slapd has some twenty.
const ENTRIES_MAX: u32 = 1000;

/// Asks, and gives every sample to the tally.
pub(crate) async fn ask(directory: &mut Directory, cx: &Cx, laps: &mut Laps<'_>, tally: &mut Tally<'_>) -> Result<(), AgentError> {
    let mut session = directory.enter(cx, laps).await?;
    let done = search(&mut session, cx, tally).await.map_err(|error| error.context("search"));
    session.leave().await;
    done
}

async fn search(session: &mut Session<'_>, cx: &Cx, tally: &mut Tally<'_>) -> Result<(), AgentError> {
    let attributes = COUNTED.map(str::to_owned).into();
    let search = Search::new(BASE, Scope::Sub, FILTER, attributes, ENTRIES_MAX).map_err(AgentError::local)?;
    let seconds = (cx.remaining().as_secs_f64().ceil() as u32).max(1); // 0 would be no limit
    let mut entries = 0;
    let mut answer = session.search(Request::Search(&search, seconds)).await?;
    loop {
        match answer {
            Answer::Done(outcome) if outcome.code == SUCCESS => return Ok(()),
            Answer::Done(outcome) => return Err(outcome.of_search()),
            Answer::Entry(entry) => take(&entry, tally).map_err(not_understood)?,
            _ => {}
        }
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(AgentError::limit(format_args!("{ENTRIES_MAX} entries")));
        }
        answer = session.next().await?;
    }
}

fn take(entry: &Entry<'_>, tally: &mut Tally<'_>) -> Result<(), String> {
    let name = String::from_utf8_lossy(entry.name());
    for (attribute, mut values) in entry.attributes() {
        let known = COUNTED.into_iter().find(|known| attribute.eq_ignore_ascii_case(known.as_bytes()));
        let (Some(counted), Some(value), None) = (known, values.next(), values.next()) else { continue };
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
        let number = number.ok_or_else(|| format!("{counted} of {} is no number", watchpost_plugin_api::quoted(&name)))?;
        tally.take(&Sample::of(counted, [("entry", &name)], number as f64))?;
    }
    Ok(())
}
