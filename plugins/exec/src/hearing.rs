//! What is made of a program's lines, in one run and over all of them.

use watchpost_plugin_api::{AgentError, Cx, Severity, quoted};

use crate::{
    LINES_REFUSED, LINES_TAKEN,
    book::Book,
    config::Config,
    format::Form,
    naming,
    point::{Event, Said},
};

/// Characters of a line that is shown because nobody understands it.
const SHOWN_CHARS: usize = 120;

/// What was heard of one program.
#[derive(Debug)]
pub(crate) struct Hearing {
    form: Option<Form>,
    pub(crate) book: Book,
    /// Lines and data since this job began: understood, and not.
    taken: u64,
    refused: u64,
    /// Of this run.
    now: Run,
    /// Whether the run before told of refused lines: what goes on is told once.
    told: bool,
    /// Whether the program has ever said that something is all.
    pub(crate) tells_ends: bool,
    /// Whether it tells once, and ends: then all is all.
    tells_once: bool,
}

/// What was heard in one run.
#[derive(Debug, Default)]
struct Run {
    taken: u64,
    refused: u64,
    /// The first line that was refused, and why.
    example: Option<String>,
    failure: Option<AgentError>,
    is_ended: bool,
}

impl Hearing {
    pub(crate) fn new(config: &Config, host: &str) -> Self {
        let form = Form::of(config.format, host);
        let (book, tells_once) = (Book::new(config), !config.long_lived);
        Self { form, book, taken: 0, refused: 0, now: Run::default(), told: false, tells_ends: false, tells_once }
    }

    /// Begins a run.
    pub(crate) fn begin(&mut self) {
        self.now = Run::default();
        self.book.clear();
    }

    /// Takes a line.
    pub(crate) fn line(&mut self, cx: &Cx, line: &str) {
        if self.tells_once && self.now.is_ended {
            if !line.trim().is_empty() {
                self.refuse(line, "the program has said before that this is all");
            }
            return;
        }
        if std::mem::take(&mut self.now.is_ended) {
            // What comes after the end is of another time: it may be well again.
            self.now.failure = None;
        }
        let Some(form) = &mut self.form else { return };
        match form.line(line) {
            Ok(said) => {
                let (mut is_anything, mut refused) = (false, None);
                for said in said {
                    match self.said(cx, said) {
                        Ok(()) => is_anything = true,
                        Err(why) => refused = refused.or(Some(why)),
                    }
                }
                self.count(is_anything);
                if let Some(why) = refused {
                    self.refuse(line, &why);
                }
            }
            Err(why) => self.refuse(line, &why),
        }
    }

    fn said(&mut self, cx: &Cx, said: Said) -> Result<(), String> {
        match said {
            Said::Point(point) => self.book.take(point, cx.now())?,
            Said::Event(Event { severity, code, text }) => cx.event(severity, &naming::code(&code), &quoted(&text)),
            Said::Failed(error) => self.now.failure = Some(error),
            Said::End => {
                self.tells_ends = true;
                self.now.is_ended = true;
            }
        }
        Ok(())
    }

    /// Counts what was understood.
    pub(crate) fn count(&mut self, is_anything: bool) {
        self.taken += u64::from(is_anything);
        self.now.taken += u64::from(is_anything);
    }

    /// Counts what was not, and keeps the first as an example.
    pub(crate) fn refuse(&mut self, line: &str, why: &str) {
        self.refused += 1;
        self.now.refused += 1;
        let cut: String = line.chars().take(SHOWN_CHARS).collect();
        self.now.example.get_or_insert_with(|| format!("{why}: {}", quoted(&cut)));
    }

    /// Says whether anything came in this run, understood or not.
    pub(crate) fn has_heard(&self) -> bool {
        self.now.taken + self.now.refused > 0
    }

    /// Says whether the program has just said that this is all.
    pub(crate) fn is_ended(&self) -> bool {
        self.now.is_ended
    }

    /// Records what was heard, and tells of what was not understood.
    ///
    /// Errors: what the program says has failed; kind `local` if nothing at all could be taken.
    pub(crate) fn end(&mut self, cx: &Cx) -> Result<(), AgentError> {
        cx.record(LINES_TAKEN, self.taken);
        cx.record(LINES_REFUSED, self.refused);
        self.book.record(cx)?;
        let example = self.now.example.take();
        if let (Some(example), false) = (&example, self.told) {
            let text = format!("{} of {} lines could not be taken, e.g. {example}", self.now.refused, self.now.refused + self.now.taken);
            cx.event(Severity::Warning, "lines_refused", &text);
        }
        self.told = example.is_some();
        match (self.now.failure.take(), example) {
            (Some(failure), _) => Err(failure),
            (None, Some(example)) if self.now.taken == 0 => {
                Err(AgentError::local(format!("nothing of what the program tells can be taken: {example}")))
            }
            _ => Ok(()),
        }
    }
}
