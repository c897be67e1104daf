//! Names: of the file of a label set, and of a data source in it.

use sha2::{Digest, Sha256};

/// Longest name of a series file, with its ending.
pub const FILE_NAME_CHARS_MAX: usize = 120;
/// Longest name of a data source (rrdcreate(1), "DS").
pub const SOURCE_CHARS_MAX: usize = 19;
/// Ending of series files.
pub const ENDING: &str = ".rrd";

const SOURCE_KEPT: usize = 14;
const SOURCE_HEX: usize = 4;
const FILE_HEX: usize = 10;

/// Data sources of one file, at most. More cost less for each of them, but an answer reads all of a file: beyond some thirty nothing is gained.
pub const SOURCES_MAX: usize = 32;
/// The key that the second and further files of a label set have as their last label; no metric can have it.
const PART: &str = "";

/// Labels of one series file: keys in declared order, true values. The second and further files of a label set have their number besides.
pub type LabelSet = Vec<(String, String)>;

/// The labels of a file's series, without the number of the file.
pub fn of_series(labels: &[(String, String)]) -> &[(String, String)] {
    match labels.split_last() {
        Some(((key, _), series)) if key == PART => series,
        _ => labels,
    }
}

/// The labels of the file with this number of a label set; the first is 0, and has those of its series.
pub fn of_part(series: LabelSet, part: usize) -> LabelSet {
    let number = (part > 0).then(|| (PART.to_owned(), (part + 1).to_string()));
    series.into_iter().chain(number).collect()
}

/// The number of a file within its label set, from 0 on.
pub fn part(labels: &[(String, String)]) -> usize {
    let number = labels.last().filter(|(key, _)| key == PART).and_then(|(_, number)| number.parse::<usize>().ok());
    number.map_or(0, |number| number.saturating_sub(1))
}

/// Names the file of a label set, without the ending: `_`, `queue=deferred`, `queue=a_b~0123456789`; the second of it `_+2`.
///
/// Unknown characters become `_`; a name that lost anything ends in `~` and the hash of the true one.
pub fn file_stem(labels: &[(String, String)]) -> String {
    let number = numbered(labels);
    if of_series(labels).is_empty() {
        return format!("_{number}");
    }
    let (clean, truth) = clean_and_true(of_series(labels));
    let fits = clean.len() + number.len() + ENDING.len() <= FILE_NAME_CHARS_MAX;
    if clean == truth && fits { clean + &number } else { marked(&clean, &truth, &number) }
}

/// Names the file of a label set when another series already has the plain name.
pub fn file_stem_marked(labels: &[(String, String)]) -> String {
    let (clean, truth) = clean_and_true(of_series(labels));
    marked(&clean, &truth, &numbered(labels))
}

/// What the name of a second or further file ends in.
fn numbered(labels: &[(String, String)]) -> String {
    match part(labels) {
        0 => String::new(),
        part => format!("+{}", part + 1),
    }
}

/// Names the data sources of one file, in the order of its metrics; no two alike.
pub fn source_names<'a>(metrics: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for metric in metrics {
        let mut name = source_name(metric);
        let mut again = 0;
        while names.contains(&name) {
            again += 1;
            name = source_hashed(metric, &format!("{metric}#{again}"));
        }
        names.push(name);
    }
    names
}

/// Names one data source: the metric's own name if RRD takes it, else 14 characters, `_` and 4 hex of its hash.
pub fn source_name(metric: &str) -> String {
    let fits = !metric.is_empty() && metric.len() <= SOURCE_CHARS_MAX && metric.chars().all(is_source_char);
    if fits { metric.into() } else { source_hashed(metric, metric) }
}

/// Says whether a job's name can be a folder: `[a-z0-9][a-z0-9._@-]{0,79}`.
pub fn is_job_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 80 && name.starts_with(is_plain) && name.chars().all(|c| is_plain(c) || "._@-".contains(c))
}

fn clean_and_true(labels: &[(String, String)]) -> (String, String) {
    let clean: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={}", replaced(value, is_file_char))).collect();
    let truth: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    (clean.join(","), truth.join(","))
}

fn source_hashed(metric: &str, truth: &str) -> String {
    let clean = replaced(metric, is_source_char);
    format!("{}_{}", clean.get(..SOURCE_KEPT).unwrap_or(&clean), hex(truth, SOURCE_HEX))
}

fn marked(clean: &str, truth: &str, number: &str) -> String {
    let room = (FILE_NAME_CHARS_MAX - ENDING.len() - FILE_HEX - 1).saturating_sub(number.len());
    format!("{}~{}{number}", clean.get(..room).unwrap_or(clean), hex(truth, FILE_HEX))
}

fn replaced(text: &str, keep: fn(char) -> bool) -> String {
    text.chars().map(|c| if keep(c) { c } else { '_' }).collect()
}

fn is_file_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

fn is_source_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn hex(text: &str, chars: usize) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().flat_map(|byte| [byte >> 4, byte & 15]).take(chars).map(|n| char::from(b"0123456789abcdef"[usize::from(n)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> LabelSet {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    #[test]
    fn a_file_is_named_after_its_labels_and_marked_when_that_loses_something() {
        let long = "x".repeat(200);
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[], "_"),
            (&[("queue", "deferred")], "queue=deferred"),
            (&[("queue", "a.B-9_")], "queue=a.B-9_"),
            (&[("queue", "")], "queue="),
            (&[("to", "x"), ("from", "y")], "to=x,from=y"),
            // printf 'queue=a b' | sha256sum
            (&[("queue", "a b")], "queue=a_b~a2385c3d72"),
            (&[("queue", "a/../b")], "queue=a_.._b~"),
            (&[("queue", "100%n")], "queue=100_n~"),
            (&[("queue", "é")], "queue=_~"),
            (&[("a", "1,b=2")], "a=1_b_2~"),
            (&[("queue", &long)], "queue=xxx"),
        ];
        for (pairs, expected) in table {
            let stem = file_stem(&labels(pairs));
            let exact = !expected.ends_with('~') && !expected.ends_with("xxx");
            assert!(if exact { stem == *expected } else { stem.starts_with(expected) }, "{pairs:?} gave {stem}");
            assert!(stem.len() + ENDING.len() <= FILE_NAME_CHARS_MAX, "{stem}");
            assert!(stem.chars().all(|c| is_file_char(c) || "=,~".contains(c)), "{stem}");
        }
    }

    #[test]
    fn label_sets_that_clean_to_the_same_name_get_different_files() {
        let names: std::collections::HashSet<_> =
            ["a b", "a_b", "a/b", "a%b"].iter().map(|value| file_stem(&labels(&[("queue", value)]))).collect();
        assert_eq!(names.len(), 4);
    }

    #[test]
    fn a_second_file_of_a_label_set_has_its_number_and_the_same_labels() {
        let long = "x".repeat(200);
        for (pairs, expected) in [
            (&[] as &[(&str, &str)], "_+2"),
            (&[("queue", "deferred")], "queue=deferred+2"),
            (&[("queue", "a b")], "queue=a_b~a2385c3d72+2"),
            (&[("queue", &long)], "queue=xxx"),
        ] {
            let second = of_part(labels(pairs), 1);
            assert_eq!((of_series(&second), part(&second)), (labels(pairs).as_slice(), 1));
            let stem = file_stem(&second);
            assert!(stem == expected || expected.ends_with("xxx") && stem.starts_with(expected) && stem.ends_with("+2"), "{stem}");
            assert!(stem.len() + ENDING.len() <= FILE_NAME_CHARS_MAX, "{stem}");
            assert_eq!((of_part(labels(pairs), 0), part(&labels(pairs))), (labels(pairs), 0));
        }
        assert_ne!(file_stem(&of_part(labels(&[]), 1)), file_stem(&labels(&[("queue", "+2")])));
    }

    #[test]
    fn a_longest_name_just_fits_unmarked() {
        let fits = "x".repeat(FILE_NAME_CHARS_MAX - ENDING.len() - "q=".len());
        assert_eq!(file_stem(&labels(&[("q", &fits)])), format!("q={fits}"));
        let cut = file_stem(&labels(&[("q", &format!("{fits}x"))]));
        assert_eq!((cut.len() + ENDING.len(), cut.contains('~')), (FILE_NAME_CHARS_MAX, true));
    }

    #[test]
    fn a_source_is_the_metric_itself_if_rrd_takes_it() {
        let table = [
            ("connect_time", "connect_time"),
            ("nineteen_characters", "nineteen_characters"),
            ("twenty_characters_ab", "twenty_charact_"),
            ("with-dash", "with_dash_"),
            ("é", "__"),
        ];
        for (metric, expected) in table {
            let name = source_name(metric);
            assert!(name.starts_with(expected) && name.len() <= SOURCE_CHARS_MAX, "{metric} gave {name}");
            assert_eq!(name == metric, expected == metric);
        }
    }

    #[test]
    fn no_two_sources_of_a_file_share_a_name() {
        let names = source_names(["same_name_for_long_metrics", "same_name_for_long_metrics", "up"]);
        assert_ne!(names[0], names[1]);
        assert_eq!(names[2], "up");
    }

    #[test]
    fn a_job_name_that_would_leave_its_folder_is_no_job_name() {
        for name in ["", "..", ".x", "a/b", "A", "a%b", &"a".repeat(81)] {
            assert!(!is_job_name(name), "{name}");
        }
        assert!(is_job_name("pop@mx1.example.org-25"));
    }
}
