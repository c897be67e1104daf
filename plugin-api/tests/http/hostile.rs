//! Servers that lie about lengths, send no end of heads, or something else than HTTP: each an error, none a hang or a full memory.

use crate::*;

async fn check(script: Script, kind: &str, parts: &[&str]) {
    match answer_to("GET", Page::raw(script)).await {
        Ok(got) => panic!("got {got:?}"),
        Err((found, message)) => assert!(found == kind && parts.iter().all(|part| message.contains(part)), "{found}: {message}"),
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

#[tokio::test]
async fn a_head_without_an_end_is_a_limit() {
    let too_long = "more than 64 KiB before the body of the answer";
    check(Script::new().send(format!("{OK}X-Long: ")).endless_line(), "limit", &[too_long]).await;
    check(Script::new().endless_line(), "protocol", &["no HTTP/1.1"]).await;
    check(Script::new().send("HTTP/1.1 200 ").endless_line(), "limit", &[too_long]).await;
    let lines = format!("{OK}{}\r\n", "X: y\r\n".repeat(101));
    check(Script::new().send(lines), "limit", &["more than 100 lines"]).await;
    let flood = format!("{OK}{}", format!("X: {}\r\n", "y".repeat(7000)).repeat(50));
    check(Script::new().send(flood).silence(), "limit", &[too_long]).await;
}

#[tokio::test]
async fn answers_that_announce_others_without_end_are_a_limit() {
    let early = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let script = (0..50).fold(Script::new(), |script, _| script.send(early.clone()));
    check(script.silence(), "limit", &["more than 64 KiB before the body of the answer"]).await;
}

#[tokio::test]
async fn a_head_of_a_hundred_lines_and_of_almost_the_limit_is_read() {
    // The lines that a page has of its own are among the hundred.
    let page = (0..99).fold(Page::ok("page"), |page, n| page.header(&format!("X-{n}"), &"y".repeat(600)));
    assert_eq!(answer_to("GET", page).await.unwrap().head.headers.len(), 100);
}

#[tokio::test]
async fn a_length_that_is_a_lie_is_an_error() {
    let length = |length: &str, body: &str| Script::new().send(format!("{OK}Content-Length: {length}\r\n\r\n{body}"));
    let in_the_middle = ["closed by the other side in the middle of the answer"];
    check(length("10", "short"), "protocol", &in_the_middle).await;
    check(length("9223372036854775807", "short"), "protocol", &in_the_middle).await;
    check(length("18446744073709551615", "short"), "limit", &["a length beyond all measure"]).await;
    check(length("99999999999999999999999", "x"), "protocol", &["no HTTP/1.1"]).await;
    check(length("-1", "x"), "protocol", &["no HTTP/1.1"]).await;
    check(length("5\r\nContent-Length: 6", "short"), "protocol", &["no HTTP/1.1"]).await;
    check(length("10", "short").reset(), "protocol", &["reset by the other side"]).await;
}

#[tokio::test]
async fn chunks_that_lie_are_an_error() {
    let chunks = |chunks: &str| Script::new().send(format!("{OK}Transfer-Encoding: chunked\r\n\r\n{chunks}"));
    check(chunks("5\r\nhel"), "protocol", &["in the middle of the answer"]).await;
    check(chunks("5\r\nhello"), "protocol", &["in the middle of the answer"]).await;
    check(chunks("5\r\nhello world\r\n0\r\n\r\n"), "protocol", &[]).await;
    check(chunks("xyz\r\nhello\r\n"), "protocol", &[]).await;
    check(chunks("-5\r\nhello\r\n"), "protocol", &[]).await;
    check(chunks("fffffffffffffffff\r\nhello\r\n"), "protocol", &[]).await;
    check(chunks("5\r\nhello\r\n"), "protocol", &["in the middle of the answer"]).await;
    check(chunks(&format!("5;{}", "x".repeat(100_000))), "protocol", &[]).await;
    check(chunks(&format!("0\r\n{}", "X: y\r\n".repeat(100_000))), "protocol", &[]).await;
    // Of the largest chunk that can be told, as much is read as the agent allows.
    let huge = (0..40).fold(chunks("7fffffffffffffff\r\n"), |script, _| script.send("x".repeat(1 << 16)));
    check(huge, "limit", &["more than 1048576 bytes in the body of the answer"]).await;
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    let none = ["the answer is no HTTP/1.1"];
    check(Script::new().garbage(), "protocol", &none).await;
    check(Script::new().say("220 mail.lab.test ESMTP"), "protocol", &none).await;
    check(Script::new().send("HTTP/2.0 200 OK\r\n\r\n"), "protocol", &none).await;
    check(Script::new().send("HTTP/1.1 abc OK\r\n\r\n"), "protocol", &none).await;
    check(Script::new().send(format!("{OK}no header\r\n\r\n")), "protocol", &none).await;
    check(Script::new().send(format!("{OK}A: b\r\n folded\r\n\r\n")), "protocol", &none).await;
    check(Script::new().send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "protocol", &none).await;
    let upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    check(Script::new().send(upgrade).silence(), "protocol", &["goes over to another protocol"]).await;
    check(Script::new().reset(), "protocol", &["reset by the other side"]).await;
    check(Script::new().send("HTTP/1.1 20"), "protocol", &["in the middle of the answer"]).await;
}

#[tokio::test]
async fn a_server_that_only_listens_or_stops_in_the_middle_ends_at_the_deadline() {
    for script in [Script::new().silence(), Script::new().send(format!("{OK}Content-Length: 10\r\n\r\nshort")).silence()] {
        let server = HttpServer::start(Pages::new().on("GET /", Page::raw(script))).await.unwrap();
        let (kit, id) = browser(&[json!({ "url": server.url("/") })], "");
        let (ran, _) = run(&mut kit.timeout(Duration::from_millis(300)), id).await;
        assert_eq!(ran.failure().map(|(kind, _)| kind), Some("timeout"));
    }
}
