//! Messages of channels that the configuration has no longer: listed, told of, and given up after a day, for somebody may have taken the
//! channel out by mistake.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::spawn_blocking};
use tracing::warn;
use watchpost_plugin_api::Severity;

use super::{ChannelState, lock};
use crate::{
    alarm::turns::Turns,
    daemon::{appender::Appender, now_ns},
    notify::outbox::Outbox,
};

/// How long they wait for the channel to come back.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);
/// How often it is looked whether there are any.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Channels that are gone while messages wait for them.
pub(super) type Gone = Arc<Mutex<Vec<ChannelState>>>;

/// Looks after them until nobody says any more which channels there are.
pub(super) async fn lead((path, turns): (PathBuf, Turns), mut known: watch::Receiver<Option<Vec<String>>>, appender: Appender, gone: Gone) {
    let mut watched = Watched::default();
    loop {
        let names = known.borrow_and_update().clone();
        if let Some(names) = names {
            let (path, turns) = (path.clone(), turns.clone());
            let looked = spawn_blocking(move || {
                let found = Outbox::open(&path, turns).and_then(|mut outbox| watched.look(&mut outbox, &names, Instant::now()));
                (watched, found)
            });
            let Ok((kept, found)) = looked.await else { return };
            watched = kept;
            match found {
                Ok((states, said)) => {
                    *lock(&gone) = states;
                    for (severity, code, text) in said {
                        warn!("{text}");
                        appender.report(None, severity, code, text);
                    }
                }
                Err(error) => warn!("it cannot be seen what waits for channels that are gone: {}", crate::chain(&error)),
            }
        }
        tokio::select! {
            changed = known.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Since when this daemon misses channels.
#[derive(Default)]
struct Watched(BTreeMap<String, Instant>);

/// What is to be told: how bad it is, the code of the event, and its text.
type Said = (Severity, &'static str, String);

impl Watched {
    /// Looks which channels are missed, and gives up what has waited for one for long enough.
    fn look(&mut self, outbox: &mut Outbox, known: &[String], now: Instant) -> rusqlite::Result<(Vec<ChannelState>, Vec<Said>)> {
        let found = outbox.astray(known)?;
        self.0.retain(|name, _| found.iter().any(|(missed, ..)| missed == name));
        let (mut states, mut said) = (Vec::new(), Vec::new());
        for (name, waiting, since_ns) in found {
            let since = *self.0.entry(name.clone()).or_insert_with(|| {
                let text = format!(
                    "the configuration has no channel {name} any more, and {waiting} messages wait for it; in a day they are given up"
                );
                said.push((Severity::Minor, "channel_gone", text));
                now
            });
            let waited = now.saturating_duration_since(since);
            if waited >= GIVEN_UP_AFTER {
                let count = outbox.give_up(&name, now_ns())?;
                let text = format!("{count} messages were given up: the configuration has had no channel {name} for a day");
                said.push((Severity::Major, "notices_given_up", text));
                self.0.remove(&name);
                continue;
            }
            let left = GIVEN_UP_AFTER.saturating_sub(waited).as_secs().div_ceil(3_600);
            let failing = Some(format!("the configuration has no such channel; what waits is given up in {left} hours"));
            states.push(ChannelState {
                channel: name,
                kind: "gone".into(),
                waiting,
                waiting_since_ns: Some(since_ns),
                failing,
                ..ChannelState::default()
            });
        }
        Ok((states, said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{
        notice::Step,
        store::{FILE, NoOutbox, Store},
    };
    use crate::notify::{
        outbox::{self, State},
        route::{Route, Routes},
        text::sample,
    };

    #[test]
    fn what_waits_for_a_channel_that_is_gone_is_told_of_listed_and_given_up_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), Box::new(NoOutbox)).unwrap());
        let path = folder.path().join(FILE);
        let route = Route {
            matches: None,
            severity: Severity::Indeterminate,
            active: None,
            zone: crate::schedule::Zone::default(),
            channels: vec!["old".into(), "new".into()],
            delay: Duration::ZERO,
            group_by: Vec::new(),
            group_wait: Duration::ZERO,
            repeat: None,
            escalate: Vec::new(),
            by_situation: false,
        };
        let wants = ["old", "new"].map(|name| (name.to_owned(), Step::ALL.into()));
        let routes = Routes { routes: vec![route], wants: wants.into(), ..Routes::default() };
        let mut connection = rusqlite::Connection::open(&path).unwrap();
        let transaction = connection.transaction().unwrap();
        outbox::put(&transaction, &sample(Step::Raised), &routes).unwrap();
        transaction.commit().unwrap();

        let (mut watched, begun) = (Watched::default(), Instant::now());
        let mut waiting = Outbox::open(&path, Turns::default()).unwrap();
        let mut look = |known: &[&str], hours: u64| {
            let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
            let (states, said) = watched.look(&mut waiting, &known, begun + Duration::from_hours(hours)).unwrap();
            let states: Vec<_> = states.into_iter().map(|state| (state.channel, state.waiting)).collect();
            (states, said.into_iter().map(|(_, code, _)| code).collect::<Vec<_>>())
        };
        assert_eq!(look(&["old", "new"], 0), (vec![], vec![]));
        let gone = vec![("old".to_owned(), 1)];
        assert_eq!(look(&["new"], 1), (gone.clone(), vec!["channel_gone"]));
        assert_eq!(look(&["new"], 20), (gone.clone(), vec![]));
        // It comes back, and its day begins anew.
        assert_eq!(look(&["old", "new"], 21), (vec![], vec![]));
        assert_eq!(look(&["new"], 22), (gone.clone(), vec!["channel_gone"]));
        assert_eq!(look(&["new"], 45), (gone, vec![]));
        assert_eq!(look(&["new"], 46), (vec![], vec!["notices_given_up"]));
        assert_eq!(look(&["new"], 47), (vec![], vec![]));
        let alarm = sample(Step::Raised).alarm;
        let states: Vec<_> = outbox::messages_of(&connection, alarm).unwrap().into_iter().map(|it| (it.channel, it.state)).collect();
        assert_eq!(states, [("new".to_owned(), State::Waits), ("old".to_owned(), State::GivenUp)]);
    }
}
