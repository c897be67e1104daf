//! What a program gets that a check starts, and what is left of it.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;

use crate::harness::House;

/// A job that runs this script once.
fn job(house: &House, name: &str, interpreter: &str, body: &str) -> String {
    let script = house.folder().join(name);
    fs::write(&script, format!("#!{interpreter}\n{body}\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    format!(
        "[[job]]\nname = \"{name}\"\nagent = \"exec\"\nevery = \"1m\"\ntimeout = \"20s\"\n\
         config = {{ argv = [{script:?}], format = \"nagios\", programs = [\"/usr/bin\", \"/bin\"] }}\n"
    )
}

/// Neither what the worker shares with the daemon and the library's copy, nor what whoever started the daemon had open.
#[test]
fn a_program_has_its_three_descriptors_and_no_other() {
    let house = House::new("");
    let look = "use POSIX; @has = grep { my $one = POSIX::dup($_); defined $one && POSIX::close($one) } 3..200;\n\
                printf \"OK has: @has | count=%d\\n\", scalar @has;";
    house.schedule(&job(&house, "looks", "/usr/bin/perl", look));
    for sandbox in ["full", "none"] {
        house.replace_in_main("listen", &format!("# sandbox {sandbox}\nlisten"));
        if sandbox == "none" {
            house.add_to_main("[plugin.exec]\nsandbox = \"none\"\n");
        }
        let measure = house.command(&["measure", "looks", "--json"]);
        // Whoever starts it has something open, as a careless script does.
        let mut careless = Command::new("bash");
        careless.args(["-c", "exec 10</dev/null 123</dev/null; exec \"$@\"", "bash"]).arg(measure.get_program()).args(measure.get_args());
        let said = careless.current_dir("/").output().unwrap();
        let told: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        let samples = told["outcome"]["samples"].as_array().unwrap();
        let count = samples.iter().find(|sample| sample["metric"] == "count").map(|sample| sample["value"].clone());
        assert_eq!(count, Some(0.0.into()), "sandbox {sandbox}: {told}");
    }
}
