//! What people do in a ticket is done to its alarm, and the other way round.

use crate::{
    desk::{CHANNEL, Desk, on_each},
    watched::Watched,
};

on_each!(who_takes_writes_and_closes_in_the_ticket_owns_annotates_and_acknowledges_the_alarm);

fn who_takes_writes_and_closes_in_the_ticket_owns_annotates_and_acknowledges_the_alarm<D: Desk>() {
    let Some(watched) = Watched::<D>::start("site = \"paris\"", "", "") else { return };
    let alice = format!("alice@{CHANNEL}");
    watched.dies();
    let ticket = watched.ticket("made", |_| true);

    watched.desk.take(&ticket.id);
    watched.step_by("owned", &alice);
    assert_eq!(watched.desk.tickets()[0].owner, "alice");
    watched.desk.write(&ticket.id, "the provider\nworks on it");
    let note = watched.step_by("annotated", &alice);
    assert_eq!(note["comment"], "the provider works on it", "{note}");
    watched.desk.close(&ticket.id);
    watched.step_by("acknowledged", &alice);
    // Its reason is still there, and it is said so; nobody opened the ticket again.
    let alarm = watched.alarm_that("acknowledged", |alarm| alarm["alarm"]["acknowledged"].is_object());
    assert_eq!((&alarm["alarm"]["stage"], &alarm["alarm"]["owner"]), (&"active".into(), &alice.as_str().into()), "{alarm}");
    assert_eq!(watched.desk.tickets()[0].status, D::RESOLVED);

    // She thinks better of it.
    watched.desk.open(&ticket.id);
    watched.step("unacknowledged", |step| step["by"].as_str().is_some_and(|by| by.ends_with(&format!("@{CHANNEL}"))));

    // What is done here is told there, once.
    watched.annotate("the card was changed");
    let told = watched.ticket_text(&ticket.id, "the card was changed");
    assert!(!told.contains("alice"), "{told}");
    watched.comes_back();
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    assert_eq!(watched.texts_with(&ticket.id, "the card was changed").len(), 1);
    // Nothing that we wrote came back as a person's.
    let steps = watched.alarm()["steps"].as_array().unwrap().clone();
    let notes: Vec<_> = steps.iter().filter(|step| step["step"] == "annotated").map(|step| step["comment"].clone()).collect();
    assert_eq!(notes.len(), 3, "hers, that the reason is still there, and ours: {notes:?}");
    watched.ends();
}
