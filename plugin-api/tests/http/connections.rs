//! Connections are used again, within a run or over runs, and a server that closed one harms nobody.

use crate::*;

/// Which connection each request came by.
async fn connections(server: &HttpServer) -> Vec<usize> {
    server.asked_so_far().await.iter().map(|asked| asked.connection).collect()
}

#[tokio::test]
async fn requests_of_a_run_share_a_connection_and_the_next_run_makes_its_own() {
    let pages =
        Pages::new().on("GET /", Page::ok("page")).on("GET /chunks", Page::chunked(&["pa", "ge"])).on("GET /none", Page::new("204 None"));
    let server = HttpServer::start(pages).await.unwrap();
    let of = |path: &str| json!({ "url": server.url(path) });
    let head = json!({ "method": "HEAD", "url": server.url("/") });
    let (mut kit, id) = browser(&[of("/"), of("/chunks"), of("/none"), head, of("/missing"), of("/")], "");
    for connection in 1..3 {
        let (ran, got) = run(&mut kit, id).await;
        assert_eq!(ran.failure(), None);
        assert_eq!(connections(&server).await, [connection; 6]);
        assert_eq!(got.iter().map(|got| got.head.reused).collect::<Vec<_>>(), [false, true, true, true, true, true]);
        assert_eq!(got.iter().map(|got| got.text.as_str()).collect::<Vec<_>>(), ["page", "page", "", "", "there is no such page", "page"]);
    }
}

#[tokio::test]
async fn a_connection_is_kept_no_longer_and_no_shorter_than_asked() {
    let server = HttpServer::start(Pages::new().on("GET /", Page::ok("page"))).await.unwrap();
    let check = async |ask: Value, expected: [usize; 4]| {
        let (mut kit, id) = browser(&[ask.clone(), ask], "");
        let (first, second) = (run(&mut kit, id).await, run(&mut kit, id).await);
        assert_eq!((first.0.failure(), second.0.failure()), (None, None));
        let asked = server.asked_so_far().await;
        assert_eq!(asked.iter().map(|asked| asked.connection).collect::<Vec<_>>(), expected);
        asked.iter().map(|asked| asked.header("Connection").map(str::to_owned)).collect::<Vec<_>>()
    };
    let never = check(json!({ "url": server.url("/"), "keep": "never" }), [1, 2, 3, 4]).await;
    assert!(never.iter().all(|said| said.as_deref() == Some("close")), "{never:?}");
    let run = check(json!({ "url": server.url("/") }), [5, 5, 6, 6]).await;
    assert!(run.iter().all(Option::is_none), "{run:?}");
    check(json!({ "url": server.url("/"), "keep": "job" }), [7, 7, 7, 7]).await;
}

#[tokio::test]
async fn a_body_that_was_not_read_takes_its_connection_with_it() {
    let large = "x".repeat(1 << 20);
    let server = HttpServer::start(Pages::new().on("GET /", Page::ok(large))).await.unwrap();
    let (ran, _) =
        asked(&[json!({ "url": server.url("/"), "bytes_max": 0 }), json!({ "url": server.url("/"), "bytes_max": 2 << 20 })]).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(connections(&server).await, [1, 2]);
}

#[tokio::test]
async fn an_answer_without_a_body_leaves_its_connection_though_nobody_read_it() {
    let pages = Pages::new().on("HEAD /", Page::ok("page")).on("GET /", Page::new("204 None")).on("GET /empty", Page::ok(""));
    let server = HttpServer::start(pages).await.unwrap();
    let of = |method: &str, path: &str| json!({ "method": method, "url": server.url(path), "bytes_max": 0 });
    let (ran, _) = asked(&[of("HEAD", "/"), of("GET", "/"), of("GET", "/empty"), of("GET", "/")]).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(connections(&server).await, [1; 4]);
}

/// Of connections that wait, the oldest goes when there are too many.
#[tokio::test]
async fn connections_that_wait_are_bounded() {
    let mut servers = Vec::new();
    for _ in 0..18 {
        servers.push(HttpServer::start(Pages::new().on("GET /", Page::ok("page"))).await.unwrap());
    }
    let order = (0..18).chain([17, 2, 0]);
    let asks: Vec<Value> = order.map(|at| json!({ "url": servers[at].url("/") })).collect();
    let (ran, got) = asked(&asks).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(got[18..].iter().map(|got| got.head.reused).collect::<Vec<_>>(), [true, true, false]);
}

#[tokio::test]
async fn a_server_that_closes_says_so_or_not_and_is_asked_on_a_new_connection() {
    let closing = Page::ok("page").header("Connection", "close").close();
    let old = Page::raw(Script::new().send("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\npage"));
    for page in [closing, Page::ok("page").close(), old] {
        let server = HttpServer::start(Pages::new().on("GET /", page).on("POST /", Page::ok("posted"))).await.unwrap();
        let of = |method: &str| json!({ "method": method, "url": server.url("/") });
        let (ran, got) = asked(&[of("GET"), of("GET"), of("POST")]).await;
        assert_eq!(ran.failure(), None);
        assert_eq!(connections(&server).await, [1, 2, 3]);
        assert!(got.iter().all(|got| !got.head.reused));
        assert!(ran.dialogue.iter().all(|said| !said.text.contains("no good any more")), "seen before it was used");
    }
}

/// The server closes just when the second request comes: what may be repeated is, what may not is an error.
#[tokio::test]
async fn a_request_lost_on_a_kept_connection_is_repeated_only_if_that_is_safe() {
    let check = async |method: &str, expected: &[usize], failure: Option<(&str, &str)>| {
        let lost = Page::raw(Script::new().cut());
        let pages = Pages::new().on("GET /first", Page::ok("page"));
        let server = HttpServer::start(pages.on(&format!("{method} /"), lost).on(&format!("{method} /"), Page::ok("there"))).await.unwrap();
        let (ran, got) = asked(&[json!({ "url": server.url("/first") }), json!({ "method": method, "url": server.url("/") })]).await;
        assert_eq!(ran.failure(), failure);
        assert_eq!(connections(&server).await, expected);
        assert_eq!(got.get(1).map(|got| (got.text.as_str(), got.head.reused)), failure.is_none().then_some(("there", false)));
    };
    check("GET", &[1, 1, 2], None).await;
    check("POST", &[1, 1], Some(("protocol", "connection closed by the other side before an answer"))).await;
}

#[tokio::test]
async fn a_new_connection_that_is_lost_is_not_tried_again() {
    let server = HttpServer::start(Pages::new().on("GET /", Page::raw(Script::new().cut()))).await.unwrap();
    let (ran, _) = asked(&[json!({ "url": server.url("/") })]).await;
    assert_eq!(ran.failure(), Some(("protocol", "connection closed by the other side before an answer")));
    assert_eq!(connections(&server).await, [1]);
}

#[tokio::test]
async fn what_a_server_says_unasked_is_taken_for_no_answer() {
    // A second answer comes with the first, and would be that of the next request.
    let twice = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npageHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    let page = Page::raw(Script::new().send(twice).silence());
    let server = HttpServer::start(Pages::new().on("GET /", page).on("GET /next", Page::ok("true"))).await.unwrap();
    let (ran, got) = asked(&[json!({ "url": server.url("/") }), json!({ "url": server.url("/next") })]).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(got.iter().map(|got| got.text.as_str()).collect::<Vec<_>>(), ["page", "true"]);
    assert_eq!(connections(&server).await, [1, 2]);
}

#[tokio::test]
async fn a_request_goes_where_it_is_told_to_whatever_its_url_says() -> Result<(), StoryError> {
    let authority = Authority::new()?;
    let tls = authority.server(&["mail.lab.test"])?;
    let server = HttpServer::start(Pages::new().on("GET /", Page::ok("page")).tls(&tls)).await?;
    let elsewhere = Authority::new()?;
    let of =
        |authority: &Authority| json!({ "url": "https://mail.lab.test/", "connect_to": server.address(), "ca_file": authority.file() });
    // Another trust is another connection.
    let (ran, got) = asked(&[of(&authority), of(&authority), of(&elsewhere)]).await;
    let (kind, message) = ran.failure().unwrap();
    assert!(kind == "tls" && message.contains("authority is not in"), "{kind}: {message}");
    assert_eq!(got.iter().map(|got| got.head.reused).collect::<Vec<_>>(), [false, true]);
    let facts = got[1].head.tls.as_ref().unwrap();
    assert_eq!((facts.alpn.as_deref(), facts.chain.len()), (None, 1));
    assert_eq!(server.asked().await?.header("Host"), Some("mail.lab.test"));
    // Without it the name is looked up, and has no address.
    let (ran, _) = asked(&[json!({ "url": "http://mail.lab.test./" })]).await;
    assert_eq!(ran.failure().map(|(kind, _)| kind), Some("resolve"));
    Ok(())
}

#[tokio::test]
async fn a_bad_certificate_can_be_inspected_through_a_request() -> Result<(), StoryError> {
    let authority = Authority::new()?;
    let tls = authority.expired(&["127.0.0.1"])?.alpn(&["http/1.1"]);
    let server = HttpServer::start(Pages::new().on("GET /", Page::ok("page")).tls(&tls)).await?;
    let (ran, got) = asked(&[json!({ "url": server.url("/"), "ca_file": authority.file(), "inspect": true })]).await;
    assert_eq!(ran.failure(), None);
    let facts = got[0].head.tls.as_ref().unwrap();
    assert_eq!(facts.alpn.as_deref(), Some("http/1.1"));
    assert!(matches!(facts.verdict, TlsVerdict::Invalid { fault: watchpost_plugin_api::CertificateFault::Expired, .. }), "{facts:?}");
    Ok(())
}

#[tokio::test]
async fn nobody_there_is_a_failure_to_connect() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let (ran, _) = asked(&[json!({ "url": format!("http://{address}/") })]).await;
    let (kind, message) = ran.failure().unwrap();
    assert_eq!((kind, message), ("connect", format!("cannot connect to {address}: Connection refused").as_str()));
}
