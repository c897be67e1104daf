//! What can be known before anything runs: `check`, `agents`, `plan`.

use std::{fs, process::Command};

use serde_json::{Value, json};
use watchpost_worker::confine::kernel::gaps;

use crate::{
    harness::{House, agents},
    job, parsed, refused, write_secret,
};

/// Faults of three jobs, each of another sort: keys of ours, and one of the agent's.
const FAULTY: &str = r#"[[job]]
name = "Relay"
agent = "smtp"
evry = "5s"

[[job]]
name = "submission"
agent = "smtp"
every = "5s"
timezone = "Europe/Atlantis"
config = { host = "127.0.0.1" }

[[job]]
name = "smtps"
agent = "smtp"
every = "5s"
config = { hots = "127.0.0.1" }
"#;

#[test]
fn check_tells_every_fault_at_once_and_where_it_is() {
    let house = House::new(FAULTY);
    let file = house.folder().join("jobs.toml");
    let place = |line: u32, column: u32| format!("  --> {}:{line}:{column}", file.display());
    let said = house.run(&["check"]);
    let parts = ["Relay", "did you mean `every`?", "Europe/Atlantis", "did you mean `host`?"];
    let places = [place(2, 8), place(4, 1), place(10, 12), place(17, 12)];
    refused(&said, 2, &parts.into_iter().chain(places.iter().map(String::as_str)).collect::<Vec<_>>());

    let said = house.run(&["check", "--json"]);
    let answer = parsed(&said.out);
    assert_eq!((said.code, &answer["ok"], said.err.as_str()), (Some(2), &false.into(), ""));
    let lines = answer["faults"].as_array().unwrap().iter().map(|fault| fault["line"].as_u64().unwrap());
    assert!([2, 4, 10, 17].iter().all(|line| lines.clone().any(|known| known == *line)), "{answer}");
}

#[test]
fn check_tells_at_once_all_that_an_agent_finds() {
    let job = "[[job]]\nname = \"a\"\nagent = \"smtp\"\nevery = \"5s\"\n\n[job.config]\nhost = \"mx:25\"\nuser = \"u\"\nsubmit = true\n";
    let house = House::new(job);
    let said = house.run(&["check"]);
    let place = |line: u32| format!("  --> {}:{line}:", house.folder().join("jobs.toml").display());
    let parts = ["`host`: holds more than", "`user`: needs `password`", "`submit`: needs `from` and `to`"];
    refused(&said, 2, &parts.into_iter().chain([7, 8, 9].map(place).iter().map(String::as_str)).collect::<Vec<_>>());
}

#[test]
fn check_shows_paths_as_somebody_writes_them_who_stands_beside_the_file() {
    let job = job("login", "every = \"0s\"", 25).replace("port", "password = { file = \"../secrets/../nowhere\" }, port");
    let house = House::new("");
    for folder in ["schedules", "secrets"] {
        fs::create_dir(house.folder().join(folder)).unwrap();
    }
    fs::write(house.folder().join("schedules/a.toml"), job).unwrap();
    let main = format!("plugins = [{:?}]\nschedules = [\"./schedules\"]\n", house.plugins().display().to_string());
    fs::write(house.folder().join("watchpost.toml"), main).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_watchpost")).arg("check").current_dir(house.folder()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("\n  --> schedules/a.toml:4:9\n"), "{said}");
    assert!(said.contains(" cannot read secret file nowhere: No such file or directory\n"), "{said}");
}

#[test]
fn a_configuration_that_is_not_there_has_no_line() {
    let house = House::new("");
    let file = house.folder().join("watchpost.toml");
    fs::remove_file(&file).unwrap();
    for words in [["check"], ["plan"], ["run"]] {
        let said = house.run(&words);
        assert_eq!((said.code, said.err), (Some(2), format!("error: cannot read {}: No such file or directory\n", file.display())));
    }
    let answer = parsed(&house.run(&["check", "--json"]).out);
    let fault = &answer["faults"][0];
    assert_eq!(
        (&fault["file"], &fault["line"], &fault["column"]),
        (&file.to_str().unwrap().into(), &Value::Null, &Value::Null),
        "{answer}"
    );
}

#[test]
fn a_fault_is_an_object_with_its_rule_its_place_and_its_message() {
    let house = House::new(&job("relay", "every = \"5s\"", 25).replace("port", "prot"));
    let said = house.run(&["check", "--json"]);
    let file = house.folder().join("jobs.toml");
    let fault = json!({
        "weight": "error", "rule": "config-key-unknown", "file": file.to_str().unwrap(), "line": 5, "column": 32,
        "message": "`prot`: unknown key of agent `smtp`", "hint": "did you mean `port`?",
    });
    assert_eq!((said.code, &parsed(&said.out)["faults"]), (Some(2), &json!([fault])));
}

#[test]
fn check_tells_what_an_agent_refuses_at_the_key_that_it_refuses() {
    let house = House::new(&(job("one", "every = \"5s\"", 0) + &job("two", "every = \"5s\"", 25).replace("port", "prot")));
    let file = house.folder().join("jobs.toml").display().to_string();
    refused(&house.run(&["check"]), 2, &[&format!("{file}:5:39"), &format!("{file}:10:32"), "did you mean `port`?"]);
}

#[test]
fn check_says_that_all_is_fine_and_how_much_that_is() {
    let house = House::new(&job("relay", "every = \"5s\"", 25));
    let said = house.run(&["check"]).ok();
    let (first, rest) = said.split_once('\n').unwrap();
    assert_eq!(first, format!("{}: fine: 1 job, {} agents", house.folder().join("watchpost.toml").display(), agents().len()));
    let (room, rest) = rest.split_once('\n').unwrap();
    assert!(room.starts_with("series will take ") && room.contains(" MiB in "), "{room}");
    assert!(rest.starts_with("agents are held to") && rest.contains("\n  UDP: "), "what they are not held to follows: {rest}");
    let answer = crate::json(&house, &["check"]);
    assert_eq!((&answer["ok"], &answer["jobs"], &answer["faults"]), (&true.into(), &1.into(), &serde_json::json!([])));
}

#[test]
fn programs_that_are_given_no_port_are_told_of_by_check_and_by_an_explained_run() {
    let program = |name: &str, ports: &str| {
        format!(
            "[[job]]\nname = \"{name}\"\nagent = \"exec\"\nevery = \"5s\"\n\
             config = {{ argv = [\"/bin/sh\", \"-c\", \"echo fine\"], format = \"nagios\"{ports} }}\n"
        )
    };
    let held = gaps().iter().all(|gap| gap.what != "TCP ports");
    let house = House::new(&(program("mute", "") + &program("relay", ", ports = [465, 25]") + &job("ours", "every = \"5s\"", 25)));
    let none = "programs are given no TCP port where the job declares none: mute\n";
    let said = house.run(&["check"]).ok();
    assert_eq!(said.ends_with(none), held, "{said}");
    let expected = if held { json!(["mute"]) } else { json!([]) };
    assert_eq!(crate::json(&house, &["check"])["programs_without_ports"], expected);
    for (name, told) in [("mute", "no TCP port: the job declares none"), ("relay", "these TCP ports, as the job declares: 25, 465")] {
        let said = house.run(&["measure", name, "--explain"]).ok();
        assert_eq!(said.contains(&format!("\nprograms that it starts are given {told}\n\n")), held, "{said}");
    }
    // Nobody holds them to anything.
    house.add_to_main("[plugin.exec]\nsandbox = \"none\"\n");
    assert!(!house.run(&["check"]).ok().contains("no TCP port"));
}

#[test]
fn a_plain_secret_is_a_warning_that_does_not_show_it() {
    let login = job("login", "every = \"5s\"", 25).replace("port", "user = \"a\", password = \"geheim-17\", port");
    let said = House::new(&login).run(&["check"]);
    assert!(said.code == Some(0) && said.err.starts_with("warning: ") && said.err.contains("jobs.toml:5:"), "{said:?}");
    assert!(!format!("{said:?}").contains("geheim-17"), "{said:?}");
}

#[test]
fn agents_are_listed_and_explained_key_by_key_and_metric_by_metric() {
    let house = House::new("");
    assert!(house.run(&["agents"]).ok().lines().any(|row| row.starts_with("smtp ")));
    let said = house.run(&["agents", "smtp"]).ok();
    for part in [
        "\n  host         text, required\n               Name or address",
        "\n  server_name  text\n",
        "\nconnect_time       gauge  seconds",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    refused(&house.run(&["agents", "pop"]), 2, &["error: cannot explain agent `pop`: no library carries it; did you mean `pop3`?"]);
    refused(&house.run(&["agents", "mailman"]), 2, &[&format!("no library carries it; there are: {}", agents().join(", "))]);
    let carried = crate::json(&house, &["agents"]);
    let names: Vec<_> = carried.as_array().unwrap().iter().map(|carried| carried["agent"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, agents());
    assert_eq!(crate::json(&house, &["agents", "smtp"])["agent"]["schema"]["required"][0], "host");
}

#[test]
fn plan_gives_the_next_runs_in_the_zone_of_each_job() {
    let noon = job("noon", "cron = \"0 12 * * *\"\ntimezone = \"America/New_York\"", 25);
    let house = House::new(&(noon + &job("often", "every = \"10s\"", 25)));
    let said = house.run(&["plan", "noon", "-n", "3"]).ok();
    let rows: Vec<&str> = said.lines().skip(1).collect();
    let local = |row: &&str| row.contains("T12:00:00-0") && (row.contains(" EST ") || row.contains(" EDT "));
    assert!(rows.len() == 3 && rows.iter().all(|row| local(row) && row.contains("  noon  ")), "{said}");
    let runs = crate::json(&house, &["plan", "-n", "5"]);
    let due: Vec<i64> = runs.as_array().unwrap().iter().map(|run| run["due"].as_i64().unwrap()).collect();
    assert!(due.len() == 5 && due.windows(2).all(|pair| pair[0] <= pair[1]), "{runs}");
    refused(&house.run(&["plan", "never"]), 2, &["error: cannot plan job `never`: no job is called so; `watchpost plan` lists all"]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_wrong_usage() {
    let house = House::new("");
    refused(&house.run(&["statsu"]), 2, &["'statsu'", "'status'"]);
    refused(&house.run(&["status", "--jsn"]), 2, &["'--jsn'", "'--json'"]);
    refused(&house.run(&["measure"]), 2, &["JOB"]);
    refused(&house.run(&["plan", "-n", "many"]), 2, &["'many'"]);
}

#[test]
fn a_plan_of_a_job_whose_windows_are_over_says_so() {
    let past = |name: &str| job(name, "every = \"5s\"\nactive = \"2020-01-01\"", 25);
    let house = House::new(&(past("one") + &past("two")));
    let planned = |words: &[&str]| house.run(&[&["plan"], words].concat()).ok().trim().to_owned();
    assert_eq!(planned(&["one"]), "nothing is planned: all windows of job one are over");
    assert_eq!(planned(&[]), "nothing is planned: all windows of its 2 jobs are over");
    house.schedule("");
    assert_eq!(planned(&[]), format!("nothing is planned: {} has no job", house.folder().join("watchpost.toml").display()));
}

#[test]
fn a_job_that_needs_what_no_agent_is_given_is_told_so() {
    let exec = |name: &str, more: &str| {
        format!(
            "[[job]]\nname = \"{name}\"\nagent = \"exec\"\nevery = \"1m\"\nconfig = {{ argv = [\"/bin/true\"], format = \"nagios\", {more} }}\n"
        )
    };
    let house = House::new(&(exec("has", "secret_env = { P = { file = \"secret\" } }") + &exec("wants", "files = [\"also\"]")));
    write_secret(&house.folder().join("secret"), "Zwiebelkuchen");
    fs::hard_link(house.folder().join("secret"), house.folder().join("also")).unwrap();
    let told = format!("error: `files[0]`: {} holds a secret, and no agent is ever given that", house.folder().join("also").display());
    let parts = [told.as_str(), "a key that takes a secret is given it by { file = \"…\" }"];
    let said = house.run(&["check"]);
    refused(&said, 2, &parts);
    assert_eq!(said.err.matches("error: ").count(), 1, "{said:?}");
    // Whoever is not held to its needs is given whatever its user is.
    house.add_to_main("[plugin.exec]\nsandbox = \"none\"\n");
    house.run(&["check"]).ok();
}
