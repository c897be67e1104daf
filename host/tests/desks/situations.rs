//! What begins together is one ticket.

use crate::{
    desk::{CHANNEL, Desk, SOON, on_each},
    harness::until,
    watched::{DNS, Watched},
};

on_each!(what_begins_together_is_one_ticket_that_ends_with_the_last_of_it);

/// Another job that asks the same server.
const ANOTHER: &str = r#"
[[job]]
name = "zones"
agent = "dns"
every = "1s"
config = { host = "127.0.0.1", port = @dns@, name = "mail.lab.test" }
[[job.threshold]]
name = "down"
metric = "up"
critical = "< 1"
"#;

fn what_begins_together_is_one_ticket_that_ends_with_the_last_of_it<D: Desk>() {
    let route =
        format!("delay = \"10s\"\n[[route]]\nchannels = [\"{CHANNEL}\"]\nmatch = '{{job=~\"names|zones\"}}'\nticket_for = \"situation\"\n");
    let Some(mut watched) = Watched::<D>::start("site = \"paris\"", ANOTHER, &route) else { return };
    let port = format!("port = {}, name", watched.lab.port("dns"));
    let jobs = std::fs::read_to_string(watched.house.folder().join("jobs.toml")).unwrap();
    assert!(!jobs.contains(DNS) && jobs.matches(&port).count() == 2, "{jobs}");
    watched.dies();
    let ticket = watched.ticket("made", |_| true);
    assert!(ticket.title.ends_with(" (and 1 more)"), "{ticket:?}");
    let made = watched.ticket_text(&ticket.id, "This is the likely cause of a situation of 2 alarms");
    assert!(made.contains("names") && made.contains("zones"), "{made}");
    watched.kill_and_start();
    // Each alarm's step is in it: one with the ticket itself, the other by itself.
    let both = until(SOON, || (watched.texts_with(&ticket.id, "\nAlarm ").len() == 2).then_some(()));
    assert!(both.is_some(), "{:?}", watched.desk.texts(&ticket.id));

    // One asks where nobody listens, and so goes on when the other is well again.
    let elsewhere = jobs.rsplitn(2, &port).collect::<Vec<_>>();
    watched.house.schedule(&format!("{}port = 1, name{}", elsewhere[1], elsewhere[0]));
    watched.house.run(&["reload"]).ok();
    watched.comes_back();
    let over = watched.ticket_text(&ticket.id, "[CLEARED]");
    assert!(over.contains("names"), "{over}");
    assert_ne!(watched.ticket("still open", |_| true).status, D::RESOLVED);
    watched.house.schedule(&jobs);
    watched.house.run(&["reload"]).ok();
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    assert_eq!(watched.texts_with(&ticket.id, "[CLEARED]").len(), 2, "{:?}", watched.desk.texts(&ticket.id));

    watched.dies();
    let again = watched.ticket("open again", |ticket| ticket.status != D::RESOLVED);
    assert_eq!(again.id, ticket.id);
    watched.comes_back();
    watched.ticket("resolved again", |ticket| ticket.status == D::RESOLVED);
    assert_eq!(watched.tickets().len(), 1);
    watched.ends();
}
