//! Somebody merges the ticket of one alarm into that of another: one ticket stands for both, and is over with the last.

use crate::{
    desk::{CHANNEL, Desk, SOON},
    harness::{House, until},
    request_tracker::RequestTracker,
    servers::Lab,
};

#[test]
fn a_merged_ticket_stands_for_both_alarms_and_what_we_did_ourselves_is_nobodys() {
    let needed = [("named", "bind9"), (RequestTracker::SERVER, RequestTracker::PACKAGE)];
    let Some(lab) = Lab::of(&needed, &needed.map(|(server, _)| server)) else { return };
    let job = |name: &str, port: u16| {
        format!(
            "[[job]]\nname = \"{name}\"\nagent = \"dns\"\nevery = \"1s\"\nconfig = {{ host = \"127.0.0.1\", port = {port}, name = \"mail.lab.test\" }}\n\
             [[job.threshold]]\nname = \"down\"\nmetric = \"up\"\ncritical = \"< 1\"\n"
        )
    };
    // The one fares as the name server does, the other never gets an answer.
    let house = House::new(&(job("names", lab.port("dns")) + &job("zones", 1)));
    house.add_to_main(&format!(
        "{}delay = \"0s\"\npoll = \"1s\"\nreopen_within = \"1h\"\n[[route]]\nchannels = [\"{CHANNEL}\"]\n",
        RequestTracker::channel(&lab)
    ));
    let desk = RequestTracker::of(&lab);
    let daemon = house.start();
    let soon = |what: &str, is_so: &dyn Fn() -> bool| {
        assert!(until(SOON, || is_so().then_some(())).is_some(), "{what}: {:?}\n{}", desk.tickets(), daemon.log_text());
    };
    soon("one ticket", &|| desk.tickets().len() == 1);
    let zones = desk.tickets()[0].id.clone();
    lab.stop("named");
    soon("two tickets", &|| desk.tickets().len() == 2);
    let names = desk.tickets().into_iter().map(|ticket| ticket.id).find(|id| *id != zones).unwrap();
    desk.merge(&names, &zones);

    let alarm = |job: &str| {
        let listed: serde_json::Value = serde_json::from_str(&house.run(&["alarms", "list", "--state", "all", "--json"]).ok()).unwrap();
        let number = listed.as_array().unwrap().iter().find(|alarm| alarm["job"] == job).unwrap()["number"].to_string();
        serde_json::from_str::<serde_json::Value>(&house.run(&["alarms", "show", &number, "--json"]).ok()).unwrap()
    };
    soon("followed", &|| alarm("names")["tickets"][0]["id"] == zones.as_str());
    lab.start("named");
    soon("told of the end", &|| desk.texts(&zones).iter().any(|text| text.contains("[CLEARED]")));
    // What somebody writes now is read after all that came of it.
    desk.write(&zones, "does zones go on?");
    let noted = |words: &str| alarm("zones")["steps"].as_array().unwrap().iter().any(|step| step["comment"] == words);
    soon("noted", &|| noted("does zones go on?"));
    assert_ne!(desk.tickets()[0].status, "resolved", "{:?}", desk.tickets());
    let steps: Vec<_> = alarm("zones")["steps"].as_array().unwrap().clone();
    let ours = |step: &&serde_json::Value| step["by"].as_str().is_some_and(|by| !by.starts_with("alice@"));
    assert!(!steps.iter().any(|step| ours(&step)), "{steps:?}");
    assert!(daemon.stop().status.success());
}
