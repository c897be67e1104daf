//! Where the most recipients wait for, and why: told as events when it has changed.

use std::collections::HashMap;

use watchpost_plugin_api::{AgentError, Cx, Severity, quoted};

/// Different names that are counted; of a queue with more, those that come first.
const NAMES_MAX: usize = 10_000;
/// Characters of a name that are told.
const NAME_CHARS_MAX: usize = 100;

/// Who waits for what.
#[derive(Debug, Default)]
pub(crate) struct Tops {
    destinations: Counts,
    reasons: Counts,
}

impl Tops {
    /// Counts a recipient. Only the domain counts: who gets mail is nobody's business here.
    pub(crate) fn recipient(&mut self, address: &str) {
        let address = address.trim().trim_start_matches('<').trim_end_matches('>');
        let domain = address.rsplit_once('@').map_or("(local)", |(_, domain)| domain);
        self.destinations.add(fit(&domain.to_lowercase()));
    }

    /// Counts why somebody still waits. What stands in brackets differs from one to the next, and may name people: it is left out.
    pub(crate) fn reason(&mut self, reason: &str) {
        self.reasons.add(fit(&without_bracketed(reason.trim())));
    }

    /// Tells which the top ones are, if they are not those that were told last.
    pub(crate) fn tell(&self, cx: &Cx, top: usize) -> Result<(), AgentError> {
        if top == 0 {
            return Ok(());
        }
        let last = cx.cursor().unwrap_or_default();
        let last = String::from_utf8_lossy(&last);
        let mut last = last.split('\n');
        let mut now = Vec::new();
        for (code, counts) in [("queue_destinations", &self.destinations), ("queue_reasons", &self.reasons)] {
            let ranks = counts.ranks(top);
            let names = names(&ranks);
            // Where nothing was ever told there is nothing to take back.
            if names != last.next().unwrap_or_default() {
                cx.event(Severity::Indeterminate, code, &text(&ranks));
            }
            now.push(names);
        }
        cx.set_cursor(now.join("\n").as_bytes())
    }
}

/// Names and how often each came.
#[derive(Debug, Default)]
struct Counts(HashMap<String, u64>);

impl Counts {
    fn add(&mut self, name: String) {
        let has_room = self.0.len() < NAMES_MAX;
        match self.0.get_mut(&name) {
            Some(count) => *count += 1,
            None if has_room => drop(self.0.insert(name, 1)),
            None => {}
        }
    }

    /// The names that came most often, with how often.
    fn ranks(&self, top: usize) -> Vec<(&str, u64)> {
        let mut ranks: Vec<(&str, u64)> = self.0.iter().map(|(name, &count)| (name.as_str(), count)).collect();
        ranks.sort_unstable_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        ranks.truncate(top);
        ranks
    }
}

/// What makes one top list differ from another: who is in it, not how many wait just now, which changes all the time.
fn names(ranks: &[(&str, u64)]) -> String {
    let mut names: Vec<&str> = ranks.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.join("\t")
}

fn text(ranks: &[(&str, u64)]) -> String {
    if ranks.is_empty() {
        return "nobody waits any more".into();
    }
    let ranks: Vec<String> = ranks.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    format!("recipients that wait: {}", ranks.join("; "))
}

/// Makes a text of somebody else's fit to be told: short, and without control characters.
fn fit(text: &str) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(NAME_CHARS_MAX).collect();
    let mut fit = quoted(&head);
    if chars.next().is_some() {
        fit.push('…');
    }
    fit
}

/// Leaves out what stands between brackets, the outermost pair.
fn without_bracketed(text: &str) -> String {
    let mut kept = String::new();
    let mut until = None;
    for c in text.chars() {
        match until {
            Some(end) if c == end => until = None,
            Some(_) => continue,
            None if c == '[' => until = Some(']'),
            None if c == '<' => until = Some('>'),
            None => {}
        }
        kept.push(c);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_counts_for_its_domain_and_is_not_named() {
        let mut tops = Tops::default();
        for address in ["alice@lab.test", "<bob@LAB.test>", "\"a@b\"@lab.test", "root", "x@stuck.test", ""] {
            tops.recipient(address);
        }
        assert_eq!(tops.destinations.ranks(5), [("lab.test", 3), ("(local)", 2), ("stuck.test", 1)]);
    }

    #[test]
    fn reasons_that_differ_in_an_address_are_one() {
        let mut tops = Tops::default();
        for host in 1..4 {
            tops.reason(&format!("host mx[192.0.2.{host}] said: 450 <alice{host}@lab.test>: Recipient address rejected"));
        }
        assert_eq!(tops.reasons.ranks(5), [("host mx[] said: 450 <>: Recipient address rejected", 3)]);
    }

    #[test]
    fn a_hostile_text_is_cut_and_spelt_out() {
        let mut tops = Tops::default();
        tops.reason(&format!("\u{1b}[2J\n{}", "é".repeat(100_000)));
        let ranks = tops.reasons.ranks(1);
        assert!(ranks[0].0.chars().count() <= NAME_CHARS_MAX * 8 + 1, "{ranks:?}");
        assert!(!ranks[0].0.contains(char::is_control), "{ranks:?}");
        tops.recipient(&format!("a@{}\t\n", "b\u{7}".repeat(1000)));
        assert!(!tops.destinations.ranks(1)[0].0.contains(char::is_control));
    }

    #[test]
    fn names_are_bounded_and_those_known_go_on_counting() {
        let mut counts = Counts::default();
        for name in 0..NAMES_MAX + 5 {
            counts.add(name.to_string());
        }
        counts.add("0".into());
        assert_eq!(counts.0.len(), NAMES_MAX);
        assert_eq!(counts.ranks(1), [("0", 2)]);
    }

    #[test]
    fn a_list_is_another_when_another_name_is_in_it() {
        assert_eq!(names(&[("b", 2), ("a", 1)]), names(&[("a", 9), ("b", 1)]));
        assert_ne!(names(&[("b", 2), ("a", 1)]), names(&[("b", 2), ("c", 1)]));
        assert_eq!(text(&[("b", 2), ("a", 1)]), "recipients that wait: 2 × b; 1 × a");
    }
}
