//! Whose files they are: which parts a path has, and in what a data source counts.
//!
//! Source: collectd-rrdtool's paths and types.db(5); smokeping_config(5), "Database"; Cacti's data source names are their owner's.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use watchpost_plugin_api::Unit;

use crate::series::header::Foreign;

/// A program that keeps RRD files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `host/plugin-instance/type-instance.rrd`.
    Collectd,
    /// `section/target.rrd`.
    Smokeping,
    /// `host_source_number.rrd`, or `host/number.rrd`.
    Cacti,
}

/// In what collectd's types count, where more than one unit would do.
const OF_TYPES: [(&str, &str); 9] = [
    ("ping", "ms"),
    ("ping_stddev", "ms"),
    ("ping_droprate", "ratio"),
    ("response_time", "s"),
    ("percent", "%"),
    ("bytes", "B"),
    ("memory", "B"),
    ("df_complex", "B"),
    ("if_octets", "B"),
];

impl Layout {
    /// In what a data source counts, as this program has it; nothing if that is the metric's own matter.
    pub(super) fn unit(self, path: &Path, source: &str, file: &Foreign, metric: Unit) -> Option<Counts> {
        match self {
            Self::Collectd => {
                let parts = parts(Some(self), path);
                let kind = parts.get("type")?;
                OF_TYPES.iter().find(|(known, _)| known == kind).map(|(_, unit)| Counts::Unit((*unit).into()))
            }
            // Lost packets of so many, which are its other sources.
            Self::Smokeping if source == "loss" && metric == Unit::Ratio => {
                let pings = file.sources.iter().filter(|source| is_ping(&source.name)).count();
                #[expect(clippy::cast_precision_loss, reason = "data sources of a file")]
                (pings > 0).then(|| Counts::Factor(1.0 / pings as f64))
            }
            Self::Smokeping => (is_ping(source) || ["median", "uptime"].contains(&source)).then(|| Counts::Unit("s".into())),
            Self::Cacti => None,
        }
    }
}

/// In what a data source counts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Counts {
    /// In this unit.
    Unit(String),
    /// So much of the metric's unit is one.
    Factor(f64),
}

fn is_ping(source: &str) -> bool {
    source.strip_prefix("ping").is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The parts of a path that a mapping may name in braces.
pub(super) fn parts(layout: Option<Layout>, path: &Path) -> BTreeMap<&'static str, String> {
    let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let (name, folder) = (text(path.file_stem()), text(path.parent().and_then(Path::file_name)));
    let halves = |whole: &str| whole.split_once('-').map_or((whole.to_owned(), String::new()), |(one, rest)| (one.into(), rest.into()));
    let mut parts = BTreeMap::from([("name", name.clone()), ("folder", folder.clone())]);
    if layout == Some(Layout::Collectd) {
        let ((plugin, plugin_instance), (kind, type_instance)) = (halves(&folder), halves(&name));
        let host = text(path.ancestors().nth(2).and_then(Path::file_name));
        parts.extend([
            ("host", host),
            ("plugin", plugin),
            ("plugin_instance", plugin_instance),
            ("type", kind),
            ("type_instance", type_instance),
        ]);
    }
    parts
}

/// Puts parts of a path into a text; a name in braces that is none is given back.
pub(super) fn filled(text: &str, parts: &BTreeMap<&'static str, String>) -> Result<String, String> {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { return Err(after.into()) };
        done.push_str(before);
        done.push_str(parts.get(name).ok_or(name)?);
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

/// What the name of a job makes of a text: lower case, and `-` for what it cannot have.
pub(super) fn as_job_name(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_collectd_has_its_parts() {
        let parts = parts(Some(Layout::Collectd), Path::new("/var/lib/collectd/rrd/mx1.example.org/tail-postfix/queue-deferred-old.rrd"));
        for (text, expected) in [
            ("{host}", "mx1.example.org"),
            ("{plugin}/{plugin_instance}", "tail/postfix"),
            ("{type} of {type_instance}", "queue of deferred-old"),
            ("{folder} {name}", "tail-postfix queue-deferred-old"),
            ("plain", "plain"),
        ] {
            assert_eq!(filled(text, &parts).as_deref(), Ok(expected));
        }
        assert_eq!(filled("a{instance}", &parts), Err("instance".into()));
        assert_eq!(filled("a{host", &parts), Err("host".into()));
    }

    #[test]
    fn a_host_becomes_part_of_a_job_name() {
        assert_eq!(as_job_name("ping-MX1.Example.org/x"), "ping-mx1.example.org-x");
    }
}
