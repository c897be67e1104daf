//! A program that is started for each run, and ends within it.

use watchpost_plugin_api::{AgentError, Cx, Program, quoted, standard};

use crate::{
    STATE,
    format::{
        nagios::{Parts, State},
        perfdata,
    },
    half::Half,
    hearing::Hearing,
    running::Running,
    stream::tell,
};

/// What one that tells in the form of Nagios is remembered by.
#[derive(Debug)]
pub(crate) struct Checks {
    /// Whether bounds are measured as well.
    bounds: bool,
    /// What it found the run before: a state is an event when it begins.
    last: Option<State>,
}

impl Checks {
    pub(crate) fn of(bounds: bool) -> Self {
        Self { bounds, last: None }
    }

    /// Runs a program once; its state is that of its target.
    ///
    /// Errors: kind `protocol` for a target that is critical, `local` for a program that does not know.
    pub(crate) async fn run(&mut self, cx: &Cx, program: &Program, bytes_max: usize, hearing: &mut Hearing) -> Result<(), AgentError> {
        hearing.begin();
        let begun = cx.elapsed();
        let mut running = Running::start(cx, program).await?;
        let (written, exit) = running.all(cx, bytes_max).await?;
        cx.record(standard::TOTAL_TIME, cx.elapsed() - begun);
        let (state, parts) = (State::of(exit), Parts::of(&String::from_utf8_lossy(&written)));
        cx.record(STATE, state.number());
        let (mut points, mut refused) = (Vec::new(), Vec::new());
        perfdata::read(&parts.perfdata, self.bounds, |point| points.push(point), |word, why| refused.push((word.to_owned(), why)));
        for point in points {
            let name = point.name.clone();
            hearing.count(true);
            if let Err(why) = hearing.book.take(point, cx.now()) {
                hearing.refuse(&name, &why);
            }
        }
        refused.iter().for_each(|(word, why)| hearing.refuse(word, why));
        // That there is a line makes the rest a matter of its own.
        hearing.count(true);
        hearing.end(cx)?;
        let text = if parts.text.is_empty() { running.last_complaint() } else { parts.text };
        if let (Some((severity, code)), true) = (state.event(), self.last != Some(state)) {
            let more = if parts.long_text.is_empty() { String::new() } else { format!("; {}", quoted(&parts.long_text)) };
            cx.event(severity, code, &format!("{}{more}", quoted(&text)));
        }
        self.last = Some(state);
        state.outcome(exit, &text)
    }
}

/// Runs a program that tells line by line, once.
///
/// Errors: what it says has failed; kind `local` when it ends otherwise than with 0, or tells nothing.
pub(crate) async fn lines(cx: &Cx, program: &Program, bytes_max: usize, hearing: &mut Hearing) -> Result<(), AgentError> {
    hearing.begin();
    let begun = cx.elapsed();
    let mut running = Running::start(cx, program).await?;
    let (written, exit) = running.all(cx, bytes_max).await?;
    cx.record(standard::TOTAL_TIME, cx.elapsed() - begun);
    let mut half = Half::default();
    half.take(&written, |line| tell(cx, hearing, &line));
    half.last(|line| tell(cx, hearing, &line));
    let has_heard = hearing.has_heard();
    hearing.end(cx)?;
    if !exit.is_success() || !has_heard {
        return Err(AgentError::local(match running.last_complaint() {
            _ if exit.is_success() => "the program has told nothing".to_owned(),
            complaint if complaint.is_empty() => format!("the program {exit}"),
            complaint => format!("the program {exit}: {complaint}"),
        }));
    }
    Ok(())
}
