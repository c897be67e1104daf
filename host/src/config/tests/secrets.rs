//! No secret is ever part of what is said, whatever else is wrong.

use std::{fs, os::unix::fs::PermissionsExt};

use watchpost_plugin_api::AgentDescriptor;

use super::{
    House,
    probe::{all_faults, environment, probe},
};
use crate::config::{Unbound, bind, read};

/// What must not show.
const MARKER: &str = "Zwiebelkuchen-4711";

/// A house whose secret file holds the marker.
fn house() -> House {
    let house = House::new().with("schedules/secrets/good", format!("{MARKER}\n")).with("schedules/secrets/open", format!("{MARKER}\n"));
    for (name, mode) in [("good", 0o600), ("open", 0o644)] {
        fs::set_permissions(house.path().join("schedules/secrets").join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    house
}

/// Says something of a job, and none of it is the secret.
fn check(rest: &str) {
    let house = house().with("schedules/a.toml", format!("[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\n{rest}\n"));
    let faults = all_faults(&house);
    assert!(faults.iter().next().is_some(), "nothing is wrong with {rest}");
    let said = format!("{faults}\n{faults:?}\n{}", serde_json::to_string(&faults).unwrap());
    assert!(!said.contains(MARKER), "{rest}\n{said}");
}

#[test]
fn a_secret_shows_in_no_fault() {
    let plain = format!("\"{MARKER}\"");
    for config in [
        format!("host = 3, password = {plain}"),
        format!("password = {plain}"),
        format!("host = \"a\", passwort = {plain}"),
        format!("host = \"a\", password = [{plain}]"),
        format!("host = \"a\", password = {{ value = {plain} }}"),
        format!("host = \"a\", password = {{ file = \"secrets/good\", value = {plain} }}"),
        format!("host = \"a\", headers = {{ cookie = {plain} }}, port = 0"),
        format!("host = \"a\", headers = {plain}"),
        format!("host = \"a\", servers = [{{ password = {plain} }}]"),
        format!("host = \"a\", main = {{ host = \"b\", pasword = {plain} }}"),
        format!("host = \"a\", port = {plain}"),
        format!("host = \"a\", submit = {plain}"),
        "host = 3, password = { file = \"secrets/good\" }".into(),
        "host = \"a\", password = { file = \"secrets/open\" }".into(),
        "host = \"a\", user = { file = \"secrets/good\" }".into(),
        "host = \"a\", main = { file = \"secrets/good\" }".into(),
        "host = \"a\", password = { credential = \"../secrets/good\" }".into(),
    ] {
        check(&format!("config = {{ {config} }}"));
    }
    check(&format!("config = {{ host = \"a\", password = {plain} }}\ntimeout = \"soon\""));
    check(&format!("labels = {{ site = {plain} }}\nconfig = {{ host = \"a\", password = {{ file = \"secrets/good\" }} }}"));
    check(&format!("password = {plain}"));
    check(&format!("config = {{ host = \"a\", password = {plain}"));
    check(&format!("config = {{ host = \"a\", password = {MARKER} }}"));
    check(&format!("config = {{ host = \"a\", password = {plain}, password = {plain} }}"));
    check(&format!("targets = [{{ host = \"a\", password = {plain}, config = {{ password = {plain} }} }}]"));
}

#[test]
fn a_setting_without_a_value_is_not_repeated() {
    let faults = crate::config::ad_hoc("probe", &[MARKER.to_owned()], super::now()).unwrap_err();
    assert!(!faults.to_string().contains(MARKER), "{faults}");
}

#[test]
fn an_agent_whose_secret_is_missing_is_asked_about_the_rest() {
    let text = "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { host = \"a\", password = { file = \"nowhere\" } }\n";
    let (draft, _) = read(&house().with("schedules/a.toml", text).main(), super::now());
    let unbound = |agent: &AgentDescriptor| *bind(&draft.jobs[0].asks, agent, &environment).unwrap_err();
    let Unbound { faults, rest } = unbound(&probe());
    let rest = rest.expect("nothing else is wrong");
    assert_eq!((faults.len(), &rest.bound().config()["host"]), (1, &"a".into()));
    assert!(rest.bound().config()["password"].as_str().is_some_and(|stand_in| !stand_in.is_empty()));
    assert!(rest.is_of_a_stand_in("password") && rest.is_of_a_stand_in("") && rest.is_of_a_stand_in("password[0]"));
    assert!(!rest.is_of_a_stand_in("host") && !rest.is_of_a_stand_in("pass"));
}

#[test]
fn an_agent_is_asked_nothing_where_more_than_a_secret_is_missing() {
    let text = "[[job]]\nname = \"a\"\nagent = \"probe\"\nevery = \"30s\"\nconfig = { port = 0, password = { file = \"nowhere\" } }\n";
    let (draft, _) = read(&house().with("schedules/a.toml", text).main(), super::now());
    let Unbound { faults, rest } = *bind(&draft.jobs[0].asks, &probe(), &environment).unwrap_err();
    assert_eq!((faults.len(), rest.is_none()), (3, true));
}

#[test]
fn a_channel_whose_secret_is_out_of_reach_is_known_and_nothing_runs_with_it() {
    const SECRET: &str = "{ env = \"WATCHPOST_TEST_NEVER_SET\" }";
    let channels = [
        ("hook", format!("type = \"webhook\"\nurl = \"http://h/\"\nsecret = {SECRET}\nheaders = {{ Token = {SECRET} }}")),
        (
            "post",
            format!("type = \"mail\"\nserver = \"h:25\"\nfrom = \"a@b.test\"\nto = [\"c@d.test\"]\nuser = \"u\"\npassword = {SECRET}"),
        ),
        ("traps", format!("type = \"snmp\"\nserver = \"h:162\"\nuser = \"u\"\nauth_password = {SECRET}\nprivacy_password = {SECRET}")),
        (
            "desk",
            format!(
                "type = \"ticket\"\nsystem = \"request-tracker\"\nurl = \"http://h/\"\nsecret = {SECRET}\nsettings = {{ queue = \"Mail\" }}"
            ),
        ),
    ];
    let tables: String = channels.iter().map(|(name, rest)| format!("[[channel]]\nname = \"{name}\"\n{rest}\n")).collect();
    let names = channels.map(|(name, _)| name);
    let house = House::new().with("schedules/a.toml", super::SOUND);
    house.lay("watchpost.toml", format!("{}{tables}[[route]]\nchannels = {names:?}\n", super::MAIN));
    let (draft, faults) = read(&house.main(), super::now());
    assert_eq!(draft.channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>(), names, "{faults}");
    assert_eq!((draft.routes.len(), faults.hiding(), faults.stop(), house.load().is_err()), (1, 0, true, true), "{faults}");
    // Faults that hide something are told from those.
    house.lay("watchpost.toml", format!("{}{tables}[[route]]\nchannels = {names:?}\nseverity = \"bad\"\n", super::MAIN));
    assert_eq!(read(&house.main(), super::now()).1.hiding(), 1);
}
