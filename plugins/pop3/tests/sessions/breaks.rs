//! Every phase, cut, reset, refused, silent, slow, garbled, endless: the kind says whose fault, the message says where,
//! and what was measured before is kept.

use std::time::Duration;

use watchpost_testkit::Authority;

use crate::*;

/// A deadline that nobody would wait for.
const DEADLINE: Duration = Duration::from_secs(600);

/// A phase: what comes before the server's answer to it, what it is called, and what is known by then.
struct Phase {
    name: &'static str,
    before: Script,
    kept: &'static [&'static str],
    /// The kind when the server says no.
    refused: &'static str,
}

/// What is recorded, in order, of a session that has everything.
const KEPT: &[&str] =
    &["resolve_time", "connect_time", "banner_time", "tls_time", "authenticate_time", "query_time", "mailbox_size", "mailbox_bytes"];

/// The phases whose answer is a reply.
fn phases(authority: &Authority) -> Vec<Phase> {
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let stls = greeted().then(capa(&["STLS", "SASL PLAIN"])).expect("STLS");
    let secure = stls.clone().say("+OK go").tls(&tls);
    let known = secure.clone().then(capa(&["USER"])).expect("USER");
    let named = known.clone().say("+OK who").expect("PASS");
    let plain = secure.then(capa(&["SASL PLAIN"])).expect("AUTH PLAIN");
    let stat = plain.clone().say("+OK in").expect("STAT");
    let list = stat.clone().say("+OK 2 320").expect("LIST");
    let retr = list.clone().say("+OK\n1 120\n2 200\n.").expect("RETR 2");
    let phase = |name, before, kept: usize, refused| Phase { name, before, kept: &KEPT[..kept], refused };
    vec![
        phase("banner", Script::new(), 2, "protocol"),
        phase("STLS", stls, 3, "tls"),
        phase("USER", known, 4, "auth"),
        phase("PASS", named, 4, "auth"),
        phase("AUTH PLAIN", plain, 4, "auth"),
        phase("STAT", stat, 5, "protocol"),
        phase("LIST", list, 5, "protocol"),
        phase("RETR", retr, 8, "protocol"),
    ]
}

/// The phases whose answer goes on after the reply.
fn bodies(authority: &Authority) -> Vec<Phase> {
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let secure = greeted().then(capa(&["STLS"])).expect("STLS").say("+OK go").tls(&tls);
    let list = secure.clone().then(logged_in()).expect("STAT").say("+OK 2 320").expect("LIST");
    let retr = list.clone().say("+OK\n1 120\n2 200\n.").expect("RETR 2").say("+OK 200 octets\nSubject: probe");
    let phase = |name, before, kept: usize| Phase { name, before, kept: &KEPT[..kept], refused: "protocol" };
    vec![
        phase("CAPA", greeted().expect("CAPA").say("+OK\nTOP"), 3),
        phase("CAPA", secure.expect("CAPA").say("+OK\nTOP"), 4),
        phase("LIST", list.say("+OK\n1 120"), 5),
        phase("RETR", retr, 8),
    ]
}

/// Everything that a session can have, so that every phase comes.
fn keys(authority: &Authority) -> Value {
    login(json!({ "tls": "starttls", "ca_file": authority.file() }))
}

/// Breaks phases in one way; `expected` makes kind and message of the phase's name.
async fn check(
    phases: impl IntoIterator<Item = Phase>,
    authority: &Authority,
    fault: impl Fn(Script) -> Script,
    expected: impl Fn(&Phase) -> (&'static str, String),
) {
    for phase in phases {
        let (kind, message) = expected(&phase);
        let (ran, _) = run(fault(phase.before.clone()), &keys(authority)).await;
        assert_failed(&ran, kind, &message, phase.kept);
        assert!(!ran.everything().contains(PASSWORD));
    }
}

/// Breaks every reply in one way.
async fn check_replies(fault: impl Fn(Script) -> Script, expected: impl Fn(&Phase) -> (&'static str, String)) {
    let authority = Authority::new().unwrap();
    check(phases(&authority), &authority, fault, expected).await;
}

/// Breaks every reply and every body in one way.
async fn check_all(fault: impl Fn(Script) -> Script, expected: impl Fn(&Phase) -> (&'static str, String)) {
    let authority = Authority::new().unwrap();
    check(phases(&authority).into_iter().chain(bodies(&authority)), &authority, fault, expected).await;
}

#[tokio::test]
async fn a_connection_closed_in_any_phase_is_told_with_the_phase() {
    check_all(Script::cut, |phase| ("protocol", format!("{}: connection closed by the other side", phase.name))).await;
}

#[tokio::test]
async fn a_connection_reset_in_any_phase_is_told_with_the_phase() {
    check_all(Script::reset, |phase| ("protocol", format!("{}: connection reset by the other side", phase.name))).await;
}

#[tokio::test]
async fn a_line_broken_off_in_any_phase_is_no_reply() {
    check_replies(
        |script| script.send("+O").cut(),
        |phase| ("protocol", format!("{}: connection closed by the other side in the middle of a line", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn garbage_in_any_phase_is_quoted_with_its_control_characters_spelt_out() {
    check_replies(Script::garbage, |phase| {
        ("protocol", format!("{}: no POP3 reply: \"\\u{{0}}\u{fffd}\\u{{1b}}[31m\\u{{7}} SSH-2.0-garbage\"", phase.name))
    })
    .await;
}

#[tokio::test]
async fn a_line_without_an_end_in_any_phase_is_given_up() {
    let message = |phase: &Phase| ("protocol", format!("{}: a line without an end: more than 64 KiB", phase.name));
    check_replies(Script::endless_line, message).await;
    let authority = Authority::new().unwrap();
    let lists = bodies(&authority).into_iter().filter(|phase| phase.name != "RETR");
    check(lists, &authority, Script::endless_line, message).await;
}

#[tokio::test]
async fn a_refusal_in_any_phase_is_told_with_its_text() {
    check_replies(
        |script| script.say("-ERR not  now,\u{7} later"),
        |phase| (phase.refused, format!("{}: the server answered -ERR not  now,\\u{{7}} later", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn a_server_that_says_it_is_ill_breaks_the_protocol_in_any_phase_but_stls() {
    check_replies(
        |script| script.say("-ERR [SYS/TEMP] shutting down").cut(),
        |phase| {
            let kind = if phase.name == "STLS" { "tls" } else { "protocol" };
            (kind, format!("{}: the server answered -ERR [SYS/TEMP] shutting down", phase.name))
        },
    )
    .await;
}

/// Meets the deadline in each phase.
async fn check_late(fault: impl Fn(Script) -> Script) {
    let authority = Authority::new().unwrap();
    for phase in phases(&authority).into_iter().chain(bodies(&authority)) {
        let last = phase.kept.last().unwrap();
        let ran = run_at_once(DEADLINE, fault(phase.before), &keys(&authority)).await;
        let awaited = ran.awaited().unwrap_or_else(|| panic!("{ran:#?}"));
        assert!(["banner"].contains(&phase.name) || awaited.contains(phase.name), "{}: {awaited}", phase.name);
        let message = format!("no end within 600 s: {awaited}; {last} was the last it recorded");
        assert_failed(&ran, "timeout", &message, phase.kept);
        assert_eq!(Duration::from_nanos(ran.outcome.duration_ns), DEADLINE, "{}", phase.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_in_any_phase_meets_the_deadline() {
    check_late(Script::silence).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_trickles_in_any_phase_meets_the_deadline_all_the_same() {
    check_late(|script| script.trickle("+OK one byte now and then keeps no connection alive", Duration::from_secs(30))).await;
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let server = Server::start(Script::new()).await.unwrap();
    let config = config(&server, &json!({}));
    let port = server.port();
    drop(server);
    tokio::task::yield_now().await;
    let ran = Kit::<Pop3>::new(&config).unwrap().run().await;
    assert_failed(&ran, "connect", &format!("cannot connect to 127.0.0.1:{port}: Connection refused"), &KEPT[..1]);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_to_resolve() {
    let ran = Kit::<Pop3>::new(&json!({ "host": "pop.watchpost.invalid" })).unwrap().run().await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!(kind, "resolve");
    assert!(message.starts_with("no address for pop.watchpost.invalid: "), "{message}");
    assert!(ran.recorded().is_empty());
}
