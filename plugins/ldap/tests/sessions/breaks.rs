//! Every phase, cut, reset, silent, slow, garbled: the kind says whose fault, the message says where, and what was measured before is
//! kept.

use tokio::task::JoinSet;
use watchpost_testkit::Step;

use crate::*;

/// Deadlines, in seconds: the first is enough for everything before the fault, unless the machine is busy with other things.
const DEADLINES: [u64; 3] = [1, 4, 16];

/// A phase: what comes before the server's answer to it, what it is called, under which id it answers, and what is known by then.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    before: Script,
    pub(crate) id: u8,
    pub(crate) kept: &'static [&'static str],
}

/// What is recorded, in order, of a session that has everything.
const KEPT: &[&str] = &["resolve_time", "connect_time", "tls_time", "bind_time", "search_time"];

fn phases(authority: &Authority) -> Vec<Phase> {
    let begun = bound_securely(authority).then(search_asked());
    let phase = |name, before, id, kept: usize| Phase { name, before, id, kept: &KEPT[..kept] };
    vec![
        phase("StartTLS", expect("1.3.6.1.4.1.1466.20037"), 1, 2),
        phase("bind", secured(authority).then(bind_asked()), 2, 3),
        phase("search", begun.clone(), 3, 4),
        phase("search", begun.send(entry(3, "cn=a", &[])), 3, 5),
    ]
}

fn bound_securely(authority: &Authority) -> Script {
    secured(authority).then(bound(2))
}

/// Everything that a session can have, so that every phase comes.
fn keys(authority: &Authority) -> Value {
    login(json!({ "tls": "starttls", "ca_file": authority.file() }))
}

/// Breaks every phase in one way; `expected` makes kind and message of the phase.
pub(crate) async fn check(fault: impl Fn(&Phase, Script) -> Script, expected: impl Fn(&Phase) -> (&'static str, String)) {
    let authority = Authority::new().unwrap();
    for phase in phases(&authority) {
        let (kind, message) = expected(&phase);
        let (ran, _) = run(fault(&phase, phase.before.clone()), &keys(&authority)).await;
        assert_failed(&ran, kind, &message, phase.kept);
        assert!(!ran.everything().contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_connection_closed_in_any_phase_is_told_with_the_phase() {
    check(|_, script| script.cut(), |phase| ("protocol", format!("{}: connection closed by the other side", phase.name))).await;
}

#[tokio::test]
async fn a_connection_reset_in_any_phase_is_told_with_the_phase() {
    check(|_, script| script.reset(), |phase| ("protocol", format!("{}: connection reset by the other side", phase.name))).await;
}

#[tokio::test]
async fn a_message_broken_off_in_any_phase_is_none() {
    for length in [1, 3, 20] {
        check(
            |phase, script| script.send(&disconnection(phase.id, "")[..length]).cut(),
            |phase| ("protocol", format!("{}: connection closed by the other side in the middle of a message", phase.name)),
        )
        .await;
    }
}

#[tokio::test]
async fn garbage_in_any_phase_is_quoted_with_its_control_characters_spelt_out() {
    let quoted = "\\u{0}\u{fffd}\\u{1b}[31m\\u{7} SSH-2.0-garbage";
    check(|_, script| script.garbage(), |phase| ("protocol", format!("{}: no LDAP message: \"{quoted}\"", phase.name))).await;
}

#[tokio::test]
async fn a_flood_in_any_phase_is_none_of_ours() {
    let quoted = "x".repeat(60);
    check(|_, script| script.endless_line(), |phase| ("protocol", format!("{}: no LDAP message: \"{quoted}\"", phase.name))).await;
}

#[tokio::test]
async fn a_server_that_takes_its_leave_in_any_phase_is_told_with_its_reason() {
    check(
        |_, script| script.send(disconnection(52, "shutting\ndown")).cut(),
        |phase| ("protocol", format!("{}: the server ends the session: unavailable (52): shutting\\ndown", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_one() {
    let authority = Authority::new().unwrap();
    let trickled = |bytes| Script::new().step(Step::Trickle(bytes, Duration::from_millis(1)));
    let answers = bind_asked().then(trickled(result(2, BIND, 0, "", &[]))).then(search_asked());
    let script = secured(&authority).then(answers).then(trickled([two(3), result(3, SEARCH, 0, "", &[])].concat())).then(unbound());
    let ended = run(script, &keys(&authority)).await;
    assert_ok(&ended);
    assert_eq!(ended.0.value(watchpost_ldap::ENTRIES), Some(2.0));
}

/// Meets the deadline in each phase, side by side, since each takes the whole of it.
async fn check_late(fault: impl Fn(&Phase) -> Script) {
    let authority = Authority::new().unwrap();
    let mut runs = JoinSet::new();
    for phase in phases(&authority) {
        let (script, keys) = (phase.before.clone().then(fault(&phase)), keys(&authority));
        runs.spawn(async move {
            let last = phase.kept.last().unwrap();
            for seconds in DEADLINES {
                let (ran, _) = run_within(Duration::from_secs(seconds), script.clone(), &keys).await;
                if ran.recorded().len() == phase.kept.len() || seconds == DEADLINES[2] {
                    let awaited = ran.awaited().unwrap_or_else(|| panic!("{ran:#?}"));
                    assert!(awaited.contains(phase.name), "{}: {awaited}", phase.name);
                    let message = format!("no end within {seconds} s: {awaited}; {last} was the last it recorded");
                    return assert_failed(&ran, "timeout", &message, phase.kept);
                }
            }
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_in_any_phase_meets_the_deadline() {
    check_late(|_| Script::new().silence()).await;
}

#[tokio::test]
async fn a_server_that_trickles_in_any_phase_meets_the_deadline_all_the_same() {
    check_late(|phase| Script::new().step(Step::Trickle(disconnection(phase.id, ""), Duration::from_millis(700)))).await;
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let server = Server::start(Script::new()).await.unwrap();
    let config = config(&server, &json!({}));
    let port = server.port();
    drop(server);
    tokio::task::yield_now().await;
    let ran = Kit::<Ldap>::new(&config).unwrap().run().await;
    assert_failed(&ran, "connect", &format!("cannot connect to 127.0.0.1:{port}: Connection refused"), &KEPT[..1]);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_to_resolve() {
    let ran = Kit::<Ldap>::new(&json!({ "host": "ldap.watchpost.invalid" })).unwrap().run().await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!(kind, "resolve");
    assert!(message.starts_with("no address for ldap.watchpost.invalid: "), "{message}");
    assert!(ran.recorded().is_empty());
}
