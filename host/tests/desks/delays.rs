//! What is over, or seen by somebody, before there is to be a ticket has none.

use crate::{
    desk::{Desk, on_each},
    watched::Watched,
};

on_each!(
    what_is_over_before_its_delay_is_has_no_ticket_and_neither_has_what_somebody_has_seen,
    what_lasts_longer_than_its_delay_has_a_ticket,
);

fn what_is_over_before_its_delay_is_has_no_ticket_and_neither_has_what_somebody_has_seen<D: Desk>() {
    let Some(mut watched) = Watched::<D>::start("site = \"paris\"", "", "delay = \"1h\"") else { return };
    watched.dies();
    watched.alarm_that("active", |alarm| alarm["alarm"]["stage"] == "active");
    watched.comes_back();
    assert_eq!(watched.not_needed(), "cleared before it was told");

    watched.dies();
    let second = watched.alarm_that("active again", |alarm| alarm["alarm"]["stage"] == "active");
    let number = second["alarm"]["number"].to_string();
    watched.kill_and_start();
    watched.house.run(&["alarms", "ack", &number]).ok();
    assert_eq!(watched.not_needed(), "acknowledged before it was told");
    watched.comes_back();
    watched.alarm_that("cleared", |alarm| alarm["alarm"]["stage"] == "cleared");
    // Nobody asked the system for anything: it has no ticket, and the alarm knows of none.
    assert!(watched.tickets().is_empty(), "{:?}", watched.tickets());
    assert_eq!(watched.alarm()["tickets"].as_array().map(Vec::len), Some(0), "{}", watched.alarm());
    watched.ends();
}

fn what_lasts_longer_than_its_delay_has_a_ticket<D: Desk>() {
    let Some(watched) = Watched::<D>::start("site = \"paris\"", "", "delay = \"3s\"") else { return };
    watched.dies();
    let waits = watched.alarm_that("active", |alarm| alarm["alarm"]["stage"] == "active");
    let ticket = watched.ticket("made", |_| true);
    let told = watched.alarm_that("told", |alarm| alarm["messages"][0]["state"] == "delivered");
    let (raised, made) = (waits["alarm"]["raised_ns"].as_i64().unwrap(), told["messages"][0]["done_ns"].as_i64().unwrap());
    assert!(made - raised >= 3_000_000_000, "made after {} ms", (made - raised) / 1_000_000);
    watched.comes_back();
    watched.ticket("resolved", |known| known.status == D::RESOLVED && known.id == ticket.id);
    watched.ends();
}
