//! A system that is down, that knows nobody, or that lacks what a ticket needs.

use serde_json::Value;

use crate::{
    desk::{CHANNEL, Desk, on_each},
    request_tracker::RequestTracker,
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
