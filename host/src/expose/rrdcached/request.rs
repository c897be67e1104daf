//! A line that a front end sent, taken apart.

use std::path::PathBuf;

use crate::series::archive::Consolidation;

/// How far back rows are fetched when nothing is said of it: a day.
const SPAN: i64 = 86_400;
/// Commands that rrdcached knows and that change something, or tell of a cache that we do not have.
const NOT_OURS: [&str; 13] =
    ["BATCH", "CREATE", "DUMP", "FETCHBIN", "FORGET", "HELP", "LIST", "PENDING", "QUEUE", "RESUMEALL", "STATS", "SUSPENDALL", "UPDATE"];

/// What a front end wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Flush(PathBuf),
    FlushAll,
    Fetch {
        file: PathBuf,
        consolidation: Consolidation,
        from: Option<i64>,
        to: Option<i64>,
        /// Data sources by name; all if there is none.
        sources: Vec<String>,
    },
    Info(PathBuf),
    First(PathBuf, usize),
    Last(PathBuf),
    Ping,
    Quit,
}

impl Request {
    /// Takes a line apart, its end left out.
    ///
    /// Errors: what is wrong with it, for who sent it.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let line = std::str::from_utf8(line).map_err(|_| "a line is text in UTF-8")?.trim_end_matches('\r');
        let mut words = words(line)?.into_iter();
        let command = words.next().unwrap_or_default().to_ascii_uppercase();
        let rest: Vec<String> = words.collect();
        match (command.as_str(), rest.as_slice()) {
            ("FLUSH", [file]) => Ok(Self::Flush(file.into())),
            ("FLUSHALL", []) => Ok(Self::FlushAll),
            ("FETCH", [file, consolidation, more @ ..]) => fetch(file, consolidation, more),
            ("INFO", [file]) => Ok(Self::Info(file.into())),
            ("FIRST", [file]) => Ok(Self::First(file.into(), 0)),
            ("FIRST", [file, archive]) => {
                let archive = archive.parse().map_err(|_| format!("{archive} is no number of an archive"))?;
                Ok(Self::First(file.into(), archive))
            }
            ("LAST", [file]) => Ok(Self::Last(file.into())),
            ("PING", []) => Ok(Self::Ping),
            ("QUIT", []) => Ok(Self::Quit),
            ("FLUSH" | "FLUSHALL" | "FETCH" | "INFO" | "FIRST" | "LAST" | "PING" | "QUIT", _) => Err(format!("Usage: {}", usage(&command))),
            (known, _) if NOT_OURS.contains(&known) => Err(format!("Permission denied: {known} is not served, series are only read here")),
            _ => Err(format!("Unknown command: {}", crate::plain(&command))),
        }
    }
}

/// The span that is meant: times from 1 on are instants, others count back, the beginning from the end and the end from now.
pub(super) fn span(from: Option<i64>, to: Option<i64>, now: i64) -> (i64, i64) {
    let instant = |time: Option<i64>, usual: i64, before: i64| match time {
        None => before.saturating_add(usual),
        Some(back) if back <= 0 => before.saturating_add(back),
        Some(instant) => instant,
    };
    let to = instant(to, 0, now);
    (instant(from, -SPAN, to), to)
}

fn fetch(file: &str, consolidation: &str, more: &[String]) -> Result<Request, String> {
    let consolidation = Consolidation::from_name(&consolidation.to_ascii_uppercase())
        .ok_or_else(|| format!("Cannot parse the consolidation function {}", crate::plain(consolidation)))?;
    let time = |word: &String| {
        word.parse::<i64>().map_err(|_| format!("Cannot parse time {}: seconds since 1970 belong there", crate::plain(word)))
    };
    let mut more = more.iter();
    let from = more.next().map(time).transpose()?;
    let to = more.next().map(time).transpose()?;
    Ok(Request::Fetch { file: file.into(), consolidation, from, to, sources: more.cloned().collect() })
}

fn usage(command: &str) -> &'static str {
    match command {
        "FLUSH" => "FLUSH <filename>",
        "FLUSHALL" => "FLUSHALL",
        "FETCH" => "FETCH <file> <CF> [<start> [<end>] [<ds> ...]]",
        "INFO" => "INFO <filename>",
        "FIRST" => "FIRST <filename> [<rra index>]",
        "LAST" => "LAST <filename>",
        "PING" => "PING",
        _ => "QUIT",
    }
}

/// Splits at spaces that no backslash precedes.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut characters) = (Vec::new(), String::new(), line.chars());
    while let Some(character) = characters.next() {
        match character {
            ' ' if word.is_empty() => {}
            ' ' => words.push(std::mem::take(&mut word)),
            '\\' => word.push(characters.next().ok_or("a backslash ends the line")?),
            other => word.push(other),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<Request, &str>) {
        assert_eq!(Request::parse(line.as_bytes()), expected.map_err(str::to_owned), "{line}");
    }

    fn fetch_of(from: Option<i64>, to: Option<i64>, sources: &[&str]) -> Request {
        let sources = sources.iter().map(|&name| name.to_owned()).collect();
        Request::Fetch { file: "/a/_.rrd".into(), consolidation: Consolidation::Max, from, to, sources }
    }

    #[test]
    fn what_rrdtool_sends_is_understood() {
        check("flush /a/_.rrd", Ok(Request::Flush("/a/_.rrd".into())));
        check("flushall", Ok(Request::FlushAll));
        check("info /a/_.rrd", Ok(Request::Info("/a/_.rrd".into())));
        check("first /a/_.rrd 2", Ok(Request::First("/a/_.rrd".into(), 2)));
        check("last /a/_.rrd\r", Ok(Request::Last("/a/_.rrd".into())));
        check("PING", Ok(Request::Ping));
        check("FETCH /a/_.rrd MAX 100 -5", Ok(fetch_of(Some(100), Some(-5), &[])));
        check("FETCH /a/_.rrd max", Ok(fetch_of(None, None, &[])));
        check("FETCH /a/_.rrd MAX 1 2 up loss", Ok(fetch_of(Some(1), Some(2), &["up", "loss"])));
        check("  LAST  /a\\ b\\\\c ", Ok(Request::Last("/a b\\c".into())));
    }

    #[test]
    fn what_changes_something_or_is_nonsense_is_refused_with_the_reason() {
        check("UPDATE /a/_.rrd N:1", Err("Permission denied: UPDATE is not served, series are only read here"));
        check("batch", Err("Permission denied: BATCH is not served, series are only read here"));
        check("", Err("Unknown command: "));
        check("GET\u{1b}[2J / HTTP/1.1", Err("Unknown command: GET\u{fffd}[2J"));
        check("LAST", Err("Usage: LAST <filename>"));
        check("LAST /a b", Err("Usage: LAST <filename>"));
        check("FIRST /a x", Err("x is no number of an archive"));
        check("FETCH /a SUM", Err("Cannot parse the consolidation function SUM"));
        check("FETCH /a MAX now-1d", Err("Cannot parse time now-1d: seconds since 1970 belong there"));
        check("LAST \\", Err("a backslash ends the line"));
        assert_eq!(Request::parse(b"LAST \xff"), Err("a line is text in UTF-8".to_owned()));
    }

    #[test]
    fn times_that_are_no_instants_count_back() {
        for (from, to, expected) in [
            (None, None, (1_000_000 - SPAN, 1_000_000)),
            (Some(-60), None, (999_940, 1_000_000)),
            (Some(-60), Some(-40), (999_900, 999_960)),
            (Some(0), Some(500), (500, 500)),
            (Some(100), Some(500), (100, 500)),
            (Some(i64::MIN), Some(-1), (i64::MIN + 999_999, 999_999)),
        ] {
            assert_eq!(span(from, to, 1_000_000), expected, "{from:?} {to:?}");
        }
    }
}
