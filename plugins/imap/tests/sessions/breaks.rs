//! Every phase, cut, reset, refused, silent, slow, garbled, endless: the kind says whose fault, the message says where,
//! and what was measured before is kept.

use std::time::Duration;

use watchpost_testkit::Authority;

use crate::*;

/// A deadline that nobody would wait for.
const DEADLINE: Duration = Duration::from_secs(600);

/// A phase: what comes before the server's answer to it, what it is called, and what is known by then.
#[derive(Clone)]
struct Phase {
    name: &'static str,
    before: Script,
    kept: &'static [&'static str],
    /// The tag of its command; the banner has none.
    tag: &'static str,
    /// The kind when the server says no.
    refused: &'static str,
}

/// What is recorded, in order, of a session that has everything.
const KEPT: &[&str] = &[
    "resolve_time",
    "connect_time",
    "banner_time",
    "tls_time",
    "authenticate_time",
    "select_time",
    "mailbox_size",
    "search_time",
    "search_found",
];

fn capability(offers: &str) -> Script {
    answers(2, "CAPABILITY", &format!("* CAPABILITY IMAP4rev1 {offers}\nOK done"))
}

/// The phases, each up to the server's answer.
fn phases(authority: &Authority) -> Vec<Phase> {
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let banner = Script::new().say("* OK ready");
    let starttls = offering("STARTTLS").then(asked(1, "STARTTLS"));
    let secure = starttls.clone().say("w1 OK go").tls(&tls);
    let capabilities = secure.clone().expect("w2 CAPABILITY");
    let login = secure.clone().then(capability("")).then(asked(3, "LOGIN"));
    let plain = secure.then(capability("SASL-IR AUTH=PLAIN")).then(asked(3, "AUTHENTICATE PLAIN "));
    let examine = plain.clone().say("w3 OK in").then(asked(4, "EXAMINE"));
    let search = examine.clone().say("* 2 EXISTS\nw4 OK").then(asked(5, "SEARCH"));
    let fetch = search.clone().say("* SEARCH 1\nw5 OK").then(asked(6, "FETCH 2"));
    let phase = |name, tag, before, kept: usize, refused| Phase { name, tag, before, kept: &KEPT[..kept], refused };
    vec![
        phase("banner", "*", Script::new(), 2, "protocol"),
        phase("CAPABILITY", "w1", banner.then(asked(1, "CAPABILITY")), 3, "protocol"),
        phase("STARTTLS", "w1", starttls, 3, "tls"),
        phase("CAPABILITY", "w2", capabilities, 4, "protocol"),
        phase("LOGIN", "w3", login, 4, "auth"),
        phase("AUTHENTICATE PLAIN", "w3", plain, 4, "auth"),
        phase("EXAMINE", "w4", examine, 5, "protocol"),
        phase("SEARCH", "w5", search, 7, "protocol"),
        phase("FETCH", "w6", fetch, 9, "protocol"),
    ]
}

/// The phases whose answer has data before its end, some of which has come.
fn halves(authority: &Authority) -> Vec<Phase> {
    let begun = |name: &str| match name {
        "CAPABILITY" => "* CAPABILITY IMAP4rev1\r\n",
        "EXAMINE" => "* 2 EXISTS\r\n* LIST () \"/\" {5}\r\nab",
        "SEARCH" => "* SEARCH 1 2\r\n",
        "FETCH" => "* 2 FETCH (BODY[]<0> {500}\r\nSubject: Mirabelle",
        _ => "",
    };
    let mut halves = phases(authority);
    halves.retain(|phase| !begun(phase.name).is_empty());
    halves.iter_mut().for_each(|phase| phase.before = phase.before.clone().send(begun(phase.name)));
    halves
}

/// Everything that a session can have, so that every phase comes.
fn keys(authority: &Authority) -> Value {
    login(json!({ "tls": "starttls", "ca_file": authority.file() }))
}

/// Breaks phases in one way; `expected` makes kind and message of the phase's name.
async fn check(
    phases: impl IntoIterator<Item = Phase>,
    authority: &Authority,
    fault: impl Fn(&Phase) -> Script,
    expected: impl Fn(&Phase) -> (&'static str, String),
) {
    for phase in phases {
        let (kind, message) = expected(&phase);
        let (ran, _) = run(fault(&phase), &keys(authority)).await;
        assert_failed(&ran, kind, &message, phase.kept);
        assert!(!ran.everything().contains(PASSWORD) && !ran.everything().contains("Mirabelle"));
    }
}

/// Breaks every answer in one way, at its beginning.
async fn check_answers(fault: impl Fn(&Phase) -> Script, expected: impl Fn(&Phase) -> (&'static str, String)) {
    let authority = Authority::new().unwrap();
    check(phases(&authority), &authority, fault, expected).await;
}

/// Breaks every answer in one way, at its beginning and in the middle.
async fn check_all(fault: impl Fn(Script) -> Script, expected: impl Fn(&Phase) -> (&'static str, String)) {
    let authority = Authority::new().unwrap();
    let all = phases(&authority).into_iter().chain(halves(&authority));
    check(all, &authority, |phase| fault(phase.before.clone()), expected).await;
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
async fn a_line_broken_off_in_any_phase_is_no_answer() {
    check_answers(
        |phase| phase.before.clone().send(format!("{} O", phase.tag)).cut(),
        |phase| ("protocol", format!("{}: connection closed by the other side in the middle of a line", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn garbage_in_any_phase_is_quoted_with_its_control_characters_spelt_out_unless_it_may_be_a_message() {
    check_answers(
        |phase| phase.before.clone().garbage(),
        |phase| {
            let quoted = if phase.name == "FETCH" { "" } else { ": \"\\u{0}\u{fffd}\\u{1b}[31m\\u{7} SSH-2.0-garbage\"" };
            ("protocol", format!("{}: no IMAP response{quoted}", phase.name))
        },
    )
    .await;
}

#[tokio::test]
async fn a_line_without_an_end_in_any_phase_is_given_up() {
    check_answers(
        |phase| phase.before.clone().endless_line(),
        |phase| {
            let kib = if phase.name == "SEARCH" { 8192 } else { 64 };
            ("protocol", format!("{}: a line without an end: more than {kib} KiB", phase.name))
        },
    )
    .await;
}

#[tokio::test]
async fn a_literal_too_large_in_any_phase_is_not_waited_for() {
    let authority = Authority::new().unwrap();
    let phases = phases(&authority).into_iter().filter(|phase| phase.name != "banner");
    check(
        phases,
        &authority,
        |phase| phase.before.clone().say("* XDATA ({99999999999999999999}").silence(),
        |phase| {
            let bound = if phase.name == "FETCH" { "download_max" } else { "the bound of 64 KiB for a literal" };
            ("limit", format!("{}: more than {bound} allows", phase.name))
        },
    )
    .await;
}

#[tokio::test]
async fn a_refusal_in_any_phase_is_told_with_its_text() {
    check_answers(
        |phase| phase.before.clone().say(&format!("{} NO not  now,\u{7} later", phase.tag)),
        |phase| (phase.refused, format!("{}: the server answered NO not  now,\\u{{7}} later", phase.name)),
    )
    .await;
}

#[tokio::test]
async fn a_command_that_the_server_does_not_understand_breaks_the_protocol_in_any_phase_but_starttls() {
    check_answers(
        |phase| phase.before.clone().say(&format!("{} BAD what?", phase.tag)),
        |phase| {
            let kind = if phase.name == "STARTTLS" { "tls" } else { "protocol" };
            (kind, format!("{}: the server answered BAD what?", phase.name))
        },
    )
    .await;
}

#[tokio::test]
async fn a_server_that_takes_its_leave_in_any_phase_is_told_with_the_phase() {
    check_answers(
        |phase| phase.before.clone().say("* BYE shutting down").silence(),
        |phase| {
            let text = if phase.name == "FETCH" { "" } else { " shutting down" };
            ("protocol", format!("{}: the server answered BYE{text}", phase.name))
        },
    )
    .await;
}

#[tokio::test]
async fn an_answer_to_another_command_is_refused_in_any_phase() {
    for other in ["w0 OK done", "W1 OK done", "w7 OK done", "A OK done"] {
        check_answers(
            |phase| phase.before.clone().say(other).silence(),
            |phase| {
                let what =
                    if phase.name == "banner" { "an answer before anything was asked" } else { "the server answered another command" };
                ("protocol", format!("{}: {what}", phase.name))
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_go_ahead_that_nobody_waits_for_is_refused_in_any_phase() {
    check_answers(
        |phase| phase.before.clone().say("+ go on").silence(),
        |phase| {
            let what =
                if phase.name == "banner" { "an answer before anything was asked" } else { "the server asks for more than there is" };
            ("protocol", format!("{}: {what}", phase.name))
        },
    )
    .await;
}

/// Meets the deadline in each phase.
async fn check_late(fault: impl Fn(Script) -> Script) {
    let authority = Authority::new().unwrap();
    for phase in phases(&authority).into_iter().chain(halves(&authority)) {
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
    check_late(|script| script.trickle("* OK one byte now and then keeps no connection alive", Duration::from_secs(30))).await;
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let server = Server::start(Script::new()).await.unwrap();
    let config = config(&server, &json!({}));
    let port = server.port();
    drop(server);
    tokio::task::yield_now().await;
    let ran = Kit::<Imap>::new(&config).unwrap().run().await;
    assert_failed(&ran, "connect", &format!("cannot connect to 127.0.0.1:{port}: Connection refused"), &KEPT[..1]);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_to_resolve() {
    let ran = Kit::<Imap>::new(&json!({ "host": "imap.watchpost.invalid" })).unwrap().run().await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!(kind, "resolve");
    assert!(message.starts_with("no address for imap.watchpost.invalid: "), "{message}");
    assert!(ran.recorded().is_empty());
}
