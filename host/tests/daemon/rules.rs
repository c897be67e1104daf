//! Rules of every kind, on what a program says: each raises an alarm when what it looks at comes, and clears it when that is over.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{House, plugin_library, until};

const SOON: Duration = Duration::from_secs(30);

/// A house whose one job tells what is in a file, every second.
struct Told {
    house: House,
    file: PathBuf,
}

impl Told {
    fn new(rules: &str) -> Self {
        let house = House::new("");
        assert!(plugin_library("exec").is_file());
        let file = house.folder().join("told");
        let told = Self { house, file };
        told.tell("");
        told.rules(rules);
        told.house.add_to_main("[host_alarms.disk_low]\nenabled = false\n");
        told
    }

    /// Has these rules beside the job.
    fn rules(&self, rules: &str) {
        let path = self.file.display();
        let job = format!(
            "[[job]]\nname = \"spool\"\nagent = \"exec\"\nevery = \"1s\"\nlabels = {{ site = \"paris\" }}\n\
             config = {{ argv = [\"/bin/cat\", \"{path}\"], format = \"json-lines\", files = [\"{path}\"] }}\n"
        );
        self.house.schedule(&(job + rules));
    }

    /// Has the program say something from now on, all of it or nothing.
    fn tell(&self, lines: &str) {
        let new = self.file.with_extension("new");
        // A run of which nothing is understood fails.
        fs::write(&new, format!("{{\"metric\": \"fine\", \"value\": 1}}\n{lines}")).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    fn waiting(&self, deferred: u32, active: u32) {
        let line = |queue: &str, value: u32| {
            format!("{{\"metric\": \"queue_size\", \"value\": {value}, \"labels\": {{\"queue\": \"{queue}\"}}}}\n")
        };
        self.tell(&(line("deferred", deferred) + &line("active", active)));
    }

    fn alarm(&self, rule: &str) -> Option<Value> {
        let said = self.house.run(&["alarms", "list", "--rule", rule, "--json"]).ok();
        serde_json::from_str::<Value>(&said).unwrap().as_array().unwrap().first().cloned()
    }

    /// What a replay of the last minutes says of a rule, held to what the alarms that there were say of it: raised and cleared at those seconds.
    fn replays(&self, rule: &str) {
        // What came within the second that is not over is not stored to its end yet.
        let is_told = || self.replays_otherwise(rule).is_none().then_some(());
        until(SOON, is_told).unwrap_or_else(|| panic!("{}", self.replays_otherwise(rule).unwrap_or_default()));
    }

    fn replays_otherwise(&self, rule: &str) -> Option<String> {
        let parsed = |words: &[&str]| serde_json::from_str::<Value>(&self.house.run(words).ok()).unwrap();
        let was = parsed(&["alarms", "list", "--rule", rule, "--state", "all", "--json"]);
        let replay = parsed(&["rules", "replay", rule, "--from", "now-10m", "--json"]);
        let seconds = |ns: &Value| ns.as_i64().map(|ns| ns / 1_000_000_000);
        let mut was: Vec<_> = was.as_array().unwrap().iter().map(|one| (seconds(&one["raised_ns"]), seconds(&one["cleared_ns"]))).collect();
        was.sort_unstable();
        let told: Vec<_> =
            replay["alarms"].as_array().unwrap().iter().map(|one| (one["raised"].as_i64(), one["cleared"].as_i64())).collect();
        let near = |a: Option<i64>, b: Option<i64>| a.is_some() == b.is_some() && a.zip(b).is_none_or(|(a, b)| (a - b).abs() <= 5);
        let alike = was.iter().zip(&told).all(|(was, told)| near(was.0, told.0) && near(was.1, told.1));
        let is_told = !was.is_empty() && was.len() == told.len() && alike;
        (!is_told).then(|| format!("{rule} was {was:?}, and is told as {replay}"))
    }

    /// Waits for an alarm of a rule that stands so.
    fn alarm_is(&self, rule: &str, stage: &str) -> Value {
        let found = until(SOON, || self.alarm(rule).filter(|alarm| alarm["stage"] == stage));
        found.unwrap_or_else(|| panic!("{rule} is not {stage}: {:?}", self.alarm(rule)))
    }
}

#[test]
fn changes_rates_and_expressions_raise_and_clear() {
    let told = Told::new(
        "[[rule]]\nname = \"grows\"\nseries = 'queue_size{queue=\"deferred\"}'\nmajor = \"change > 50 in 3s\"\n\
         [[rule]]\nname = \"fast\"\nseries = 'queue_size{queue=\"deferred\"}'\nminor = \"> 1000/min\"\n\
         [[rule]]\nname = \"share\"\nexpression = \"deferred / (deferred + active)\"\nmajor = \"> 50%\"\n\
         series = { deferred = 'queue_size{queue=\"deferred\"}', active = 'queue_size{queue=\"active\"}' }\n\
         [[rule]]\nname = \"gone\"\nseries = 'queue_size{queue=\"deferred\"}'\nmajor = \"absent 4s\"\n",
    );
    told.waiting(10, 40);
    let daemon = told.house.start();
    let known = || told.house.run(&["jobs", "--json"]).ok().contains("\"up\"").then_some(());
    until(SOON, known).expect("it is measured");
    std::thread::sleep(Duration::from_secs(5));
    for rule in ["grows", "fast", "share"] {
        assert_eq!(told.alarm(rule), None);
    }
    told.waiting(100, 40);
    let grows = told.alarm_is("grows", "active");
    let text = grows["text"].as_str().unwrap();
    assert!(text.starts_with("queue_size{queue=\"deferred\"} of spool changed by +90"), "{text}");
    let share = told.alarm_is("share", "active");
    let text = share["text"].as_str().unwrap();
    assert!(text.contains("of spool is 71.4 %, > 50%; deferred 100") && text.contains("active 40"), "{text}");
    assert_eq!((share["job"].as_str(), &share["labels"][0]), (Some("spool"), &serde_json::json!(["site", "paris"])), "{share}");
    // It goes up no more.
    told.alarm_is("fast", "cleared");
    told.alarm_is("grows", "cleared");
    let explained = told.house.run(&["alarms", "explain", &share["number"].to_string()]).ok();
    assert!(explained.contains("rule share on deferred / (deferred + active) with deferred = queue_size"), "{explained}");
    assert!(explained.contains("DEFERRED") && explained.contains("0.714"), "what it was calculated from is told: {explained}");
    // What is not known is not well.
    told.tell("");
    told.alarm_is("gone", "active");
    assert_eq!(told.alarm("share").unwrap()["stage"], "active");
    told.waiting(1, 40);
    told.alarm_is("share", "cleared");
    told.alarm_is("gone", "cleared");
    // A job that is paused gives nothing, and is not missed: neither now nor in the past.
    told.house.run(&["jobs", "pause", "spool"]).ok();
    std::thread::sleep(Duration::from_secs(8));
    told.house.run(&["jobs", "resume", "spool"]).ok();
    let again = || told.house.run(&["status"]).ok().contains("spool").then_some(());
    until(SOON, again).expect("it is measured again");
    std::thread::sleep(Duration::from_secs(3));
    for rule in ["share", "gone", "grows"] {
        told.replays(rule);
    }
    assert!(daemon.stop().status.success());
}

#[test]
fn events_raise_by_what_they_say_and_how_many_they_are() {
    let told = Told::new(
        "[[rule]]\nname = \"held\"\nevent = 'held{site=\"paris\",text=~\".*room.*\"}'\ncleared_by = 'released'\n\
         [[rule]]\nname = \"many\"\nevent = '{job=\"spool\",code=~\"odd.*\"}'\nminor = \">= 3 in 8s\"\n\
         [[job.threshold]]\nname = \"short\"\nevent = \"held\"\nquiet = \"3s\"\nminor = \">= 1 in 3s\"\n"
            .replace("quiet = \"3s\"\n", "")
            .as_str(),
    );
    let daemon = told.house.start();
    let event =
        |code: &str, severity: &str, text: &str| format!("{{\"event\": \"{code}\", \"severity\": \"{severity}\", \"text\": \"{text}\"}}\n");
    told.tell(&(event("held", "warning", "for no reason") + &event("odd_one", "minor", "it is odd")));
    let many = told.alarm_is("many", "active");
    let text = many["text"].as_str().unwrap();
    assert!(text.contains(" events in 8 s of spool, >= 3 in 8s; the last is odd_one: it is odd"), "{text}");
    assert_eq!(told.alarm("held"), None);
    told.alarm_is("short", "active");
    told.tell(&event("held", "major", "no room left"));
    let held = told.alarm_is("held", "active");
    assert_eq!(
        (held["severity"].as_str(), held["text"].as_str(), held["series"].as_str()),
        (Some("major"), Some("held of spool: no room left"), Some("events{code=\"held\"}")),
        "{held}"
    );
    let explained = told.house.run(&["alarms", "explain", &held["number"].to_string()]).ok();
    assert!(explained.contains("rule held on events held{site=\"paris\"") && explained.contains("over after"), "{explained}");
    told.tell("");
    told.alarm_is("many", "cleared");
    told.alarm_is("short", "cleared");
    assert_eq!(told.alarm("held").unwrap()["stage"], "active", "it is quiet, and nobody said that it is over");
    told.tell(&event("released", "indeterminate", "there is room"));
    told.alarm_is("held", "cleared");
    for rule in ["held", "many", "short"] {
        told.replays(rule);
    }
    let said = told.house.run(&["rules", "replay", "held", "--from", "now-10m"]).ok();
    assert!(said.contains(" of the jobs that it listens to, or of the host, were stored"), "{said}");
    let said = told.house.run(&["rules", "replay", "held", "--from", "-90d", "--to", "-60d"]);
    assert!(said.code == Some(2) && said.err.contains("events are kept for 30 days, and that time is before them"), "{said:?}");
    assert!(daemon.stop().status.success());
}

/// Weeks of history, as rrdtool reads and writes them: a value far from what was usual at this hour raises, one near it does not.
#[test]
fn what_is_unusual_by_weeks_of_stored_history_raises() {
    let told = Told::new("[[job.threshold]]\nmetric = \"waiting\"\nminor = \"outside 3 deviations\"\nraise_after = 2\n");
    let say = |value: f64| told.tell(&format!("{{\"metric\": \"waiting\", \"value\": {value}, \"unit\": \"messages\"}}\n"));
    say(100.0);
    let daemon = told.house.start();
    let file = told.house.data().join("series/spool/_.rrd");
    let dumped = || {
        let out = Command::new("rrdtool")
            .arg("dump")
            .arg(&file)
            .env("TZ", "UTC")
            .output()
            .expect("rrdtool is missing: install the package rrdtool");
        String::from_utf8(out.stdout).ok().filter(|dump| dump.contains("<name> waiting </name>"))
    };
    until(SOON, dumped).expect("the series has a file");
    assert!(daemon.stop().status.success());
    fs::write(&file, restored(&filled(&dumped().unwrap()))).unwrap();

    let daemon = told.house.start();
    // Learned at once, and judged each second.
    std::thread::sleep(Duration::from_secs(9));
    assert_eq!(told.alarm("waiting"), None, "a hundred is usual");
    say(400.0);
    let alarm = told.alarm_is("waiting", "active");
    let text = alarm["text"].as_str().unwrap();
    assert!(text.contains("waiting of spool is 400 messages, outside 3 deviations; usual now "), "{text}");
    say(101.0);
    told.alarm_is("waiting", "cleared");
    assert!(daemon.stop().status.success());
}

/// Writes into the hours of a dump what was usual: a hundred, a little more or less.
fn filled(dump: &str) -> String {
    let sources: Vec<&str> = dump.lines().filter_map(|line| line.trim().strip_prefix("<name> ")?.strip_suffix(" </name>")).collect();
    let column = sources.iter().position(|name| *name == "waiting").unwrap();
    let step: i64 = between(dump, "<step>", "</step>").unwrap().parse().unwrap();
    let (mut is_hourly, mut filled) = (false, String::new());
    for line in dump.lines() {
        if let Some(rows) = between(line, "<pdp_per_row>", "</pdp_per_row>") {
            is_hourly = rows.parse::<i64>().unwrap() * step == 3_600;
        }
        let time: Option<i64> = between(line, " / ", " -->").and_then(|time| time.parse().ok());
        match time.filter(|_| is_hourly && line.contains("<row>")) {
            Some(time) => {
                let value = 100.0 + ((time / 3_600) % 7 - 3) as f64;
                let (head, row) = line.split_once("<row>").unwrap();
                let mut values: Vec<String> =
                    row.trim_end_matches("</row>").split("</v>").filter(|v| !v.is_empty()).map(str::to_owned).collect();
                values[column] = format!("<v>{value:e}");
                filled += &format!("{head}<row>{}</row>\n", values.iter().map(|v| format!("{v}</v>")).collect::<String>());
            }
            None => filled += &format!("{line}\n"),
        }
    }
    filled
}

/// A file of a dump.
fn restored(dump: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (xml, rrd) = (folder.path().join("dump.xml"), folder.path().join("new.rrd"));
    fs::File::create(&xml).unwrap().write_all(dump.as_bytes()).unwrap();
    let done = Command::new("rrdtool").arg("restore").args([&xml, &rrd]).stdout(Stdio::null()).status().unwrap();
    assert!(done.success());
    fs::read(rrd).unwrap()
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found.trim())
}

#[test]
fn a_series_without_a_value_is_unknown_and_a_new_rule_begins_with_what_is_stored() {
    let full = "[[rule]]\nname = \"full\"\nseries = 'queue_size{queue=\"deferred\"}'\nmajor = \"> 50\"\n";
    let told = Told::new(full);
    told.waiting(10, 40);
    let daemon = told.house.start();
    let series = |rule: &str| -> Value {
        let said = told.house.run(&["rules", "show", rule, "--json"]).ok();
        serde_json::from_str::<Value>(&said).unwrap()["series"][0].clone()
    };
    let is = |rule: &str, state: &str| {
        let found = until(SOON, || Some(series(rule)).filter(|one| one["state"] == state));
        found.unwrap_or_else(|| panic!("{rule} is not {state}: {:?}", series(rule)))
    };
    is("full", "ok");
    told.waiting(60, 40);
    let trouble = is("full", "trouble");
    assert_eq!(
        (trouble["severity"].as_str(), trouble["series"].as_str()),
        (Some("major"), Some("queue_size{queue=\"deferred\"}")),
        "{trouble}"
    );
    let counted = |state: &str| {
        let lines = ["rules", "rule_series"].map(|family| format!("watchpost_host_{family}{{state=\"{state}\"}} 1\n"));
        let shown = || daemon.get("/metrics").ok().filter(|answer| lines.iter().all(|line| answer.body.contains(line)));
        assert!(until(SOON, shown).is_some(), "/metrics does not say that one is {state}");
    };
    counted("trouble");
    told.tell("");
    // A run that meets the file while it is replaced fails, and says so.
    let is_known = || series("full")["why"].as_str().is_some_and(|why| why.contains("recorded no `queue_size`")).then_some(());
    until(SOON, is_known).unwrap_or_else(|| panic!("{:?}", series("full")));
    assert_eq!(series("full")["state"], "unknown");
    counted("unknown");
    assert_eq!(told.alarm("full").unwrap()["stage"], "active", "what is not known is not over");
    let listed = told.house.run(&["rules", "list", "--series"]).ok();
    assert!(listed.contains("RULE") && listed.contains("unknown"), "{listed}");
    let wrong = told.house.run(&["rules", "show", "ful"]);
    assert!(wrong.err.contains("did you mean `full`?"), "{}", wrong.err);
    // A minute of it is stored: a rule that looks back at as much knows it at once.
    told.waiting(10, 40);
    is("full", "ok");
    std::thread::sleep(Duration::from_secs(60));
    told.rules(
        &(full.to_owned() + "[[rule]]\nname = \"grows\"\nseries = 'queue_size{queue=\"deferred\"}'\nmajor = \"change > 500 in 50s\"\n"),
    );
    let begun = std::time::Instant::now();
    told.house.run(&["reload"]).ok();
    is("grows", "ok");
    assert!(begun.elapsed() < Duration::from_secs(45), "it knew no sooner than without what is stored: {:?}", begun.elapsed());
    assert!(daemon.stop().status.success());
}
