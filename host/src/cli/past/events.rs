//! The past of events: those that are stored, and the runs by which it is known that nothing more came.

use std::{cell::Cell, collections::BTreeSet};

use hyper::Method;

use super::{Alike, Held, HeldTo};
use crate::{
    alarm::replay::{Episode, PastEvent},
    cli::{client::query, events::from_files, failure::Failure, table::counted, time},
    config::EventPattern,
    daemon::now_ns,
    event::{
        Event,
        request::{EventRequest, LIMIT_MAX},
        store::{DAYS_KEPT, Found},
    },
    expose::http::MORE,
    reading::Shape,
    series::{
        layout::UP,
        selector::{Known, Selector},
    },
};

/// Seconds of a day.
const DAY_S: i64 = 86_400;

impl Held<'_> {
    /// Holds a rule over events to those that are stored.
    ///
    /// Errors: they are not kept so long, they are too many, or it matters who reported them, which is not stored.
    pub(super) fn events(&self, pattern: &EventPattern, held_to: &mut HeldTo) -> Result<Vec<Episode>, Failure> {
        let refused = |why: String| Err(Failure::wrong(self.cannot, why));
        if std::iter::once(&pattern.event).chain(&pattern.cleared_by).any(|selector| asks_for_agent(&selector.value)) {
            return refused(format!(
                "rule {} asks by `agent` who reported an event, and events are stored without that",
                self.rule.name.value
            ));
        }
        let kept = now_ns() / 1_000_000_000 - i64::try_from(DAYS_KEPT).unwrap_or(0) * DAY_S;
        if held_to.to <= kept {
            return refused(format!("events are kept for {DAYS_KEPT} days, and that time is before them"));
        }
        if held_to.from < kept - DAY_S {
            held_to.notes.push(format!("events are kept for {DAYS_KEPT} days: what was before is not known"));
            held_to.from = kept;
        }
        let stored = self.stored((held_to.from, held_to.to))?;
        let is_of_host = |event: &Event| event.job.is_none() && self.rule.of_job.is_none();
        let is_heard = |event: &Event| is_of_host(event) || event.job.as_ref().is_some_and(|job| self.may_hear(job));
        let events: Vec<Event> = stored.into_iter().filter(is_heard).collect();
        held_to.notes.push(format!("{} of the jobs that it listens to, or of the host, were stored", counted(events.len(), "event")));
        let jobs: BTreeSet<&String> = events.iter().filter_map(|event| event.job.as_ref()).collect();
        let series: Vec<String> = jobs.iter().map(|job| format!("{UP}{{job=\"{job}\"}}")).collect();
        let folder = tempfile::tempdir().map_err(|error| Failure::of(self.cannot, &error))?;
        let runs = if series.is_empty() { None } else { Alike::in_step(self.kept(&series, held_to)?) };
        let mut replay = self.start(runs.as_ref(), folder.path())?;
        replay.hear(events.into_iter().map(past));
        match runs {
            Some(runs) => self.walk(replay, &series, &runs, held_to),
            // Of the host alone there are no runs: time says that nothing more came.
            None => replay.end((held_to.from, held_to.to), 1).map_err(|error| self.failed(&error)),
        }
    }

    /// Whether it may listen to a job.
    fn may_hear(&self, job: &str) -> bool {
        let known = self.draft.jobs.iter().find(|known| known.name.as_str() == job);
        known.is_some_and(|known| {
            let labels = known.asks.labels.iter().map(|(key, value)| (key.clone(), value.value.clone())).collect();
            let agent = known.asks.agent.value.clone();
            let shape = Shape { job: job.to_owned(), agent, target: String::new(), labels, step_s: 1, metrics: Vec::new() };
            self.rule.may_be_of(&shape)
        })
    }

    /// What is stored, the earliest first.
    fn stored(&self, (from, to): (i64, i64)) -> Result<Vec<Event>, Failure> {
        let request = EventRequest {
            job: self.rule.job().map(str::to_owned),
            since: from.to_string(),
            until: to.to_string(),
            limit: LIMIT_MAX,
            zone: time::zone(),
            ..EventRequest::default()
        };
        let path = format!("/api/v1/events?{}", query(&request.to_pairs()));
        let found = match self.context.ask_if_it_runs(self.cannot, Method::GET, &path)? {
            Some(answer) => Found { events: answer.read()?, more: answer.header(MORE) == Some("true") },
            None => from_files(self.cannot, &self.context.data_folder()?, &request)?,
        };
        if found.more {
            let why = format!("more than {LIMIT_MAX} events are stored of that time; name a shorter one, as --from -1d");
            return Err(Failure::wrong(self.cannot, why));
        }
        Ok(found.events)
    }
}

fn asks_for_agent(selector: &Selector) -> bool {
    let asks = Cell::new(false);
    selector.may_match(|label| {
        asks.set(asks.get() || label == "agent");
        Known::Open
    });
    asks.get()
}

fn past(event: Event) -> PastEvent {
    let Event { time, job, severity, code, text } = event;
    PastEvent { time_ns: (time * 1e9) as i64, job, severity, code, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_asks_who_reported_an_event_is_known() {
        let asks = |text: &str| asks_for_agent(&Selector::parse(text).unwrap());
        let known = [
            "disk_full{agent=\"host\"}",
            "{code=~\"a.*\",agent!=\"exec\"}",
            "disk_full{job=\"mx\"}",
            "{severity=\"major\",text=~\".*agent.*\"}",
        ];
        assert_eq!(known.map(asks), [true, true, false, false]);
    }
}
