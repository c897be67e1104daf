//! What goes wrong: each has its kind, and no figure is claimed.

use std::net::TcpListener;

use watchpost_testkit::Script;

use crate::*;

#[tokio::test]
async fn an_endpoint_that_is_gone_refuses_and_one_that_stalls_meets_the_deadline() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = json!({ "source": "bind", "url": format!("http://{free}/json/v1/server") });
    assert_unknown(&run(&config).await, "connect", "");
    for stalled in
        [Page::raw(Script::new().silence()), Page::raw(Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nmails").silence())]
    {
        let server = server(stalled).await;
        assert_unknown(&run_within(Duration::from_secs(2), &prometheus(&server)).await, "timeout", "");
    }
}

#[tokio::test]
async fn a_page_that_is_none_is_told_with_its_line() {
    for (page, message) in [
        (Page::ok("<html><body>It works</body></html>\n"), "the page is not understood: line 1: no name is there"),
        (Page::ok("mails_total 1\nmails_total"), "the page is not understood: line 2: the page breaks off"),
        (Page::ok("mails_total 1\nmails_total 2\n"), "the page is not understood: line 2: mails_total stands there twice"),
        (Page::ok("mails_total 1\n\u{fffd}\n"), "the page is not understood: line 2: no name is there"),
        (Page::ok(b"mails_total 1\n\xff\n".to_vec()), "the page is not understood: it is no UTF-8"),
        (Page::ok("mails_total 1\n").header("Content-Type", "application/openmetrics-text"), "# EOF is missing"),
        (Page::ok("# nothing\n"), "the page has no mails_total"),
        (Page::ok(""), "the page has no mails_total"),
        (Page::new("404 Not Found"), "the server answered 404"),
        (Page::redirect("http://127.0.0.1:1/"), "the server answered 302"),
        (Page::new("500 Internal Server Error").body("mails_total 1\n"), "the server answered 500"),
        (Page::raw(Script::new().send("220 mail.lab.test ESMTP\r\n")), ""),
        (Page::raw(Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nmails_total 1\n")), ""),
        (Page::raw(Script::new()), ""),
    ] {
        let server = server(page).await;
        assert_unknown(&run(&prometheus(&server)).await, "protocol", message);
    }
}

#[tokio::test]
async fn what_is_no_number_is_no_figure() {
    for odd in ["NaN", "+Inf", "-Inf"] {
        let server = server(Page::ok(format!("mails_total {odd}\n"))).await;
        let ran = run(&prometheus(&server)).await;
        assert_eq!((ran.failure(), figures(&ran)), (None, vec![]), "{odd}: {ran:#?}");
    }
}

#[tokio::test]
async fn a_page_without_end_is_cut_at_its_bound() {
    let line = "mails_total{label=\"value\"} 1\n";
    let server = server(Page::ok(line.repeat(2000))).await;
    let mut config = prometheus(&server);
    config["bytes_max"] = json!(line.len() * 1999);
    assert_unknown(&run(&config).await, "limit", "bytes in the body of the answer");
    let endless = Page::until_closed(line.repeat(200_000));
    let server = self::server(endless).await;
    assert_unknown(&run(&prometheus(&server)).await, "limit", "more than 4194304 bytes");
}

#[tokio::test]
async fn nothing_of_what_is_ready_is_no_success() {
    let server = HttpServer::start(Pages::new().on("GET /json/v1/server", Page::ok("{\"json-stats-version\":\"1.7\"}"))).await.unwrap();
    let ran = run(&json!({ "source": "bind", "url": server.url("/json/v1/server") })).await;
    assert_unknown(&ran, "protocol", "the page has nothing of what was expected: opcodes{name=\"QUERY\"}, ");
}
