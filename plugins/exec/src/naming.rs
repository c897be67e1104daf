//! Names that the store and every console take, made of whatever a program says.

use std::collections::HashMap;

use watchpost_plugin_api::{Kind, LABELS_RESERVED};

/// Endings that the text formats keep for themselves.
const ENDINGS: [&str; 5] = ["_count", "_sum", "_bucket", "_total", "_info"];
/// What the host adds to every job, and what this agent records itself; another of such a name gets one of its own.
const TAKEN: [&str; 7] = ["up", "run_duration", "loss", "state", "lines_taken", "lines_refused", "program_starts"];
/// Characters of a name; longer ones end in a mark of what was cut.
const CHARS_MAX: usize = 80;
/// Names of a job, at most.
const NAMES_MAX: usize = 1000;

/// Who has which name. It must not matter what a program tells beside it, or told before: after a restart that may be something else. So
/// whatever is no name as it stands gets a mark of what the program calls it, told alone as well.
///
/// One pair is left: the counter `x_total` is `x` in the text formats, which count it as one with `x`. A program that tells both has two
/// that get a mark each.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, Owner>);

#[derive(Debug)]
enum Owner {
    /// `rename` gave it.
    Given,
    /// Nobody else has asked for it.
    Only(String),
    /// Several have.
    Several,
}

/// A name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// What had that name until now, and what it is called from now on.
    pub(crate) moved: Option<(String, String)>,
}

impl Names {
    /// Names of which some are given: what the program says, and what it is called.
    pub(crate) fn given<'a>(renamed: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        Self(renamed.into_iter().map(|(_, name)| (name.clone(), Owner::Given)).collect())
    }

    /// The name of what the program calls so.
    ///
    /// Errors: in words, when there are too many.
    pub(crate) fn metric(&mut self, said: &str, kind: Kind) -> Result<Named, String> {
        let word = word(said, "value");
        let mut name = match word.strip_suffix("_total") {
            // It comes back where totals are shown.
            Some(counted) if kind == Kind::Counter => counted.to_owned(),
            _ => word.clone(),
        };
        // Whoever is called as those are that give way to an ending gives way to them.
        let mut is_its_own = word == said && !name.strip_suffix('s').is_some_and(is_kept);
        if is_kept(&name) {
            name.push('s');
        }
        is_its_own &= name.len() <= CHARS_MAX && !TAKEN.contains(&name.as_str());
        if !is_its_own {
            name = marked(&name, said);
        }
        if self.0.len() == NAMES_MAX && !self.0.contains_key(&name) {
            return Err(format!("more than {NAMES_MAX} names"));
        }
        let owner = self.0.entry(name.clone()).or_insert_with(|| Owner::Only(said.to_owned()));
        match owner {
            Owner::Only(only) if only == said => Ok(Named { name, moved: None }),
            Owner::Only(only) => {
                let moved = Some((name.clone(), marked(&name, only)));
                *owner = Owner::Several;
                Ok(Named { name: marked(&name, said), moved })
            }
            Owner::Given | Owner::Several => Ok(Named { name: marked(&name, said), moved: None }),
        }
    }
}

/// Whether the text formats keep the ending of that name for themselves.
fn is_kept(name: &str) -> bool {
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The key of a label that the program calls so.
pub(crate) fn label(said: &str) -> String {
    let key = word(said, "label");
    if LABELS_RESERVED.contains(&key.as_str()) { format!("exported_{key}") } else { key }
}

/// The code of an event that the program calls so: a word to count by.
pub(crate) fn code(said: &str) -> String {
    let mut code = word(said, "event");
    code.truncate(CHARS_MAX);
    code
}

/// `[a-z][a-z0-9_]*` of any text.
fn word(said: &str, otherwise: &str) -> String {
    let mut word = String::new();
    for letter in said.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => word.push(letter),
            _ if word.is_empty() || word.ends_with('_') => {}
            _ => word.push('_'),
        }
    }
    word.truncate(word.trim_end_matches('_').len());
    match word.as_bytes().first() {
        None => otherwise.into(),
        Some(b'0'..=b'9') => format!("n{word}"),
        Some(_) => word,
    }
}

/// A name that is that of one text only.
fn marked(name: &str, said: &str) -> String {
    let cut: String = name.chars().take(CHARS_MAX).collect();
    format!("{cut}_{:04x}", mark(said))
}

/// Sixteen bits of a text, the same for ever: FNV-1a, folded.
fn mark(text: &str) -> u16 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash >> 16) as u16 ^ (hash & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use watchpost_plugin_api::{MetricSpec, Unit};

    use super::*;

    fn name(said: &str) -> String {
        Names::default().metric(said, Kind::Gauge).unwrap().name
    }

    #[test]
    fn a_name_becomes_one_that_the_store_takes() {
        for name_ in ["time", "a_b", "n5min", "value", "x2"] {
            assert_eq!(name(name_), name_);
        }
        for (said, expected) in [("mails_count", "mails_counts"), ("mails_total", "mails_totals"), ("x_bucket", "x_buckets")] {
            assert_eq!(name(said), expected);
        }
        assert_eq!(Names::default().metric("mails_total", Kind::Counter), Ok(plain("mails")));
        let marked = [
            ("Response Time", "response_time_"),
            ("/var/log", "var_log_"),
            ("/", "value_"),
            ("5min", "n5min_"),
            ("a__b--c", "a_b_c_"),
            ("größe", "gr_e_"),
            ("ÄÖÜ", "value_"),
            ("mails_counts", "mails_counts_"),
            ("up", "up_"),
            ("state", "state_"),
            (&"long".repeat(50), "longlong"),
        ];
        for (said, begins) in marked {
            let name = name(said);
            let mark = name.rsplit_once('_').unwrap().1;
            assert!(name.starts_with(begins) && name.len() <= CHARS_MAX + 5 && mark.len() == 4, "{said}: {name}");
        }
    }

    fn plain(name: &str) -> Named {
        Named { name: name.into(), moved: None }
    }

    #[test]
    fn a_name_is_the_same_whoever_was_told_before() {
        let alike = ["a_b", "a b", "a-b", "A_B", "a__b", "_a_b", "x_count", "x_counts", "x counts", "X_COUNT"];
        let alone = alike.map(name);
        for (first, &said) in alike.iter().enumerate() {
            let mut names = Names::default();
            let mut told: Vec<_> = (first..first + alike.len()).map(|at| names.metric(alike[at % alike.len()], Kind::Gauge)).collect();
            told.rotate_right(first);
            assert_eq!(told, alone.each_ref().map(|name| Ok(plain(name))), "{said} first");
        }
        let mut different = alone.to_vec();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), alike.len(), "{alone:?}");
    }

    #[test]
    fn a_total_and_what_is_called_as_it_is_without_its_ending_have_two_names_in_whichever_order_they_are_told() {
        let told = |order: [&'static str; 2]| {
            let mut names = Names::default();
            let (first, second) = (names.metric(order[0], Kind::Counter).unwrap(), names.metric(order[1], Kind::Counter).unwrap());
            assert_eq!(first, plain("a_b"));
            let again = order.map(|said| names.metric(said, Kind::Counter).unwrap());
            assert_eq!(second.moved, Some(("a_b".into(), again[0].name.clone())));
            assert_eq!(second.name, again[1].name);
            let mut named: Vec<(&str, String)> = order.into_iter().zip(again.map(|named| named.name)).collect();
            named.sort();
            named
        };
        let named = told(["a_b", "a_b_total"]);
        assert_eq!(named, told(["a_b_total", "a_b"]));
        assert!(named[0].1 != named[1].1 && named.iter().all(|(_, name)| name.len() == "a_b_0000".len()), "{named:?}");
    }

    #[test]
    fn names_without_end_are_refused() {
        let mut names = Names::default();
        let refused = (0..NAMES_MAX + 5).filter(|number| names.metric(&format!("n{number}"), Kind::Gauge).is_err()).count();
        assert_eq!(refused, 5);
        assert_eq!(names.metric("n1", Kind::Gauge), Ok(plain("n1")), "who has one keeps it");
    }

    #[test]
    fn a_label_of_the_hosts_gets_out_of_its_way() {
        assert_eq!(
            (label("job"), label("le"), label("Queue"), label("")),
            ("exported_job".into(), "exported_le".into(), "queue".into(), "label".into())
        );
    }

    #[test]
    fn the_code_of_an_event_is_a_word() {
        assert_eq!((code("Disk full!"), code("\u{1b}[2J"), code("")), ("disk_full".into(), "n2j".into(), "event".into()));
        assert_eq!(code(&"x".repeat(5000)).len(), CHARS_MAX);
    }

    proptest! {
        #[test]
        fn every_text_whatsoever_becomes_a_name_and_a_key(said in ".{0,200}", counts in any::<bool>()) {
            let kind = if counts { Kind::Counter } else { Kind::Gauge };
            let name = Names::default().metric(&said, kind).unwrap().name;
            let keys = vec![label(&said)];
            let spec = MetricSpec { name, kind, unit: Unit::Number, help: "H.".into(), keys };
            prop_assert_eq!(spec.fault(), None, "{:?}", spec);
        }
    }
}
