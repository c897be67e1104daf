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

fn phases(authority: &Authority) -> Vec<Phase> {
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let starttls = greeted(&["STARTTLS"]).expect("STARTTLS");
    let secure = starttls.clone().say("220 go").tls(&tls);
    let known = secure.clone().then(hello(&["AUTH PLAIN"]));
    let in_ = known.clone().expect("AUTH PLAIN").say("235 ok");
    let mail = in_.clone().expect("MAIL");
    let rcpt = mail.clone().say("250 ok").expect("RCPT");
    let data = rcpt.clone().say("250 ok").expect("DATA");
    let end = data.clone().say("354 go").expect_until(".");
    const KEPT: &[&str] = &["resolve", "connect", "banner", "ehlo", "tls", "authenticate", "mail", "rcpt"];
    let phase = |name, before, kept: usize, refused| Phase { name, before, kept: &KEPT[..kept], refused };
    vec![
        phase("banner", Script::new(), 2, "protocol"),
        phase("EHLO", Script::new().say("220 hi").expect("EHLO"), 3, "protocol"),
        phase("STARTTLS", starttls, 4, "tls"),
        phase("EHLO", secure.expect("EHLO"), 5, "protocol"),
        phase("AUTH PLAIN", known.expect("AUTH PLAIN"), 5, "auth"),
        phase("MAIL", mail, 6, "protocol"),
        phase("RCPT", rcpt, 7, "protocol"),
        phase("DATA", data, 8, "protocol"),
        phase("end of DATA", end, 8, "protocol"),
    ]
}

/// Everything that a session can have, so that every phase comes.
fn keys(authority: &Authority) -> Value {
    json!({
        "tls": "starttls", "ca_file": authority.file(), "user": "probe", "password": PASSWORD,
        "from": "probe@lab.test", "to": "alice@lab.test", "submit": true,
    })
}

/// Breaks each phase in one way; `expected` makes kind and message of the phase's name.
async fn check(fault: impl Fn(Script) -> Script, expected: impl Fn(&Phase) -> (&'static str, String)) {
    let authority = Authority::new().unwrap();
    for phase in phases(&authority) {
        let (kind, message) = expected(&phase);
        let (ran, _) = run(fault(phase.before.clone()), &keys(&authority)).await;
        assert_failed(&ran, kind, &message, phase.kept);
        assert!(!ran.everything().contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_connection_closed_in_any_phase_is_told_with_the_phase() {
    check(Script::cut, |phase| ("protocol", format!("{}: connection closed by the other side", phase.name))).await;
}

#[tokio::test]
async fn a_connection_reset_in_any_phase_is_told_with_the_phase() {
    check(Script::reset, |phase| ("protocol", format!("{}: connection reset by the other side", phase.name))).await;
}

#[tokio::test]
async fn a_line_broken_off_in_any_phase_is_no_reply() {
    check(
        |script| script.send("250 o").cut(),
        |phase| ("protocol", format!("{}: connection closed by the other side in the middle of a line", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn garbage_in_any_phase_is_quoted_with_its_control_characters_spelt_out() {
    check(Script::garbage, |phase| {
        ("protocol", format!("{}: no SMTP reply: \"\\u{{0}}\u{fffd}\\u{{1b}}[31m\\u{{7}} SSH-2.0-garbage\"", phase.name))
    })
    .await;
}

#[tokio::test]
async fn a_line_without_an_end_in_any_phase_is_given_up() {
    check(Script::endless_line, |phase| ("protocol", format!("{}: a line without an end: more than 64 KiB", phase.name))).await;
}

#[tokio::test]
async fn a_reply_with_two_codes_in_any_phase_is_none() {
    check(|script| script.say("250-yes\n550 no"), |phase| ("protocol", format!("{}: one reply with two codes, 250 and 550", phase.name)))
        .await;
}

#[tokio::test]
async fn a_refusal_in_any_phase_is_told_with_code_and_text() {
    // 4yz: an EHLO refused so is not asked again by HELO.
    check(
        |script| script.say("451-4.3.0 not now,\n451 4.3.0 later"),
        |phase| (phase.refused, format!("{}: the server answered 451 4.3.0 not now, / 4.3.0 later", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn a_server_that_closes_with_421_breaks_the_protocol_in_any_phase_but_starttls() {
    check(
        |script| script.say("421 4.3.2 shutting down").cut(),
        |phase| {
            let kind = if phase.name == "STARTTLS" { "tls" } else { "protocol" };
            (kind, format!("{}: the server answered 421 4.3.2 shutting down", phase.name))
        },
    )
    .await;
}

/// Meets the deadline in each phase.
async fn check_late(fault: impl Fn(Script) -> Script) {
    let authority = Authority::new().unwrap();
    for phase in phases(&authority) {
        // Under TLS the second EHLO is what was recorded last, though not for the first time.
        let last = if phase.name == "AUTH PLAIN" { "ehlo" } else { phase.kept.last().unwrap() };
        let ran = run_at_once(DEADLINE, fault(phase.before), &keys(&authority)).await;
        let awaited = ran.awaited().unwrap_or_else(|| panic!("{ran:#?}"));
        assert!(["banner", "end of DATA"].contains(&phase.name) || awaited.contains(phase.name), "{}: {awaited}", phase.name);
        let message = format!("no end within 600 s: {awaited}; {last}_time was the last it recorded");
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
    check_late(|script| script.trickle("250 one byte now and then keeps no connection alive", Duration::from_secs(30))).await;
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let server = Server::start(Script::new()).await.unwrap();
    let config = config(&server, &json!({}));
    let port = server.port();
    drop(server);
    tokio::task::yield_now().await;
    let ran = Kit::<Smtp>::new(&config).unwrap().run().await;
    assert_failed(&ran, "connect", &format!("cannot connect to 127.0.0.1:{port}: Connection refused"), &["resolve"]);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_to_resolve() {
    let ran = Kit::<Smtp>::new(&json!({ "host": "mx.watchpost.invalid" })).unwrap().run().await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!(kind, "resolve");
    assert!(message.starts_with("no address for mx.watchpost.invalid: "), "{message}");
    assert!(ran.recorded().is_empty());
}
