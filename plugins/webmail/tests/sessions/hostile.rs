//! Pages that are made to harm: each a failure or harmless, none a hang, a full memory or a fault of the configuration.

use watchpost_testkit::Script;

use crate::*;

fn raw(script: Script) -> Pages {
    Pages::new().on("GET /mail/", Page::raw(script))
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

async fn check(pages: Pages, kind: &str, message: &str) {
    let (ran, _) = run_steps(pages, json!([{ "name": "page", "expect": [{ "contains": "x" }] }])).await;
    let (found, said) = ran.failure().unwrap();
    assert!(found == kind && said.starts_with("page: ") && said.contains(message), "{found}: {said}");
}

#[tokio::test]
async fn a_body_without_an_end_is_a_limit() {
    check(raw(Script::new().send(format!("{OK}\r\n")).endless_line()), "limit", "more than 4194304 bytes in the body").await;
    let long = "x".repeat(2001);
    let server = HttpServer::start(Pages::new().on("GET /mail/", Page::ok(long))).await.unwrap();
    let steps = json!([{ "name": "page" }]);
    for (body_max, expected) in [(2000, Some("limit")), (2001, None)] {
        let ran = run(&config(&server, steps.clone(), json!({ "body_max": body_max }))).await;
        assert_eq!(ran.failure().map(|(kind, _)| kind), expected, "{body_max}");
    }
}

#[tokio::test]
async fn a_head_beyond_all_measure_is_a_limit() {
    check(raw(Script::new().send(format!("{OK}X: ")).endless_line()), "limit", "more than 64 KiB before the body").await;
    let thousand: String = (0..1000).map(|n| format!("Set-Cookie: c{n}=1\r\n")).collect();
    check(raw(Script::new().send(format!("{OK}{thousand}\r\n"))), "limit", "more than 100 lines").await;
}

#[tokio::test]
async fn what_is_no_http_is_a_breach_of_the_protocol() {
    check(raw(Script::new().garbage()), "protocol", "no HTTP/1.1").await;
    check(raw(Script::new().send("220 mail ESMTP\r\n")), "protocol", "no HTTP/1.1").await;
}

/// Ninety cookies an answer, ten answers: what goes back stays small.
#[tokio::test]
async fn a_flood_of_cookies_goes_back_as_a_few() {
    let mut pages = Pages::new();
    for n in 0..10 {
        let page = (0..90).fold(Page::redirect(&format!("/{}", n + 1)), |page, c| {
            page.header("Set-Cookie", &format!("c{n}-{c}={}; Path=/", "v".repeat(600)))
        });
        pages = pages.on(if n == 0 { "GET /mail/".to_owned() } else { format!("GET /{n}") }.as_str(), page);
    }
    let (ran, asked) = run_steps(pages.on("GET /10", Page::ok("x")), json!([{ "name": "page" }])).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    assert!(asked[10].header("Cookie").unwrap().len() <= 16 * 1024);
}

#[tokio::test]
async fn binary_is_searched_like_any_page() {
    let mut body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    body.extend(b"x=<v>");
    let steps = json!([{ "name": "page", "take": { "v": { "after": ["x=<"], "until": ">" } }, "expect": [{ "lacks": "y=<" }] }]);
    let (ran, _) = run_steps(Pages::new().on("GET /mail/", Page::ok(body)), steps).await;
    assert_eq!(ran.failure(), None);
}

#[tokio::test]
async fn a_value_without_an_end_is_none() {
    let take = |take: Value| json!([{ "name": "page", "take": { "v": take } }]);
    let long = format!("x=<{}>", "v".repeat(10_000));
    let many = "x=<v>".repeat(9000);
    for (body, rule) in [
        (long.clone(), json!({ "after": ["x=<"], "until": ">" })),
        (many, json!({ "after": ["x=<"], "until": ">", "all": true })),
        ("x=<a\r\nX-Evil: 1>".into(), json!({ "after": ["x=<"], "until": ">" })),
        (format!("x=<{}>", "&".repeat(1 << 20)), json!({ "after": ["x=<"], "until": ">", "html": true })),
    ] {
        let (ran, _) = run_steps(Pages::new().on("GET /mail/", Page::ok(body)), take(rule)).await;
        assert_failed(&ran, "protocol", "page: what stands for v in the page can be none");
    }
}

/// What a page puts where a token is to be cannot break out of where it is filled in.
#[tokio::test]
async fn a_hostile_value_stays_a_value() {
    let evil = "x&p=1\"}#?/../{password}%0d%0a";
    let pages =
        Pages::new().on("GET /mail/", Page::ok(format!("t=<{evil}>"))).on("POST /mail/a", Page::ok("")).on("POST /mail/b", Page::ok(""));
    let steps = json!([
        { "name": "page", "take": { "t": { "after": ["t=<"], "until": ">", "public": true } } },
        { "name": "a", "path": "a?t={t}", "form": { "t": "{t}" } },
        { "name": "b", "path": "b", "json": { "t": "{t}" }, "headers": { "X-T": "{t}" } },
    ]);
    let (ran, asked) = run_steps(pages, steps).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let encoded = "x%26p%3D1%22%7D%23%3F%2F..%2F%7Bpassword%7D%250d%250a";
    assert_eq!(
        (asked[1].path.as_str(), asked[1].body.as_str()),
        (format!("/mail/a?t={encoded}").as_str(), format!("t={encoded}").as_str())
    );
    assert_eq!(asked[2].body, json!({ "t": evil }).to_string());
    assert_eq!(asked[2].header("X-T"), Some(evil));
}
