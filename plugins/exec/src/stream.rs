//! A program that runs on from run to run: started, listened to, and started again when it has ended.

use std::time::{Duration, SystemTime};

use watchpost_plugin_api::{AgentError, Cx, ErrorKind, Program, Severity, prelude::AsyncWriteExt};

use crate::{
    PROGRAM_STARTS,
    half::{Half, Line},
    hearing::Hearing,
    running::{Came, Running},
};

/// How long a program may pause within what it tells at a time, if it does not say when that is all.
const PAUSE: Duration = Duration::from_millis(200);
/// How long is looked for more when it has said that this is all: what has come before is there at once.
const LOOK: Duration = Duration::from_millis(10);
/// How long is listened to one that never pauses.
const LISTEN_MAX: Duration = Duration::from_secs(1);
/// The longest pause before a program that keeps ending is started again.
const BACK_OFF_MAX: Duration = Duration::from_secs(300);
/// How long a question may take to be written: a pipe has room for it, unless nobody reads.
const ASK_WITHIN: Duration = Duration::from_secs(1);

/// A program that runs on.
pub(crate) struct LongLived {
    program: Program,
    ask: bool,
    bytes_max: usize,
    state: State,
    half: Half,
    starts: u64,
    /// How often it has ended since it last lasted a whole run.
    ends: u32,
}

enum State {
    /// Never started.
    New,
    Runs(Box<Running>),
    /// Ended then, so.
    Ended(SystemTime, String),
}

/// What one time of listening came to.
enum Heard {
    Something,
    Nothing,
    TooMuch,
    /// Nothing more will come.
    Over,
}

impl LongLived {
    pub(crate) fn new(program: Program, ask: bool, bytes_max: usize) -> Self {
        Self { program, ask, bytes_max, state: State::New, half: Half::default(), starts: 0, ends: 0 }
    }

    /// Takes what has come since the run before.
    ///
    /// Errors: kind `local` when the program cannot be started, has ended, or says nothing; `limit` when it says too much.
    pub(crate) async fn run(&mut self, cx: &Cx, hearing: &mut Hearing) -> Result<(), AgentError> {
        let was_running = matches!(self.state, State::Runs(_));
        hearing.begin();
        let mut heard = self.listen(cx, hearing).await?;
        if let Heard::Over = heard {
            self.bury(cx).await;
            // One that has worked is started again at once, so that this run need not do without.
            if was_running && !hearing.has_heard() && self.ends == 1 {
                heard = self.listen(cx, hearing).await?;
                if let Heard::Over = heard {
                    self.bury(cx).await;
                }
            }
        }
        cx.record(PROGRAM_STARTS, self.starts);
        match (heard, &self.state) {
            (Heard::TooMuch, _) => {
                let text = format!("the program writes more than {} bytes in one run", self.bytes_max);
                Err(AgentError::new(ErrorKind::LIMIT, text))
            }
            (Heard::Nothing, _) => {
                let complaint = self.last_complaint();
                let complaint = if complaint.is_empty() { complaint } else { format!("; the last it complained of: {complaint}") };
                Err(AgentError::local(format!("the program has said nothing for {:.1} s{complaint}", cx.elapsed().as_secs_f64())))
            }
            (Heard::Over, State::Ended(_, how)) if !hearing.has_heard() => Err(AgentError::local(how.clone())),
            (Heard::Over, _) => hearing.end(cx),
            (Heard::Something, _) => {
                self.ends = 0;
                hearing.end(cx)
            }
        }
    }

    fn last_complaint(&self) -> String {
        match &self.state {
            State::Runs(running) => running.last_complaint(),
            _ => String::new(),
        }
    }

    /// Notes that the program has ended, and tells why.
    async fn bury(&mut self, cx: &Cx) {
        let State::Runs(running) = &mut self.state else { return };
        let how = running.epitaph(cx).await;
        cx.event(Severity::Minor, "program_ended", &how);
        self.ends = self.ends.saturating_add(1);
        self.half = Half::default();
        self.state = State::Ended(cx.now(), how);
    }

    /// Sees to it that the program runs.
    async fn start(&mut self, cx: &Cx) -> Result<(), AgentError> {
        match &self.state {
            State::Runs(_) => return Ok(()),
            State::New => {}
            State::Ended(then, how) => {
                // A clock that was set back must not keep it from starting.
                let since = cx.now().duration_since(*then).unwrap_or(BACK_OFF_MAX);
                let pause = back_off(self.ends).saturating_sub(since);
                if !pause.is_zero() {
                    return Err(AgentError::local(format!("{how}; it is started again in {} s", pause.as_secs() + 1)));
                }
            }
        }
        match Running::start(cx, &self.program).await {
            Ok(running) => {
                self.starts += 1;
                self.state = State::Runs(Box::new(running));
                Ok(())
            }
            Err(error) => {
                self.ends = self.ends.saturating_add(1);
                self.state = State::Ended(cx.now(), error.message().to_owned());
                Err(error)
            }
        }
    }

    async fn listen(&mut self, cx: &Cx, hearing: &mut Hearing) -> Result<Heard, AgentError> {
        self.start(cx).await?;
        let State::Runs(running) = &mut self.state else { return Ok(Heard::Over) };
        if self.ask
            && let Some(stdin) = &mut running.child.stdin
        {
            // One that does not read any more has ended, or is heard of by its silence.
            let question = async { stdin.write_all(b"\n").await.map_err(AgentError::from) };
            let _ = cx.within(ASK_WITHIN, question).await;
        }
        Ok(listen_to(cx, running, &mut self.half, hearing, self.bytes_max).await)
    }
}

/// Listens until the program pauses, or says that this is all; for the first word it is waited as long as there is time.
async fn listen_to(cx: &Cx, running: &mut Running, half: &mut Half, hearing: &mut Hearing, bytes_max: usize) -> Heard {
    let reserve = (cx.remaining() / 5).min(Duration::from_secs(1));
    let until = cx.elapsed() + cx.remaining().saturating_sub(reserve);
    let (mut piece, mut bytes, mut since) = (Vec::new(), 0, None);
    loop {
        let left = until.saturating_sub(cx.elapsed());
        let wait = match () {
            () if hearing.is_ended() => LOOK,
            () if !hearing.has_heard() || hearing.tells_ends => left,
            () => PAUSE.min(left),
        };
        let came = cx.within(wait, async { Ok(running.more(&mut piece).await) }).await;
        bytes += piece.len();
        half.take(&piece, |line| tell(cx, hearing, &line));
        piece.clear();
        let is_enough = since.is_some_and(|since| cx.elapsed() > since + LISTEN_MAX) && !hearing.tells_ends;
        match came {
            _ if bytes > bytes_max => return Heard::TooMuch,
            // Closed by hand: its complaints may go on, and tell nothing.
            Err(_) if running.has_closed() => return Heard::Over,
            Ok(Came::End) => {
                half.last(|line| tell(cx, hearing, &line));
                return Heard::Over;
            }
            Ok(Came::More) if cx.elapsed() < until && !is_enough => Running::give_way().await,
            _ if hearing.has_heard() => return Heard::Something,
            _ if cx.elapsed() < until => {}
            _ => return Heard::Nothing,
        }
        if since.is_none() && hearing.has_heard() {
            since = Some(cx.elapsed());
        }
    }
}

/// Has a line understood.
pub(crate) fn tell(cx: &Cx, hearing: &mut Hearing, line: &Line<'_>) {
    match line {
        Line::Whole(text) => hearing.line(cx, text),
        Line::TooLong => hearing.refuse("…", "a line of more than 64 KiB"),
    }
}

/// How long a program that has ended so often is left alone.
fn back_off(ends: u32) -> Duration {
    match ends {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 2).min(16)).min(BACK_OFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_keeps_ending_is_left_alone_for_longer_each_time() {
        let seconds: Vec<u64> = (0..14).map(|ends| back_off(ends).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(back_off(u32::MAX), BACK_OFF_MAX);
    }
}
