//! Which comments are ours: what bears a mark, and nobody's words beside ours.
//!
//! Who answers by mail quotes what he answers, often whole and without a sign before each line. So a comment of ours begins as we began it,
//! and its mark is the last line that says anything. What is not known any more is believed by its mark alone.

use super::{Kin, Ticket, mark};

/// Comments of which it is remembered how they begin, at most: the latest.
const BEGINS_MAX: usize = 200;
/// Letters of a beginning that are remembered.
const BEGIN_CHARS: usize = 40;

impl Ticket {
    /// Remembers how the step begins that is about to be written: as the ticket itself, or as a comment.
    pub(super) fn note_beginning(&mut self) {
        let seq = self.telling;
        self.begins.retain(|(known, _)| *known != seq);
        // One that is opened for a situation begins with the likely cause, which another attempt may find to be another.
        if self.is_of_situation() && self.id.is_none() {
            return;
        }
        // What may be markup is read otherwise than it was written.
        let plain = self.notice.text.split(['<', '&']).next().unwrap_or_default();
        self.begins.push((seq, letters(plain).chars().take(BEGIN_CHARS).collect()));
        self.begins.drain(..self.begins.len().saturating_sub(BEGINS_MAX));
    }

    /// Whether a comment is one of ours.
    pub(super) fn is_ours(&self, text: &str) -> bool {
        let of_kin = |kin: &Kin| is_of(text, &kin.key, &kin.begins);
        is_of(text, &self.key, &self.begins) || self.kin.iter().any(of_kin)
    }
}

/// Whether a comment is ours, and of the ticket that has the key.
fn is_of(text: &str, key: &str, begins: &[(u64, String)]) -> bool {
    let is_mark = |line: &str| mark_of(line, key).is_some();
    if !text.lines().any(is_mark) {
        return false;
    }
    let worded: Vec<&str> = text.lines().filter(|line| is_worded(line)).collect();
    let (Some(first), Some(last)) = (worded.first(), worded.last()) else { return true };
    let Some(of) = mark_of(last, key) else { return false };
    let begin = begins.iter().find(|(seq, _)| mark(key, *seq) == format!("{key}/{of}"));
    begin.is_none_or(|(_, begin)| letters(first).contains(begin.as_str()))
}

/// What stands behind the key on a line that is a mark.
fn mark_of<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.trim().strip_prefix(key)?.strip_prefix('/').filter(|seq| !seq.contains(' '))
}

/// Whether a line says something: markup in braces does not.
fn is_worded(line: &str) -> bool {
    let line = line.trim();
    line.contains(char::is_alphanumeric) && !(line.starts_with('{') && line.ends_with('}'))
}

/// What of a line outlives markup and the folding of spaces.
fn letters(line: &str) -> String {
    line.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Ask, Comment, Heard, Seen,
            tests::{ALL, Rig},
        },
        *,
    };
    use crate::{alarm::notice::Step, notify::text::title};

    #[test]
    fn a_comment_that_quotes_ours_is_somebodys_wherever_its_own_words_stand() {
        let mut rig = Rig::open(ALL);
        rig.takes(2, 7, Step::Changed);
        rig.asks(&Ask::Comment, Heard::Done);
        rig.settles();
        let (key, told) = (rig.ticket.key.clone(), title(&rig.ticket.notice));
        let made = format!("{}\n\nJob x\n\n{}", rig.ticket.notice.text, mark(&key, 1));
        let ours = format!("{told}\nStep         changed\n\n{}", mark(&key, 2));
        for (text, is_ours) in [
            (made.clone(), true),
            (ours.clone(), true),
            (format!("{{noformat}}\n{ours}\n{{noformat}}"), true),
            (format!("Watchpost: {}\n--\n", ours.replace(' ', "  ")), true),
            (format!("{key}/duplicate"), true),
            (format!("I have changed the card.\n\nFrom: desk\nSent: today\n\n{ours}"), false),
            (format!("It is Alice's.\n\n{made}"), false),
            (format!("{ours}\n\nI have changed the card."), false),
            (format!("> {}", mark(&key, 2)), false),
            ("a word".to_owned(), false),
        ] {
            assert_eq!(rig.ticket.is_ours(&text), is_ours, "{text}");
        }
        let answer = Comment { id: "3".into(), author: Some("alice".into()), text: format!("done\n\n{ours}") };
        let all = vec![Comment { id: "2".into(), author: None, text: ours }, answer.clone()];
        assert_eq!(rig.ticket.hear(&Ask::Look, Heard::Comments(all), rig.now_ns), [Seen::Wrote(answer)]);
    }
}
