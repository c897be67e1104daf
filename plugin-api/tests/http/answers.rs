//! Answers are read to their end, however a server marks it, and told as they were sent.

use crate::*;

async fn check(method: &str, page: Page, status: u16, text: &str) -> Got {
    let got = answer_to(method, page).await.unwrap();
    assert_eq!((got.head.status, got.text.as_str()), (status, text));
    got
}

#[tokio::test]
async fn a_body_ends_where_the_server_says() {
    check("GET", Page::ok("hello"), 200, "hello").await;
    check("GET", Page::ok(""), 200, "").await;
    check("GET", Page::chunked(&["hel", "lo", " again"]), 200, "hello again").await;
    check("GET", Page::until_closed("hello"), 200, "hello").await;
    check("HEAD", Page::ok("hello"), 200, "").await;
    check("HEAD", Page::chunked(&["hello"]), 200, "").await;
    check("GET", Page::new("204 No Content"), 204, "").await;
    check("GET", Page::new("304 Not Modified"), 304, "").await;
    check("GET", Page::raw(Script::new().send("HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n").silence()), 304, "").await;
    check("GET", Page::raw(Script::new().send("HTTP/1.0 200 OK\r\n\r\nold")), 200, "old").await;
    let trailers = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n";
    check("GET", Page::raw(Script::new().send(trailers)), 200, "abc").await;
    // RFC 9112 6.3: where both are told, the chunks count.
    let both = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    check("GET", Page::raw(Script::new().send(both)), 200, "abc").await;
    check("GET", Page::new("404 Not Found").body("none"), 404, "none").await;
    check("POST", Page::new("500 Oops").body("sorry"), 500, "sorry").await;
}

#[tokio::test]
async fn a_large_body_comes_whole_in_any_pieces() {
    let large: String = (0..100_000).map(|n| format!("{n:07}\n")).collect();
    check("GET", Page::ok(large.clone()), 200, &large).await;
    let pieces: Vec<&str> = large.as_bytes().chunks(777).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
    check("GET", Page::chunked(&pieces), 200, &large).await;
    let slow = Script::new().send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").trickle("abc", Duration::from_millis(5));
    check("GET", Page::raw(slow), 200, "abc\r\n").await;
    let trickled =
        Script::new().step(watchpost_testkit::Step::Trickle(b"HTTP/1.1 200 Fine\r\nA: b\r\n\r\n".into(), Duration::from_millis(2)));
    check("GET", Page::raw(trickled), 200, "").await;
}

#[tokio::test]
async fn a_head_is_told_in_the_order_and_the_case_that_it_was_sent() {
    let sent = "HTTP/1.1 200 Alles gut\r\nset-COOKIE: a=1\r\nX-One: 1\r\nSet-Cookie: b=2\r\nX-Empty:\r\nX-Odd: \u{fc}\r\nContent-Length: 0\r\n\r\n";
    // 1xx answers before it are not it.
    let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let got = check("GET", Page::raw(Script::new().send(early).pause(Duration::from_millis(20)).send(sent)), 200, "").await;
    let headers: Vec<(&str, &str)> = got.head.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected =
        [("set-COOKIE", "a=1"), ("X-One", "1"), ("Set-Cookie", "b=2"), ("X-Empty", ""), ("X-Odd", "\u{fc}"), ("Content-Length", "0")];
    assert_eq!(headers, expected);
    assert_eq!((got.head.reason.as_str(), got.head.version.as_str()), ("Alles gut", "HTTP/1.1"));
    assert_eq!((got.head.header("x-one"), got.head.header("none")), (Some("1"), None));
    assert_eq!(got.head.headers_named("Set-Cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[tokio::test]
async fn a_request_says_what_the_agent_says_and_what_the_host_must() {
    let server = HttpServer::start(Pages::new()).await.unwrap();
    let url = server.url("/a/b?c=d%20e#not-sent");
    let headers = json!([["Cookie", "a=1"], ["X-Two", "2"], ["X-Two", "3"], ["accept", "text/html"]]);
    let form = json!([["user", "alice"], ["pass", "p a/ss"]]);
    let plain = json!({ "url": url, "headers": headers });
    let posted = json!({ "method": "POST", "url": server.url(""), "form": form, "headers": [["Host", "mail.lab.test"]] });
    let empty = json!({ "method": "POST", "url": server.url("/") });
    let (ran, _) = asked(&[plain, posted, empty]).await;
    assert_eq!(ran.failure(), None);
    let asked = server.asked().await.unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str(), asked.body.as_str()), ("GET", "/a/b?c=d%20e", ""));
    let we = asked.header("User-Agent").unwrap();
    assert!(we.starts_with("watchpost/"), "{we}");
    let sent: Vec<(&str, &str)> = asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let host = server.address().to_string();
    let expected = [
        ("Host", host.as_str()),
        ("Cookie", "a=1"),
        ("X-Two", "2"),
        ("X-Two", "3"),
        ("Accept", "text/html"),
        ("User-Agent", we),
        ("Accept-Encoding", "identity"),
    ];
    assert_eq!(sent, expected);
    let asked = server.asked().await.unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str(), asked.body.as_str()), ("POST", "/", "user=alice&pass=p+a%2Fss"));
    assert_eq!(asked.header("Content-Type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((asked.header("Host"), asked.header("Content-Length")), (Some("mail.lab.test"), Some("24")));
    assert_eq!(server.asked().await.unwrap().header("Content-Length"), Some("0"));
}

#[tokio::test]
async fn a_request_that_cannot_be_made_is_told_without_its_url() {
    let check = async |ask: Value, expected: &str| {
        let (ran, _) = asked(&[ask]).await;
        assert_eq!(ran.failure(), Some(("config", expected)));
    };
    let of = |url: &str| json!({ "url": url });
    check(of("http://a/ b"), "the URL is none: invalid uri character").await;
    check(of("/only/a/path"), "the URL names no host").await;
    check(of("http:///path"), "the URL is none: invalid format").await;
    check(of("ftp://a/"), "the URL begins with neither http:// nor https://").await;
    check(of("http://alice:geheim@a/"), "the URL has a user in it; that belongs into a header").await;
    check(of("http://a:99999/"), "the URL has a port that is no number").await;
    let with = |name: &str, value: &str| json!({ "url": "http://127.0.0.1:1/", "headers": [[name, value]] });
    check(with("X-A", "b\r\nX-C: d"), "the value of the header X-A cannot be sent").await;
    check(with("X A", "b"), "`X A` is no name of a header").await;
    check(with("Content-Length", "5"), "the header Content-Length is the host's").await;
    check(json!({ "method": "GET /x", "url": "http://127.0.0.1:1/" }), "`GET /x` is no method").await;
    check(json!({ "method": "CONNECT", "url": "http://127.0.0.1:1/" }), "CONNECT is for proxies, and this is none").await;
}

#[tokio::test]
async fn a_body_larger_than_the_agent_allows_is_an_error_and_not_a_cut() {
    let server = HttpServer::start(Pages::new().on("GET /", Page::ok("0123456789"))).await.unwrap();
    let of = |bytes_max: usize| json!({ "url": server.url("/"), "bytes_max": bytes_max });
    assert_eq!(asked(&[of(10)]).await.1[0].text, "0123456789");
    let (ran, _) = asked(&[of(9)]).await;
    assert_eq!(ran.failure(), Some(("limit", "more than 9 bytes in the body of the answer")));
}
