//! A system that is down, that knows nobody, or that lacks what a ticket needs.

use serde_json::Value;

use crate::{
    desk::{CHANNEL, Desk, SOON, on_each},
    harness::until,
    request_tracker::RequestTracker,
    roundup::Roundup,
    watched::Watched,
};

on_each!(what_is_told_while_the_system_is_down_is_in_the_ticket_when_it_is_back);

fn what_is_told_while_the_system_is_down_is_in_the_ticket_when_it_is_back<D: Desk>() {
    let Some(mut watched) = Watched::<D>::start("site = \"paris\"", "", "timeout = \"5s\"") else { return };
    let tested = watched.house.run(&["notify", "test", CHANNEL]).ok();
    assert!(tested.contains("searched for key watchpost-") && tested.contains("found 0"), "{tested}");
    watched.lab.stop(D::SERVER);
    watched.dies();
    let waits = watched.alarm_that("waiting for its ticket", |alarm| alarm["tickets"][0]["error"].is_string());
    let known = &waits["tickets"][0];
    assert!(known["id"].is_null() && known["error"].as_str().is_some_and(|why| why.contains("refused")), "{known}");
    watched.kill_and_start();
    watched.lab.start(D::SERVER);
    let ticket = watched.ticket("made", |_| true);
    watched.lab.stop(D::SERVER);
    watched.comes_back();
    watched.alarm_that("cleared", |alarm| alarm["alarm"]["stage"] == "cleared");
    watched.lab.start(D::SERVER);
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    assert_eq!(watched.texts_with(&ticket.id, "[CLEARED]").len(), 1);
    watched.ends();
}

#[test]
fn request_tracker_is_given_no_ticket_while_the_queue_lacks_the_field() {
    let field = "settings = { queue = \"Mail\", field = \"Nobody made it\" }";
    let Some(watched) = Watched::<RequestTracker>::start_with("", "", "", |main| main.replace("settings = { queue = \"Mail\" }", field))
    else {
        return;
    };
    watched.dies();
    // It is tried again and again, each time later, and each time it is seen that there would be no key.
    let said = |alarm: &Value| alarm["tickets"][0]["error"].as_str().is_some_and(|why| why.contains("says /name \"Nobody made it\""));
    watched.alarm_that("tried again", |alarm| alarm["tickets"][0]["attempts"].as_u64() > Some(2) && said(alarm));
    assert!(watched.tickets().is_empty(), "{:?}", watched.tickets());
    watched.ends();
}

#[test]
fn a_system_that_cannot_be_reached_is_an_alarm_that_another_channel_tells_until_it_can_be() {
    let told = tempfile::NamedTempFile::new().unwrap();
    let lines = told.path().display();
    // The text of each step on a line.
    let other = format!(
        "timeout = \"5s\"\n[[channel]]\nname = \"lines\"\ntype = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {lines}\"]\n\
         [[route]]\nchannels = [\"lines\"]\nmatch = '{{rule=\"channel_down\"}}'"
    );
    let Some(watched) = Watched::<Roundup>::start("site = \"paris\"", "", &other) else { return };
    let steps = || {
        let text = std::fs::read_to_string(told.path()).unwrap();
        let steps = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        steps.map(|step| (step["step"].as_str().unwrap().to_owned(), step["text"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    watched.lab.stop(Roundup::SERVER);
    watched.dies();
    let raised = until(SOON, || steps().into_iter().find(|(step, _)| step == "raised"));
    let (_, text) = raised.unwrap_or_else(|| panic!("nobody was told: {:?}\n{}", steps(), watched.house.run(&["notify"]).out));
    assert!(text.contains(CHANNEL) && text.contains("refused"), "{text}");
    assert_eq!(watched.house.alarm_is("channel_down", "active"), text);
    watched.lab.start(Roundup::SERVER);
    until(SOON, || steps().into_iter().find(|(step, _)| step == "cleared")).unwrap_or_else(|| panic!("{:?}", steps()));
    let ticket = watched.ticket("made after all", |_| true);
    watched.comes_back();
    watched.ticket("resolved", |known| known.status == Roundup::RESOLVED && known.id == ticket.id);
    assert_eq!(steps().len(), 2, "{:?}", steps());
    watched.ends();
}
