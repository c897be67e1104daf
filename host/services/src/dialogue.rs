//! What was said between an agent and its target, masked: for `--explain`, and for the report after a crash.

use std::{
    borrow::Cow,
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex},
};

use tokio::time::Instant;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::AgentError;

use crate::{mask::Masker, waiting::Waiting};

/// Bytes of one line that are kept; the rest of it is dropped and said so.
const LINE_BYTES_MAX: usize = 1024;
/// Lines kept for an explanation; the oldest are dropped and counted.
const LINES_MAX: usize = 2000;

/// Texts that one run may have hidden beside the secrets of its job.
const HIDDEN_MAX: usize = 100;

/// Who said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speaker {
    /// The agent, to its target.
    Agent,
    /// The target.
    Target,
    /// The host: connections, handshakes, samples.
    Host,
}

/// One line of a dialogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Nanoseconds since the run began.
    pub at_ns: u64,
    /// Who said it.
    pub speaker: Speaker,
    /// The line, masked, without its end.
    pub text: String,
}

/// Gets every line as it is said, masked: the shared page of a worker.
pub type Listener = Box<dyn Fn(Speaker, &str) + Send + Sync>;

/// The dialogue of one job, begun anew with each run.
pub struct Dialogue {
    /// Knows the secrets of the job.
    mask: Arc<Masker>,
    state: Mutex<State>,
    listener: Option<Listener>,
}

struct State {
    /// Knows what the run has hidden as well.
    mask: Arc<Masker>,
    hidden: usize,
    began: Instant,
    lines: VecDeque<Said>,
    dropped: usize,
    kept: bool,
    /// What each side has said of a line that has no end yet.
    partial: [Partial; 2],
    /// Bytes that one side has sent since the last line, where they are counted only.
    counted: Option<(Speaker, usize)>,
    waiting: Waiting,
}

#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    cut: bool,
}

impl State {
    fn begin(mask: Arc<Masker>, kept: bool) -> Self {
        Self {
            mask,
            hidden: 0,
            began: Instant::now(),
            lines: VecDeque::new(),
            dropped: 0,
            kept,
            partial: Default::default(),
            counted: None,
            waiting: Waiting::default(),
        }
    }

    fn partial(&mut self, speaker: Speaker) -> &mut Partial {
        &mut self.partial[usize::from(speaker == Speaker::Target)]
    }
}

impl Dialogue {
    /// Makes the dialogue of a job with these secrets.
    pub fn new(secrets: &[String], listener: Option<Listener>) -> Self {
        let mask = Arc::new(Masker::new(secrets));
        Self { state: Mutex::new(State::begin(mask.clone(), false)), mask, listener }
    }

    /// Begins a run; `kept` if its lines are wanted at the end.
    pub fn begin(&self, kept: bool) {
        *self.lock() = State::begin(self.mask.clone(), kept);
    }

    /// Hides a text until the next run begins, as if it were a secret of the job; also where the run has shown it already, for what a
    /// target sends can be known as a secret only once it was read.
    ///
    /// Errors: kind `limit` when the run has hidden too many already.
    pub fn hide(&self, text: &str) -> Result<(), AgentError> {
        let mut state = self.lock();
        if state.hidden == HIDDEN_MAX {
            return Err(AgentError::limit(format_args!("the bound of {HIDDEN_MAX} hidden texts in a run")));
        }
        state.hidden += 1;
        state.mask = Arc::new(state.mask.with(text));
        let mask = Masker::new(&[text.to_owned()]);
        for said in &mut state.lines {
            said.text = mask.mask(&said.text);
        }
        Ok(())
    }

    /// Ends a run and gives its lines.
    pub fn end(&self) -> Vec<Said> {
        for speaker in [Speaker::Agent, Speaker::Target] {
            self.finish_line(speaker, true);
        }
        self.finish_count();
        let mut state = self.lock();
        let dropped = mem::take(&mut state.dropped);
        let mut lines: Vec<Said> = mem::take(&mut state.lines).into();
        if dropped > 0 {
            lines.insert(0, Said { at_ns: 0, speaker: Speaker::Host, text: format!("({dropped} earlier lines dropped)") });
        }
        lines
    }

    /// Notes what the host did.
    pub fn note(&self, text: &str) {
        self.push(Speaker::Host, text);
    }

    /// Notes that the run waits for the host to end something.
    pub fn begins(&self, what: impl Into<String>) {
        self.lock().waiting.begins(what.into());
    }

    /// Notes that the host has ended it, well or not.
    pub fn ends(&self) {
        self.lock().waiting.ends();
    }

    /// Notes that a stretch of the session begins in which nothing was said yet.
    pub fn reaches(&self, what: impl Into<String>) {
        self.lock().waiting.reaches(what.into());
    }

    /// Notes that the target said something that is not shown.
    pub fn hears(&self) {
        self.lock().waiting.answers();
    }

    /// What has not come, masked, for a run that meets its deadline.
    pub fn awaited(&self) -> Option<String> {
        let told = self.lock().waiting.told()?;
        Some(self.masked(&told))
    }

    /// Notes in an agent's words what passed; it is one line, whatever the words have in them.
    pub fn note_said(&self, speaker: Speaker, text: &str) {
        let mask = self.mask();
        let mut text = bounded(mask.masked(text));
        if text.contains(char::is_control) {
            let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
            text = text.chars().map(shown).collect::<String>().into();
        }
        self.push_masked(speaker, text);
    }

    /// Notes bytes on a stream; lines are shown when they end.
    pub fn heard(&self, speaker: Speaker, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.hear_end(speaker, &rest[..end]);
            rest = &rest[end + 1..];
        }
        self.gather(speaker, rest);
    }

    /// Counts bytes on a stream that are not shown. What one side sends between two lines is one figure, in however many pieces it comes:
    /// a large body would else push out everything that was said before it.
    pub fn counted(&self, speaker: Speaker, bytes: usize) {
        if speaker == Speaker::Target && bytes > 0 {
            self.lock().waiting.answers();
        }
        if let Some((_, sum)) = self.lock().counted.as_mut().filter(|(same, _)| *same == speaker) {
            *sum += bytes;
            return;
        }
        self.finish_count();
        self.lock().counted = Some((speaker, bytes));
    }

    /// Takes secrets out of a text of this job's.
    pub fn masked(&self, text: &str) -> String {
        self.mask().mask(text)
    }

    /// What masks just now; lent out, so that nothing is masked under the lock.
    fn mask(&self) -> Arc<Masker> {
        self.lock().mask.clone()
    }

    /// Takes the end of a line, which most often is all of it.
    fn hear_end(&self, speaker: Speaker, bytes: &[u8]) {
        let mut state = self.lock();
        let partial = state.partial(speaker);
        if partial.bytes.is_empty() && bytes.len() <= LINE_BYTES_MAX {
            partial.cut = false;
            let mask = state.mask.clone();
            drop(state);
            return self.say_line(speaker, &mask, bytes, false);
        }
        drop(state);
        self.gather(speaker, bytes);
        self.finish_line(speaker, false);
    }

    fn gather(&self, speaker: Speaker, bytes: &[u8]) {
        // What is cut off may begin inside a secret, so enough is gathered to see it whole.
        let mut state = self.lock();
        if speaker == Speaker::Target && !bytes.is_empty() {
            state.waiting.answers();
        }
        let room = LINE_BYTES_MAX + 2 * state.mask.reach();
        let partial = state.partial(speaker);
        let take = bytes.len().min(room - partial.bytes.len().min(room));
        partial.bytes.extend_from_slice(&bytes[..take]);
        partial.cut |= take < bytes.len();
    }

    fn finish_line(&self, speaker: Speaker, only_if_begun: bool) {
        let partial = mem::take(self.lock().partial(speaker));
        if only_if_begun && partial.bytes.is_empty() {
            return;
        }
        self.say_line(speaker, &self.mask(), &partial.bytes, partial.cut);
    }

    fn say_line(&self, speaker: Speaker, mask: &Masker, line: &[u8], is_cut: bool) {
        let text = String::from_utf8_lossy(line);
        let text = mask.masked(text.trim_end_matches('\r'));
        self.push_masked(speaker, if is_cut { cut(text) } else { bounded(text) });
    }

    fn finish_count(&self) {
        let counted = self.lock().counted.take();
        if let Some((speaker, bytes)) = counted.filter(|(_, bytes)| *bytes > 0) {
            let way = if speaker == Speaker::Agent { "sent" } else { "received" };
            self.push_masked(Speaker::Host, format!("{way} {bytes} bytes").into());
        }
    }

    fn push(&self, speaker: Speaker, text: &str) {
        self.push_masked(speaker, self.mask().masked(text));
    }

    fn push_masked(&self, speaker: Speaker, text: Cow<'_, str>) {
        self.finish_count();
        let mut state = self.lock();
        match speaker {
            Speaker::Agent => state.waiting.asks(&text),
            Speaker::Target => state.waiting.answers(),
            Speaker::Host => {}
        }
        if let Some(listener) = &self.listener {
            listener(speaker, &text);
        }
        if state.kept {
            if state.lines.len() == LINES_MAX {
                state.lines.pop_front();
                state.dropped += 1;
            }
            let at_ns = u64::try_from(state.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            state.lines.push_back(Said { at_ns, speaker, text: text.into_owned() });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Cuts a line that is too long.
fn bounded(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() > LINE_BYTES_MAX { cut(text) } else { text }
}

/// Cuts a line and says so.
fn cut(text: Cow<'_, str>) -> Cow<'_, str> {
    let mut text = text.into_owned();
    text.truncate(floor_char_boundary(&text, LINE_BYTES_MAX));
    text.push_str(" …");
    text.into()
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(dialogue: &Dialogue) -> Vec<(Speaker, String)> {
        dialogue.end().into_iter().map(|said| (said.speaker, said.text)).collect()
    }

    #[test]
    fn a_secret_split_over_two_writes_is_hidden() {
        let dialogue = Dialogue::new(&["geheim".into()], None);
        dialogue.begin(true);
        dialogue.heard(Speaker::Agent, b"PASS geh");
        dialogue.heard(Speaker::Target, b"+OK\r\n");
        dialogue.heard(Speaker::Agent, b"eim\r\n");
        assert_eq!(lines(&dialogue), [(Speaker::Target, "+OK".into()), (Speaker::Agent, "PASS <secret>".into())]);
    }

    #[test]
    fn a_secret_across_the_cut_of_a_long_line_is_hidden() {
        let secret = "0123456789abcdef";
        for shift in 0..40 {
            let dialogue = Dialogue::new(&[secret.into()], None);
            dialogue.begin(true);
            dialogue
                .heard(Speaker::Target, format!("{}{secret}{}\n", "!".repeat(LINE_BYTES_MAX - 20 + shift), "!".repeat(5000)).as_bytes());
            let text = lines(&dialogue).remove(0).1;
            assert!(!text.contains("0123"), "{text}");
        }
    }

    #[test]
    fn what_a_run_hides_is_hidden_beside_the_secrets_until_the_next_run() {
        let dialogue = Dialogue::new(&["geheim".into()], None);
        dialogue.begin(true);
        dialogue.hide("c4c9334bac560ecc").unwrap();
        dialogue.heard(Speaker::Agent, b"APOP alice c4c9334bac560ecc\r\nPASS geheim\r\n");
        assert_eq!(lines(&dialogue), [(Speaker::Agent, "APOP alice <secret>".into()), (Speaker::Agent, "PASS <secret>".into())]);
        assert_eq!(dialogue.masked("-ERR c4c9334bac560ecc is wrong"), "-ERR <secret> is wrong");
        dialogue.note_said(Speaker::Target, "c4c9334bac560ecc, in words");
        assert_eq!(lines(&dialogue), [(Speaker::Target, "<secret>, in words".into())]);
        dialogue.begin(true);
        assert_eq!(dialogue.masked("c4c9334bac560ecc geheim"), "c4c9334bac560ecc <secret>");
    }

    #[test]
    fn what_was_shown_before_it_was_known_as_a_secret_is_hidden_too() {
        let dialogue = Dialogue::new(&["geheim".into()], None);
        dialogue.begin(true);
        dialogue.note_said(Speaker::Target, "Location: /mail?token=a%2Fb%3D-c4c9");
        dialogue.hide("a/b=-c4c9").unwrap();
        assert_eq!(lines(&dialogue), [(Speaker::Target, "Location: /mail?token=<secret>".into())]);
    }

    #[test]
    fn a_run_hides_a_bounded_number_of_texts() {
        let dialogue = Dialogue::new(&[], None);
        for run in 0..2 {
            dialogue.begin(false);
            for text in 0..HIDDEN_MAX {
                dialogue.hide(&format!("text-{run}-{text}")).unwrap();
            }
            let refused = dialogue.hide("one more").unwrap_err();
            assert_eq!(refused.to_string(), "more than the bound of 100 hidden texts in a run allows");
        }
    }

    #[test]
    fn what_an_agent_says_in_words_is_one_line_masked_and_bounded() {
        let check = |text: &str, expected: &str| {
            let dialogue = Dialogue::new(&["geheim".into()], None);
            dialogue.begin(true);
            dialogue.note_said(Speaker::Target, text);
            assert_eq!(lines(&dialogue), [(Speaker::Target, expected.to_owned())]);
        };
        check("NOERROR, 1 answer", "NOERROR, 1 answer");
        check("the token geheim", "the token <secret>");
        check("a\r\n--> forged\u{1b}[31m", "a\\r\\n--> forged\\u{1b}[31m");
        check(&"ä".repeat(LINE_BYTES_MAX), &format!("{} …", "ä".repeat(LINE_BYTES_MAX / 2)));
    }

    #[test]
    fn what_one_side_sends_uncut_by_a_line_is_one_count() {
        let dialogue = Dialogue::new(&[], None);
        dialogue.begin(true);
        for (speaker, bytes) in [(Speaker::Agent, 2), (Speaker::Target, 4096), (Speaker::Target, 4), (Speaker::Target, 0)] {
            dialogue.counted(speaker, bytes);
        }
        dialogue.note_said(Speaker::Target, "a message");
        dialogue.counted(Speaker::Target, 1);
        dialogue.counted(Speaker::Agent, 0);
        let host = |text: &str| (Speaker::Host, text.to_owned());
        let expected = [host("sent 2 bytes"), host("received 4100 bytes"), (Speaker::Target, "a message".into()), host("received 1 bytes")];
        assert_eq!(lines(&dialogue), expected);
        dialogue.counted(Speaker::Target, 5);
        dialogue.begin(true);
        assert_eq!(lines(&dialogue), [], "a run begins at nothing");
    }

    #[test]
    fn what_a_run_hides_is_hidden_in_an_agents_words_too() {
        let dialogue = Dialogue::new(&[], None);
        dialogue.begin(true);
        dialogue.hide("c4c9334bac560ecc").unwrap();
        dialogue.note_said(Speaker::Target, "it repeats c4c9334bac560ecc");
        assert_eq!(lines(&dialogue), [(Speaker::Target, "it repeats <secret>".into())]);
    }

    #[test]
    fn nothing_is_kept_when_nobody_wants_it_and_the_listener_hears_it_all_the_same() {
        let heard = std::sync::Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        let dialogue = Dialogue::new(&[], Some(Box::new(move |_, text| ear.lock().unwrap().push(text.to_owned()))));
        dialogue.begin(false);
        dialogue.heard(Speaker::Target, b"220 hello\r\n");
        assert!(dialogue.end().is_empty());
        assert_eq!(*heard.lock().unwrap(), ["220 hello"]);
    }
}
