//! Every way in which a session breaks, in each of its phases: the right kind, the step by its name, and no false number.

use tokio::task::JoinSet;
use watchpost_testkit::{Authority, Script};

use crate::*;

/// Deadlines that are tried one after the other: the first that is long enough for everything before the fault.
const DEADLINES: [u64; 3] = [1, 4, 16];

/// A request of the session, the step it belongs to, and what is recorded before that.
const STEPS: [(&str, &str, usize); 8] = [
    ("GET /mail/", "login page", 0),
    ("POST /mail/login", "login", 2),
    ("GET /mail/box", "box", 3),
    ("GET /mail/show", "show", 4),
    ("GET /mail/compose", "compose", 6),
    ("POST /mail/send", "send", 6),
    ("POST /mail/remove", "remove", 7),
    ("GET /mail/logout", "logout", 8),
];
const KEPT: [&str; 8] = [
    "resolve_time",
    "connect_time",
    "authenticate_time",
    "select_time",
    "download_time",
    "download_bytes",
    "compose_send_time",
    "tidy_time",
];

/// The small web mail, with another page in one place; in the second run only, if there is to be one.
fn with(request: &str, page: Page, second: bool) -> Pages {
    let list = json!({ "state": "listed", "rows": "row(17,'x');" }).to_string();
    let good = [
        ("GET /mail/", Page::ok(format!("name=user name=\"token\" value=\"{TOKEN}\"")).header("Set-Cookie", "sid=s3ss10n-cookie")),
        ("POST /mail/login", Page::redirect("box")),
        ("GET /mail/box", Page::ok(list)),
        ("GET /mail/show", Page::ok(format!("id=text {TEXT}"))),
        ("GET /mail/compose", Page::ok("name=\"draft\" value=\"d-4711\"")),
        ("POST /mail/send", Page::ok("sent")),
        ("POST /mail/remove", Page::ok("")),
        ("GET /mail/logout", Page::ok("goodbye")),
    ];
    // A session asks for this one twice.
    let before = if request == "GET /mail/show" { 2 } else { 1 };
    good.into_iter().fold(Pages::new(), |pages, (known, good)| match known == request {
        true if second => (0..before).fold(pages, |pages, _| pages.on(known, good.clone())).on(known, page.clone()),
        true => pages.on(known, page.clone()),
        false => pages.on(known, good),
    })
}

/// Runs twice, the second time with another page in one place: a first run asks for the cursor and so keeps nothing when it fails.
async fn second(request: &str, page: Page, timeout: Duration) -> Ran {
    let server = HttpServer::start(with(request, page, true)).await.unwrap();
    let mut kit = Kit::<Webmail>::new(&config(&server, whole(), json!({}))).unwrap().explain();
    let first = kit.run().await;
    assert_eq!(first.failure(), None, "{first:#?}");
    kit.timeout(timeout).run().await
}

/// Breaks each step in one way.
async fn check(page: impl Fn() -> Page, expected: impl Fn(&str) -> (&'static str, String)) {
    for (request, step, kept) in STEPS {
        let ran = second(request, page(), Duration::from_secs(10)).await;
        let (kind, message) = expected(step);
        assert_failed(&ran, kind, &message);
        // The first connection is timed with its first answer.
        assert!(ran.recorded() == KEPT[..kept] || step == "login page" && ran.recorded() == KEPT[..2], "{step}: {ran:#?}");
        assert_discreet(&ran);
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_is_told_with_the_step() {
    let closed = "connection closed by the other side";
    check(|| Page::raw(Script::new().cut()), |step| ("protocol", format!("{step}: {closed} before an answer"))).await;
    check(
        || Page::raw(Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nname=user Mirab")),
        |step| ("protocol", format!("{step}: {closed} in the middle of the answer")),
    )
    .await;
}

#[tokio::test]
async fn a_connection_that_is_reset_is_told_with_the_step() {
    check(
        || Page::raw(Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort").reset()),
        |step| ("protocol", format!("{step}: connection reset by the other side")),
    )
    .await;
}

#[tokio::test]
async fn an_ill_server_is_told_with_its_status() {
    check(
        || Page::new("503 Service Unavailable").body(TEXT),
        |step| match step {
            "login" => ("protocol", "login: status 503 instead of 302 or 401".into()),
            _ => ("protocol", format!("{step}: status 503")),
        },
    )
    .await;
}

#[tokio::test]
async fn another_page_than_expected_is_told_by_what_it_lacks_and_never_by_what_it_says() {
    let missed = |step: &str| match step {
        "login page" => "no \"name=user\" in the page; the status is 200",
        "login" => "status 200 instead of 302 or 401",
        "box" => "something else than \"listed\" in /state of the JSON; the status is 200",
        "show" => "no \"id=text\" in the page; the status is 200",
        "compose" => "no draft to be taken from the page; the status is 200",
        "send" => "no \"sent\" in the page; the status is 200",
        _ => "no \"goodbye\" in the page; the status is 200",
    };
    for (request, step, _) in STEPS.into_iter().filter(|(_, step, _)| *step != "remove") {
        let (ran, _) = run_steps(with(request, Page::ok(format!("<h1>maintenance</h1> {TEXT}")), false), whole()).await;
        assert_failed(&ran, "protocol", &format!("{step}: {}", missed(step)));
        assert_discreet(&ran);
    }
}

#[tokio::test]
async fn a_refused_login_is_the_logins_fault_and_nothing_elses() {
    let (ran, asked) = run_steps(with("POST /mail/login", Page::new("401 Unauthorized").body("Login failed."), false), whole()).await;
    assert_failed(&ran, "auth", "login: status 401 instead of 302");
    assert_eq!(ran.recorded(), ["resolve_time", "connect_time"]);
    assert_eq!(asked.len(), 2, "nothing is asked after it");
    assert_discreet(&ran);
}

#[tokio::test]
async fn a_login_page_without_its_token_is_no_login_page() {
    let (ran, asked) = run_steps(with("GET /mail/", Page::ok("name=user name=\"other\" value=\"x\""), false), whole()).await;
    assert_failed(&ran, "protocol", "login page: no token to be taken from the page; the status is 200");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_server_that_says_nothing_meets_the_deadline_in_each_phase() {
    late(|| Page::raw(Script::new().silence())).await;
}

#[tokio::test]
async fn a_server_that_trickles_meets_the_deadline_in_each_phase_all_the_same() {
    late(|| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n";
        Page::raw(Script::new().send(head).trickle("one byte now and then keeps no session alive", Duration::from_millis(400)).silence())
    })
    .await;
}

/// Side by side, since each takes the whole of its deadline.
async fn late(page: impl Fn() -> Page) {
    let mut runs = JoinSet::new();
    for (request, step, kept) in STEPS {
        let page = page();
        runs.spawn(async move {
            for seconds in DEADLINES {
                let ran = second(request, page.clone(), Duration::from_secs(seconds)).await;
                let recorded = ran.recorded().len();
                if recorded == kept || step == "login page" && recorded <= 2 || seconds == DEADLINES[2] {
                    let (kind, message) = ran.failure().unwrap();
                    assert!(kind == "timeout" && message.starts_with(&format!("no end within {seconds} s")), "{step}: {message}");
                    assert_eq!(ran.recorded(), KEPT[..recorded], "{step}");
                    return;
                }
            }
        });
    }
    runs.join_all().await;
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let server = HttpServer::start(pages()).await.unwrap();
    let (config, port) = (config(&server, whole(), json!({})), server.port());
    drop(server);
    tokio::task::yield_now().await;
    let ran = run(&config).await;
    assert_failed(&ran, "connect", &format!("login page: cannot connect to 127.0.0.1:{port}: Connection refused"));
    assert!(ran.recorded().is_empty());
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_to_resolve() {
    let config = json!({ "url": "http://webmail.watchpost.invalid/", "steps": [{ "name": "page" }] });
    let ran = run(&config).await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "resolve" && message.starts_with("page: no address for webmail.watchpost.invalid: "), "{message}");
}

#[tokio::test]
async fn a_certificate_that_does_not_pass_is_a_failure_of_tls() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let another = Authority::new().unwrap();
    let check = async |keys: Value, expected: Option<&str>| {
        let server = HttpServer::start(pages().tls(&tls)).await.unwrap();
        let ran = run(&config(&server, whole(), keys.clone())).await;
        assert_eq!(ran.failure().map(|(kind, _)| kind), expected, "{keys}: {ran:#?}");
        assert!(expected.is_none() || server.asked_so_far().await.is_empty());
    };
    check(json!({ "ca_file": authority.file() }), None).await;
    check(json!({ "ca_file": authority.file(), "server_name": "other.test" }), Some("tls")).await;
    check(json!({ "ca_file": another.file() }), Some("tls")).await;
    check(json!({}), Some("tls")).await;
}
