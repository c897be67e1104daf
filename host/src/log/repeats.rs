//! The same line again and again: said once, and once an hour while it goes on.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Texts that are remembered; of more than so many different ones, the one said longest ago is forgotten.
const TEXTS_MAX: usize = 16;
/// A text is said again after this.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(3600);

/// What one speaker said lately.
#[derive(Debug, Default)]
pub struct Repeats(VecDeque<Said>);

#[derive(Debug)]
struct Said {
    text: String,
    at: Instant,
    repeated: u64,
}

impl Repeats {
    /// Takes a text; if it is to be said now, gives how often it was swallowed since it was said last.
    pub fn news(&mut self, text: &str, now: Instant) -> Option<u64> {
        let Some(said) = self.0.iter_mut().find(|said| said.text == text) else {
            self.0.truncate(TEXTS_MAX - 1);
            self.0.push_front(Said { text: text.to_owned(), at: now, repeated: 0 });
            return Some(0);
        };
        if now.duration_since(said.at) < SAID_AGAIN_AFTER {
            said.repeated += 1;
            return None;
        }
        said.at = now;
        Some(std::mem::take(&mut said.repeated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_of_every_run_is_said_once_an_hour_and_counted() {
        let (start, mut repeats) = (Instant::now(), Repeats::default());
        let said: Vec<(u64, u64)> = (0..7300)
            .filter_map(|second| Some((second, repeats.news("the password is in the clear", start + Duration::from_secs(second))?)))
            .collect();
        assert_eq!(said, [(0, 0), (3600, 3599), (7200, 3599)]);
    }

    #[test]
    fn different_lines_are_all_said_and_only_so_many_are_remembered() {
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        assert!((0..1000).all(|line| repeats.news(&format!("line {line}"), now) == Some(0)));
        assert_eq!((repeats.0.len(), repeats.news("line 999", now), repeats.news("line 0", now)), (TEXTS_MAX, None, Some(0)));
    }
}
