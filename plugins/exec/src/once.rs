//! A program that is started for each run, and ends within it.

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, Program, quoted, standard};

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
    /// TCP ports that the program may connect to.
    ports: Vec<u16>,
    /// What it found the run before: a state is an event when it begins.
    last: Option<State>,
}

impl Checks {
    pub(crate) fn of(bounds: bool, ports: &[u16]) -> Self {
        Self { bounds, ports: ports.to_owned(), last: None }
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
            match hearing.book.take(point, cx.now()) {
                Ok(()) => hearing.count(true),
                Err(why) => hearing.refuse(&name, &why),
            }
        }
        refused.iter().for_each(|(word, why)| hearing.refuse(word, why));
        // That there is a line makes the rest a matter of its own.
        hearing.count(true);
        hearing.end(cx)?;
        let text = if parts.text.is_empty() { running.last_complaint() } else { parts.text.clone() };
        if let (Some((severity, code)), true) = (state.event(), self.last != Some(state)) {
            let more = if parts.long_text.is_empty() { String::new() } else { format!("; {}", quoted(&parts.long_text)) };
            cx.event(severity, code, &format!("{}{more}", quoted(&text)));
        }
        self.last = Some(state);
        let outcome = state.outcome(exit, &text);
        match &outcome {
            Err(error) if is_denied(error, &[&text, &parts.long_text, &running.last_complaint()], &self.ports) => {
                Err(AgentError::local(format!("{}; {}", error.message(), in_words(&self.ports))))
            }
            _ => outcome,
        }
    }
}

/// Whether a program was denied what it wanted to touch, and blames its target: nobody far away can have a connection denied so. Other words
/// of a target may be the same, and no target is there for a program that may connect to no port.
fn is_denied(error: &AgentError, said: &[&str], ports: &[u16]) -> bool {
    let denied = |said: &&&str| {
        let said = said.to_lowercase();
        // EACCES in the words of the C library, which programs speak in this locale, and by its number.
        (said.contains("permission denied") || said.contains("errno 13")) && (ports.is_empty() || said.contains("connect"))
    };
    error.kind() == ErrorKind::PROTOCOL && said.iter().any(|said| denied(&said))
}

/// Says which ports the program may connect to.
fn in_words(ports: &[u16]) -> String {
    let numbers: Vec<String> = ports.iter().map(u16::to_string).collect();
    match numbers[..] {
        [] => "a sandbox denies it all TCP ports: `ports` names none".into(),
        _ => format!("a sandbox denies it all TCP ports but those that `ports` names: {}", numbers.join(", ")),
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
