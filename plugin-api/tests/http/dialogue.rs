//! An explanation shows heads without secrets, and of bodies their size.

use crate::*;

#[tokio::test]
async fn heads_are_shown_without_secrets_and_bodies_by_their_size() {
    let pages = Pages::new()
        .on("POST /login", Page::redirect("/mail?pass=p%20a%2fss").header("Set-Cookie", "sid=0123456789; Path=/").body("p a/ss"))
        .on("GET /mail", Page::ok("p a/ss and more"));
    let server = HttpServer::start(pages).await.unwrap();
    let login = json!({
        "method": "POST", "url": server.url("/login?p=p%20a/ss"), "form": [["user", "alice"], ["pass", "SECRET"]],
        "headers": [["Authorization", "Basic YWxpY2U6cCBhL3Nz"], ["X-Plain", "p a/ss, p+a%2Fss, p%20a%2Fss, cCBhL3Nz"]],
    });
    let mail = json!({ "url": server.url("/mail"), "headers": [["Cookie", "sid=0123456789; theme=dark"]] });
    let (mut kit, id) = browser(&[login, mail], "p a/ss");
    let (ran, _) = run(&mut kit, id).await;
    assert_eq!(ran.failure(), None);
    assert_eq!(server.asked().await.unwrap().body, "user=alice&pass=p+a%2Fss", "the server hears it");
    let said: Vec<String> = ran.dialogue.iter().map(|said| format!("{:?} {}", said.speaker, said.text)).collect();
    let host = server.address();
    let we = concat!("Agent user-agent: watchpost/", env!("CARGO_PKG_VERSION"));
    let said: Vec<&str> = said.iter().map(String::as_str).filter(|line| !line.contains("_time = ")).collect();
    let said: Vec<&str> = said.into_iter().map(|line| if line.starts_with("Agent user-agent: ") { we } else { line }).collect();
    let expected = [
        "Agent POST /login?p=<secret> HTTP/1.1",
        &format!("Agent host: {host}"),
        "Agent authorization: Basic <secret>",
        "Agent x-plain: <secret>, <secret>, <secret>, <secret>",
        "Agent content-type: application/x-www-form-urlencoded",
        we,
        "Agent accept: */*",
        "Agent accept-encoding: identity",
        "Host sent with a body of 24 bytes",
        &format!("Host connected to {host}"),
        "Target HTTP/1.1 302 Found",
        "Target Location: /mail?pass=<secret>",
        "Target Set-Cookie: sid=<secret>; Path=/",
        "Target Content-Length: 6",
        "Host received a body of 6 bytes",
        "Agent GET /mail HTTP/1.1",
        &format!("Agent host: {host}"),
        "Agent cookie: sid=<secret>; theme=<secret>",
        we,
        "Agent accept: */*",
        "Agent accept-encoding: identity",
        "Target HTTP/1.1 200 OK",
        "Target Content-Length: 15",
        "Host received a body of 15 bytes",
    ];
    assert_eq!(said, expected);
    let everything = ran.everything();
    for secret in ["p a/ss", "p+a", "p%20a", "cCBhL3Nz", "0123456789"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

#[tokio::test]
async fn a_hostile_head_writes_no_line_of_its_own() {
    let page = Page::raw(Script::new().send(b"HTTP/1.1 200 OK\r\nX-Evil: \x80\xff\xc2\x9b31m\r\nContent-Length: 0\r\n\r\n".as_slice()));
    let server = HttpServer::start(Pages::new().on("GET /", page)).await.unwrap();
    let (ran, _) = asked(&[json!({ "url": server.url("/") })]).await;
    assert_eq!(ran.failure(), None);
    assert!(ran.dialogue.iter().all(|said| !said.text.contains(char::is_control)), "{:?}", ran.dialogue);
}
