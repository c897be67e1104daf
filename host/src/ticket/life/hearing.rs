//! What becomes of a ticket by what its system says, and what that tells of people.

use super::{Ask, Comment, Heard, Seen, State, Ticket, Unsure, bears, mark};

/// Comments that are remembered as seen, at most: the latest.
const SEEN_MAX: usize = 500;
/// So often the system has to say that it knows no such ticket, before that is believed.
pub(super) const GONE_AFTER: u32 = 12;

impl Ticket {
    /// Takes what was heard; gives what a person did.
    pub fn hear(&mut self, ask: &Ask, heard: Heard, now_ns: i64) -> Vec<Seen> {
        let is_sure = !matches!(heard, Heard::Unknown(_));
        let failed = match &heard {
            // What will never be taken is not asked again.
            Heard::Refused(_) if matches!(ask, Ask::Comment | Ask::Take | Ask::Reopen | Ask::Retire(_)) => None,
            Heard::Refused(why) | Heard::Later(why) | Heard::Outdated(why) | Heard::Gone(why) | Heard::Unknown(why) => Some(why.clone()),
            _ => None,
        };
        let is_done = failed.is_none();
        if !is_done {
            self.attempts = self.attempts.saturating_add(1);
            self.failing = Some(ask.name().to_owned());
        } else if ask.changes() || self.failing.as_deref().is_none_or(|failing| failing == ask.name()) {
            // What is only asked on the way to what fails is no success of that.
            (self.attempts, self.failing) = (0, None);
        }
        self.error = failed;
        if is_done {
            self.asking = None;
        }
        if is_sure && self.unsure.as_ref().is_some_and(|unsure| unsure.ask == *ask) {
            self.unsure = None;
        }
        if is_sure && *ask == Ask::Comment {
            self.written = None;
        }
        match (ask, heard) {
            (Ask::Search, Heard::Found(ids)) => self.found(ids, now_ns),
            (Ask::Create, Heard::Made(id)) => self.made(id),
            (Ask::Comment, Heard::Done) => self.told = self.telling,
            (Ask::Comment, Heard::Refused(why)) => (self.told, self.refused) = (self.telling, Some(why)),
            (Ask::Take, Heard::Done) => (self.takes, self.took) = (false, true),
            (Ask::Take, Heard::Refused(_)) => self.takes = false,
            (Ask::Resolve, Heard::Done) => (self.state, self.resolves) = (State::Resolved, false),
            (Ask::Reopen, Heard::Done) => (self.state, self.reopens) = (State::Open, false),
            // What cannot be reopened stays as it is.
            (Ask::Reopen, Heard::Refused(_)) => self.state = State::Gone,
            (Ask::Retire(id), Heard::Done | Heard::Refused(_) | Heard::Gone(_)) => {
                self.duplicates.retain(|other| other != id);
                self.retired.push(id.clone());
            }
            (Ask::Look, Heard::Comments(comments)) => return self.read_comments(comments, now_ns),
            (Ask::Read, Heard::Stands { state, word, version, owner, closed_by }) => {
                return self.stands(state, word, version, owner, closed_by, now_ns);
            }
            (_, Heard::Gone(_)) if self.attempts > GONE_AFTER => self.state = State::Gone,
            _ => {}
        }
        Vec::new()
    }

    fn found(&mut self, mut ids: Vec<String>, now_ns: i64) {
        ids.sort_by_key(|id| id.parse::<u64>().unwrap_or(0));
        self.swept = true;
        if self.id.is_none() {
            let Some(first) = ids.first().cloned() else {
                self.searched_ns = Some(now_ns);
                return;
            };
            let asked_for = self.unsure.as_ref().filter(|unsure| unsure.ask == Ask::Create).map(|unsure| unsure.seq);
            self.made(first);
            self.unsure = None;
            match asked_for {
                // It tells of the step that it was made for.
                Some(seq) => self.told = seq,
                // An earlier daemon made it, and what is known here is older than that: the step may be in it.
                None => {
                    self.told = 0;
                    self.written = Some(Unsure { ask: Ask::Comment, seq: self.telling, since_ns: 0, until_ns: 0 });
                }
            }
        }
        let others = ids.into_iter().filter(|id| self.id.as_ref() != Some(id) && !self.retired.contains(id)).collect();
        self.duplicates = others;
    }

    fn made(&mut self, id: String) {
        (self.id, self.state, self.told) = (Some(id), State::Open, self.telling);
        (self.searched_ns, self.fresh) = (None, false);
    }

    fn read_comments(&mut self, comments: Vec<Comment>, now_ns: i64) -> Vec<Seen> {
        if let Some(unsure) = &self.written {
            let mark = mark(&self.key, unsure.seq);
            if comments.iter().any(|comment| bears(&comment.text, &mark)) {
                self.told = self.told.max(unsure.seq);
                self.written = None;
            } else {
                self.looked_ns = Some(now_ns);
            }
        }
        let mut wrote = Vec::new();
        for comment in comments {
            if self.seen.contains(&comment.id) {
                continue;
            }
            self.seen.push(comment.id.clone());
            if !is_ours(&comment.text, &self.key) && !comment.text.trim().is_empty() {
                wrote.push(Seen::Wrote(comment));
            }
        }
        self.seen.drain(..self.seen.len().saturating_sub(SEEN_MAX));
        wrote
    }

    fn stands(
        &mut self,
        state: Option<State>,
        word: String,
        version: Option<String>,
        owner: Option<String>,
        closed_by: Option<String>,
        now_ns: i64,
    ) -> Vec<Seen> {
        let mut seen = Vec::new();
        let may_be_ours = |ask: &Ask| {
            let late = self.late.as_ref().is_some_and(|(late, until_ns)| late == ask && *until_ns > now_ns);
            late || self.unsure.as_ref().is_some_and(|unsure| unsure.ask == *ask)
        };
        match state {
            None => self.error = Some(format!("`{word}` is none of the states that the template knows")),
            Some(state) => {
                if self.state == State::Open && state.is_over() {
                    if may_be_ours(&Ask::Resolve) {
                        self.reopens |= !self.over;
                    } else {
                        seen.push(Seen::Ended { by: closed_by.clone(), word: word.clone() });
                    }
                } else if self.state == State::Resolved && state == State::Closed {
                    seen.push(Seen::Ended { by: closed_by.clone(), word: word.clone() });
                } else if self.state.is_over() && state == State::Open && !may_be_ours(&Ask::Reopen) {
                    seen.push(Seen::Reopened);
                }
                self.state = state;
                if state.is_over() {
                    self.resolves = false;
                } else {
                    self.reopens = false;
                }
                if self.unsure.as_ref().is_some_and(|unsure| matches!(unsure.ask, Ask::Resolve | Ask::Reopen | Ask::Take)) {
                    self.outlive();
                }
            }
        }
        if std::mem::take(&mut self.took) {
            self.owner = owner;
        } else if owner != self.owner {
            seen.extend(owner.clone().map(Seen::Took));
            self.owner = owner;
        }
        (self.word, self.version, self.fresh) = (Some(word), version, true);
        seen
    }
}

/// Whether a comment is one of ours.
fn is_ours(text: &str, key: &str) -> bool {
    let is_mark = |line: &str| line.trim().strip_prefix(key).and_then(|rest| rest.strip_prefix('/')).is_some_and(|seq| !seq.contains(' '));
    text.lines().any(is_mark)
}
