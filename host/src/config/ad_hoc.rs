//! A job of the command line: `--agent A --set key=value …`, in no file and never due.

use std::path::Path;

use toml::de::DeTable;

use super::{
    At, Fault, Faults, Job, Place, Rule,
    job::{self, Checked},
    reader::Field,
    schedule_file::{RawJob, Settings},
    text,
    timing::Almanac,
};
use crate::schedule::UnixTime;

/// How faults name the source; the line is the number of the setting.
const FILE: &str = "--set";

/// How faults name the agent's argument.
const AGENT: &str = "--agent";

/// The interval it never sees: wide enough for the usual deadline.
const EVERY: &str = "1m";

/// Makes the job of `--agent A --set key=value …`, named after its agent.
///
/// Shape: a value is what TOML takes it for (`port=25`, `submit=true`, `password.file=secret`), else a text (`host=mx1`).
/// Errors: every setting that is none; unknown keys and wrong values show in [`bind`](super::bind).
pub fn ad_hoc(agent: &str, settings: &[String], now: UnixTime) -> Result<Job, Faults> {
    let mut faults = Faults::default();
    let lines: Vec<_> = settings.iter().zip(1..).filter_map(|(setting, line)| as_toml(setting, line, &mut faults)).collect();
    if faults.stop() {
        return Err(faults);
    }
    let config = text::parse(Path::new(FILE), lines.join("\n").as_bytes(), &mut faults);
    // Neither agent nor name nor interval stand in a line of anything.
    let place = Place::whole(AGENT);
    let given = |text: &str| Field::Given(At { value: text.to_owned(), place: place.clone() });
    let config = config.map(|config| Field::Given(At { place: place.clone(), ..config })).unwrap_or_default();
    let settings = Settings { agent: given(agent), every: given(EVERY), config, ..Settings::default() };
    let (name, thresholds) = (given(agent), Vec::new());
    let raw = RawJob { place: place.clone(), name, was: Field::Absent, targets: Field::Absent, thresholds, settings };
    match job::check(raw, &Settings::default(), &mut Almanac::at(now), &mut faults).pop() {
        Some(Checked::Sound(job)) if !faults.stop() => Ok(*job),
        _ => Err(faults.sorted()),
    }
}

/// Writes a setting as one line of TOML.
fn as_toml(setting: &str, line: u32, faults: &mut Faults) -> Option<String> {
    let Some((key, value)) = setting.split_once('=') else {
        // Not shown: who leaves out the `=` may have written a secret.
        let fault = Fault::new(Rule::SettingIllegal, &Place::at(Path::new(FILE), line, 1), format!("setting {line}: no `=` in it"));
        faults.push(fault.hint("write key=value: --set host=mx1"));
        return None;
    };
    let as_it_is = format!("{key}={value}");
    // A line break would shift the lines that faults are counted by.
    if !value.contains('\n') && DeTable::parse(&as_it_is).is_ok() {
        return Some(as_it_is);
    }
    Some(format!("{key}={}", serde_json::Value::from(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(settings: &[&str]) -> Result<Job, Faults> {
        let settings: Vec<_> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        ad_hoc("smtp", &settings, UnixTime::from_secs(0))
    }

    #[test]
    fn a_value_is_what_toml_takes_it_for_else_a_text() {
        use super::super::text::Data;
        let job = job(&["host=mx1", "port=25", "greeting=say \"hi\"\u{7}\n", "password.file=secret", "to=a=b"]).unwrap();
        let value = |key: &str| job.asks.config.get(key).unwrap().value.clone();
        assert_eq!((job.name.as_str(), job.asks.agent.as_str()), ("smtp", "smtp"));
        assert_eq!((value("host"), value("port")), (Data::Text("mx1".into()), Data::Whole(25)));
        assert_eq!(value("greeting"), Data::Text("say \"hi\"\u{7}\n".into()));
        assert_eq!(value("to"), Data::Text("a=b".into()));
        let Data::Table(password) = value("password") else { panic!("no table") };
        assert_eq!(password.get("file").unwrap().value, Data::Text("secret".into()));
        assert_eq!(job.asks.place_of("port").to_string(), "--set:2:6");
    }

    #[test]
    fn what_is_no_setting_is_told_by_its_number() {
        let shown = |settings: &[&str]| job(settings).unwrap_err().to_string();
        assert!(shown(&["host=mx1", "port"]).contains("--set:2:1"), "{}", shown(&["host=mx1", "port"]));
        assert!(shown(&["a b=1"]).contains("--set:1:"), "{}", shown(&["a b=1"]));
        assert!(shown(&["a=1", "a=2"]).contains("--set:2:"), "{}", shown(&["a=1", "a=2"]));
    }
}
