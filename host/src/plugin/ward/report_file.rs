//! A crash, written down for people: one text file for each, the latest of them kept.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use crate::{log::instant_of, plugin::source::Source};

/// Reports that are kept.
const REPORTS_MAX: usize = 200;

/// What is known of a worker's death; all text in it is masked.
pub(in crate::plugin) struct CrashReport {
    pub(in crate::plugin) at: SystemTime,
    pub(in crate::plugin) plugin: String,
    pub(in crate::plugin) source: Arc<Source>,
    pub(in crate::plugin) job: Option<String>,
    /// Lines `key: value` that only who buried the worker knows.
    pub(in crate::plugin) facts: Vec<(&'static str, String)>,
    /// Texts of several lines, each under its own head.
    pub(in crate::plugin) texts: Vec<(&'static str, String)>,
}

impl CrashReport {
    /// Names its file, in the folder of all reports.
    pub(in crate::plugin) fn name(&self) -> String {
        let time = instant_of(self.at).replace(':', "-");
        let job = self.job.as_ref().map(|job| format!("-{job}")).unwrap_or_default();
        let name: String = format!("{time}-{}{job}", self.plugin);
        // A library's file may be called anything.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-._@".contains(c) { c } else { '_' };
        format!("{}.txt", name.chars().map(plain).take(200).collect::<String>())
    }

    fn text(&self) -> String {
        let digest = self.source.digest().unwrap_or("unknown");
        let head = [
            ("time", instant_of(self.at)),
            ("plugin", self.plugin.clone()),
            ("library", self.source.path.display().to_string()),
            ("sha256", digest.to_owned()),
            ("job", self.job.clone().unwrap_or_else(|| "none to blame".into())),
        ];
        let host = ("host", format!("watchpost {}", env!("CARGO_PKG_VERSION")));
        let lines =
            head.iter().chain(&self.facts).chain([&host]).map(|(key, value)| format!("{:<12}{}\n", format!("{key}:"), plain(value)));
        let mut text: String = std::iter::once("watchpost crash report\n\n".to_owned()).chain(lines).collect();
        for (head, body) in &self.texts {
            let body = body.lines().map(|line| format!("  {}\n", plain(line))).collect::<String>();
            let body = if body.is_empty() { "  (nothing)\n".to_owned() } else { body };
            text.push_str(&format!("\n{head}:\n{body}"));
        }
        text
    }
}

/// One line without what a terminal would obey.
fn plain(line: &str) -> String {
    crate::plain(line)
}

/// The folder of all reports.
pub(super) struct Reports(PathBuf);

impl Reports {
    pub(super) fn of(data: &Path) -> Self {
        Self(data.join("crashes"))
    }

    /// Writes one, and drops the oldest beyond those that are kept.
    pub(super) fn write(&self, report: &CrashReport) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        // Whole or not at all: somebody may wait for it.
        let draft = self.0.join("draft");
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(report.text().as_bytes())?;
        fs::rename(draft, self.0.join(report.name()))?;
        self.prune()
    }

    fn prune(&self) -> io::Result<()> {
        let names = fs::read_dir(&self.0)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What somebody else left there begins with no year.
        let mut names: Vec<String> =
            names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit()) && name.ends_with(".txt")).collect();
        names.sort_unstable();
        names.iter().rev().skip(REPORTS_MAX).try_for_each(|name| fs::remove_file(self.0.join(name)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_latest_reports_are_kept_and_what_is_none_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let reports = Reports::of(data.path());
        let source = Arc::new(Source::new(Path::new("/nowhere/liba.so"), Path::new("/nowhere/liba.so")).unwrap());
        for second in 0..REPORTS_MAX as u64 + 7 {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            let (facts, texts) = (vec![("how", "died\u{1b}[2J".to_owned())], vec![("last dialogue", "> EHLO\n< 250\n".to_owned())]);
            let report = CrashReport { at, plugin: "a/../b".into(), source: source.clone(), job: Some("mx@1".into()), facts, texts };
            reports.write(&report).unwrap();
            fs::write(data.path().join("crashes/notes.txt"), "mine").unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(data.path().join("crashes")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(
            (names.len(), names[0].as_str(), names[REPORTS_MAX].as_str()),
            (REPORTS_MAX + 1, "1970-01-01T00-00-07.000Z-a_.._b-mx@1.txt", "notes.txt")
        );
        let text = fs::read_to_string(data.path().join("crashes").join(&names[0])).unwrap();
        assert!(text.contains("job:        mx@1\n") && text.contains("\nlast dialogue:\n  > EHLO\n  < 250\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
