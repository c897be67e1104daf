//! From the first to the last: one problem is one ticket.

use crate::{
    desk::{Desk, on_each},
    watched::Watched,
};

on_each!(
    one_problem_is_one_ticket_over_kills_of_the_daemon_and_its_end_resolves_it,
    a_problem_that_is_back_soon_reopens_its_ticket_and_one_that_is_back_late_has_another,
);

fn one_problem_is_one_ticket_over_kills_of_the_daemon_and_its_end_resolves_it<D: Desk>() {
    let Some(mut watched) = Watched::<D>::start("site = \"paris\"", "", "") else { return };
    watched.dies();
    let ticket = watched.ticket("made", |_| true);
    assert!(ticket.title.starts_with("[CRITICAL] up of names ") || ticket.title.contains("names"), "{ticket:?}");
    let told = watched.desk.texts(&ticket.id).concat();
    assert!(told.contains("names") && told.contains("site=paris"), "{told}");

    for turn in ["one", "two"] {
        watched.kill_and_start();
        // What alice writes now is read by the new daemon, which so knows the ticket.
        watched.desk.write(&ticket.id, &format!("I look at it, turn {turn}"));
        watched.noted(&format!("I look at it, turn {turn}"));
        assert_eq!(watched.ticket("the same", |_| true).id, ticket.id);
    }

    watched.comes_back();
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    assert_eq!(watched.texts_with(&ticket.id, "[CLEARED]").len(), 1, "{:?}", watched.desk.texts(&ticket.id));
    let shown = watched.alarm_that("told in its ticket", |alarm| alarm["tickets"][0]["state"] == "resolved");
    let known = &shown["tickets"][0];
    assert_eq!((known["id"].as_str(), known["error"].as_str()), (Some(ticket.id.as_str()), None), "{known}");
    assert!(known["link"].as_str().is_some_and(|link| link.starts_with("http://127.0.0.1:") && link.ends_with(&ticket.id)), "{known}");
    watched.ends();
}

fn a_problem_that_is_back_soon_reopens_its_ticket_and_one_that_is_back_late_has_another<D: Desk>() {
    let Some(mut watched) = Watched::<D>::start("site = \"paris\"", "", "") else { return };
    watched.dies();
    let first = watched.ticket("made", |_| true);
    watched.comes_back();
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    watched.kill_and_start();
    watched.dies();
    let again = watched.ticket("open again", |ticket| ticket.status != D::RESOLVED);
    assert_eq!(again.id, first.id);
    watched.comes_back();
    watched.ticket("resolved again", |ticket| ticket.status == D::RESOLVED);
    assert_eq!(watched.texts_with(&first.id, "[CLEARED]").len(), 2, "{:?}", watched.desk.texts(&first.id));

    watched.house.replace_in_main("reopen_within = \"1h\"", "reopen_within = \"0s\"");
    watched.house.run(&["reload"]).ok();
    watched.dies();
    let tickets = watched.tickets_of_count(2);
    assert_eq!((tickets[0].id.as_str(), tickets[0].status.as_str()), (first.id.as_str(), D::RESOLVED), "{tickets:?}");
    assert_ne!(tickets[1].status, D::RESOLVED, "{tickets:?}");
    watched.ends();
}
