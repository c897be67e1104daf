//! The phases add up to the total, in nanoseconds, whatever a session has in it.

use watchpost_plugin_api::{Metric, standard::*};
use watchpost_testkit::Authority;

use crate::*;

const PHASES: [Metric; 8] =
    [RESOLVE_TIME, CONNECT_TIME, TLS_TIME, AUTHENTICATE_TIME, SELECT_TIME, DOWNLOAD_TIME, COMPOSE_SEND_TIME, LOGOUT_TIME];
const TIDY_TIME: Metric = Metric::gauge("tidy_time", watchpost_plugin_api::Unit::Seconds, "Time of the phase tidy.");

fn sum(ran: &Ran) -> u64 {
    PHASES.iter().chain([&TIDY_TIME]).filter_map(|phase| ran.nanos(*phase)).sum()
}

#[tokio::test]
async fn the_phases_of_a_session_add_up_to_its_total() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let closing = || pages().on("POST /mail/login", Page::redirect("/mail/box").close());
    for (pages, keys) in [
        (pages(), json!({})),
        (closing(), json!({})),
        (pages().tls(&tls), json!({ "ca_file": authority.file() })),
        (pages(), json!({ "leave_out": ["compose_send", "tidy"] })),
    ] {
        let server = HttpServer::start(pages).await.unwrap();
        let mut steps = whole();
        if keys.get("leave_out").is_some() {
            steps[6]["only_with"] = json!(["draft"]);
        }
        let ran = run(&config(&server, steps, keys.clone())).await;
        assert_eq!(ran.failure(), None, "{ran:#?}");
        assert_eq!(ran.nanos(TOTAL_TIME), Some(sum(&ran)), "{keys}: {ran:#?}");
        assert_eq!(ran.nanos(TLS_TIME).is_some(), keys.get("ca_file").is_some());
        let left_out = keys.get("leave_out").is_some();
        assert_eq!([COMPOSE_SEND_TIME, TIDY_TIME].map(|phase| ran.nanos(phase).is_none()), [left_out; 2]);
        assert_eq!(ran.value(watchpost_webmail::DOWNLOAD_BYTES), Some((TEXT.len() + "<p id=text></p>".len()) as f64));
        assert_discreet(&ran);
    }
}

/// Each phase is as long as its server made it, and what belongs to none is in no sum.
#[tokio::test]
async fn a_phase_has_the_time_of_its_own_steps() {
    let wait = Duration::from_millis(60);
    let slow = |slow: &str| {
        let mut pages = Pages::new();
        let list = json!({ "state": "listed", "rows": "row(17,'x');" }).to_string();
        let form = format!("<input name=\"token\" value=\"{TOKEN}\"> name=user");
        for (request, page) in [
            ("GET /mail/", Page::ok(form)),
            ("POST /mail/login", Page::redirect("box")),
            ("GET /mail/box", Page::ok(list)),
            ("GET /mail/show", Page::ok("id=text")),
            ("GET /mail/compose", Page::ok("name=\"draft\" value=\"d\"")),
            ("POST /mail/send", Page::ok("sent")),
            ("POST /mail/remove", Page::ok("")),
            ("GET /mail/logout", Page::ok("goodbye")),
        ] {
            pages = pages.on(request, if request == slow { page.after(wait) } else { page });
        }
        pages
    };
    for (request, phase) in [
        ("GET /mail/", Some(AUTHENTICATE_TIME)),
        ("POST /mail/login", Some(AUTHENTICATE_TIME)),
        ("GET /mail/box", Some(SELECT_TIME)),
        ("GET /mail/compose", Some(COMPOSE_SEND_TIME)),
        ("POST /mail/send", Some(COMPOSE_SEND_TIME)),
        ("POST /mail/remove", None),
        ("GET /mail/logout", Some(LOGOUT_TIME)),
    ] {
        let (ran, _) = run_steps(slow(request), whole()).await;
        assert_eq!(ran.failure(), None, "{request}: {ran:#?}");
        // Here and not by a limit on the others: a busy machine makes any phase longer, and none shorter.
        if let Some(phase) = phase {
            assert!(ran.nanos(phase).unwrap() >= 60_000_000, "{request}: {ran:#?}");
        }
        assert_eq!(ran.nanos(TOTAL_TIME), Some(sum(&ran)), "{request}");
        let whole = ran.dialogue.last().unwrap().at_ns;
        assert!(phase.is_some() || whole.saturating_sub(sum(&ran)) >= 60_000_000, "{request}: {ran:#?}");
    }
}

#[tokio::test]
async fn a_phase_that_fails_half_way_has_no_time() {
    for (at, kept) in [(1, 2), (4, 6)] {
        let (ran, _) = run_steps(pages(), broken(whole(), at)).await;
        assert_eq!(ran.failure().unwrap().0, "protocol");
        let all = ["resolve_time", "connect_time", "authenticate_time", "select_time", "download_time", "download_bytes"];
        assert_eq!(ran.recorded(), all[..kept]);
    }
}

/// The script with a step that is not met.
fn broken(mut script: Value, at: usize) -> Value {
    script[at]["expect"] = json!([{ "contains": "what is not there" }]);
    script
}

#[tokio::test]
async fn an_empty_mailbox_has_no_download_and_is_no_fault() {
    let empty = json!({ "state": "listed", "rows": "" }).to_string();
    let server = HttpServer::start(
        Pages::new()
            .on("GET /mail/", Page::ok(format!("name=\"token\" value=\"{TOKEN}\" name=user")))
            .on("POST /mail/login", Page::redirect("box"))
            .on("GET /mail/box", Page::ok(empty)),
    )
    .await
    .unwrap();
    let steps: Vec<Value> = whole().as_array().unwrap()[..4].to_vec();
    let ran = run(&config(&server, json!(steps), json!({}))).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(ran.recorded(), ["resolve_time", "connect_time", "authenticate_time", "select_time", "total_time"]);
    assert_eq!(ran.nanos(TOTAL_TIME), Some(sum(&ran)));
    assert_eq!(server.asked_so_far().await.len(), 3);
}
