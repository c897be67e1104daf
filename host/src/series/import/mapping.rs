//! A mapping: which data sources of which files become which series.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::layout::Layout;

/// Entries of a mapping, at most.
const ENTRIES_MAX: usize = 1_000;

/// One entry: a data source of some files, and the series that it becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands: `mapping.toml:3`.
    pub place: String,
    /// A path, or a pattern with `*`, `?` and `[…]`; absolute.
    pub files: String,
    /// The data source; the only one, if none is named.
    pub source: Option<String>,
    /// The job; may hold parts of the file's path in braces.
    pub job: String,
    /// The metric of the job.
    pub metric: String,
    /// The metric's labels; values may hold parts of the path as well.
    pub labels: BTreeMap<String, String>,
    /// Whose files they are.
    pub layout: Option<Layout>,
    /// In what the source counts.
    pub unit: Option<String>,
    /// What one of the source is worth in the metric's unit.
    pub factor: Option<f64>,
}

/// Why a file is no mapping.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// It is no TOML, or has other keys.
    #[error("{file}: {message}")]
    Shape {
        /// The file.
        file: String,
        /// Where and why.
        message: String,
    },
    /// It asks for nothing, or for too much.
    #[error("{file} has {entries} entries; a mapping has at least one [[import]] and at most {ENTRIES_MAX}")]
    Entries {
        /// The file.
        file: String,
        /// How many it has.
        entries: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    import: Vec<Spanned<WrittenEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    files: String,
    source: Option<String>,
    job: String,
    metric: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    layout: Option<Layout>,
    unit: Option<String>,
    factor: Option<f64>,
}

/// Reads the entries of a mapping; paths in it are relative to the folder of its file.
pub fn read(file: &Path, text: &str) -> Result<Vec<Entry>, MappingError> {
    let shown = file.display().to_string();
    let written: Written =
        toml::from_str(text).map_err(|error| MappingError::Shape { file: shown.clone(), message: crate::in_one_line(text, &error) })?;
    let entries = written.import.len();
    if !(1..=ENTRIES_MAX).contains(&entries) {
        return Err(MappingError::Entries { file: shown, entries });
    }
    let folder = file.parent().unwrap_or(Path::new(""));
    let entry = |written: Spanned<WrittenEntry>| {
        let line = text.get(..written.span().start).map_or(0, |before| before.matches('\n').count()) + 1;
        let WrittenEntry { files, source, job, metric, labels, layout, unit, factor } = written.into_inner();
        let files = std::path::absolute(folder.join(&files)).map_or(files, |path| path.to_string_lossy().into_owned());
        Entry { place: format!("{shown}:{line}"), files, source, job, metric, labels, layout, unit, factor }
    };
    Ok(written.import.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_says_where_it_is_wrong() {
        let read = |text| read(Path::new("/etc/m.toml"), text);
        for (text, expected) in [
            ("", "/etc/m.toml has 0 entries"),
            ("[[import]]\njob = \"a\"\nmetric = \"m\"", "missing field `files`"),
            ("[[import]]\nfiles = \"a\"\njob = \"a\"\nmetrik = \"m\"", "unknown field `metrik`"),
            ("[[import]]\nfiles = \"a\"\njob = \"a\"\nmetric = \"m\"\nlayout = \"cactus\"", "unknown variant `cactus`"),
            ("[[import]]\nfiles = 3", "line 2, column 9"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with("/etc/m.toml") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn paths_are_relative_to_the_file_and_entries_know_their_line() {
        let text = "# ours\n[[import]]\nfiles = \"rrd/*.rrd\"\njob = \"a\"\nmetric = \"m\"\n\n[[import]]\nfiles = \"/b.rrd\"\njob = \"b\"\nmetric = \"m\"";
        let entries = read(Path::new("/etc/m.toml"), text).unwrap();
        let told: Vec<_> = entries.iter().map(|entry| (entry.place.as_str(), entry.files.as_str())).collect();
        assert_eq!(told, [("/etc/m.toml:2", "/etc/rrd/*.rrd"), ("/etc/m.toml:7", "/b.rrd")]);
    }
}
