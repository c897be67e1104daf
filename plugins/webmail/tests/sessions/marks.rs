//! The marks of messages: one run's own, and what a run that failed leaves to the next.

use std::collections::BTreeSet;

use crate::*;

fn sending() -> Value {
    json!([
        { "name": "send", "phase": "compose_send", "path": "send", "form": { "subject": "{unique}", "mark": "{mark}" } },
        { "name": "find", "path": "find?q={mark}", "expect": [{ "contains": "found" }] },
    ])
}

/// The mark and the subject of each message that was sent.
async fn sent(server: &HttpServer) -> Vec<(String, String)> {
    let field = |body: &str, name: &str| {
        let value = body.split('&').find_map(|field| field.strip_prefix(&format!("{name}=")).map(str::to_owned));
        value.unwrap().replace('+', " ")
    };
    let asked = server.asked_so_far().await;
    asked.iter().filter(|asked| asked.method == "POST").map(|asked| (field(&asked.body, "mark"), field(&asked.body, "subject"))).collect()
}

#[tokio::test]
async fn a_run_that_failed_leaves_its_mark_to_the_next_and_one_that_ended_well_does_not() {
    let pages = Pages::new().on("POST /mail/send", Page::ok("")).on("GET /mail/find", Page::ok("nothing"));
    let pages = pages.on("GET /mail/find", Page::new("500 Oh")).on("GET /mail/find", Page::ok("found"));
    let server = HttpServer::start(pages).await.unwrap();
    let mut kit = Kit::<Webmail>::new(&config(&server, sending(), json!({}))).unwrap();
    let mut ended = Vec::new();
    for _ in 0..5 {
        ended.push(kit.run().await.failure().is_none());
    }
    assert_eq!(ended, [false, false, true, true, true]);
    let sent = sent(&server).await;
    let marks: Vec<&String> = sent.iter().map(|(mark, _)| mark).collect();
    assert!(marks[0] == marks[1] && marks[1] == marks[2], "{marks:?}");
    assert_eq!(marks[2..].iter().collect::<BTreeSet<_>>().len(), 3, "{marks:?}");
    assert_eq!(sent.iter().map(|(_, subject)| subject).collect::<BTreeSet<_>>().len(), 5, "{sent:?}");
    for (mark, subject) in &sent {
        let words: Vec<&str> = subject.split(' ').collect();
        assert!(words[0] == mark && words[1].len() == 8 && mark.starts_with("watchpost") && mark.len() == 25, "{subject}");
    }
}

/// A worker that died has lost what it had in memory; the cursor of the last good run has the mark of all that failed since.
#[tokio::test]
async fn a_mark_survives_its_worker() {
    let pages = Pages::new().on("POST /mail/send", Page::ok("")).on("GET /mail/find", Page::ok("found"));
    let server = HttpServer::start(pages.on("GET /mail/find", Page::ok("nothing")).on("GET /mail/find", Page::ok("found"))).await.unwrap();
    let config = config(&server, sending(), json!({}));
    let mut first = Kit::<Webmail>::new(&config).unwrap();
    let left = first.run().await.outcome.cursor.unwrap();
    assert!(first.run().await.failure().is_some());
    drop(first);
    let mut second = Kit::<Webmail>::new(&config).unwrap().cursor(left.clone());
    assert_eq!(second.run().await.failure(), None);
    let sent = sent(&server).await;
    assert!(sent[1].0 == sent[2].0 && sent[0].0 != sent[1].0, "{sent:?}");
    assert_eq!(sent[1].0.as_bytes(), left);
}

#[tokio::test]
async fn a_cursor_that_is_none_of_ours_is_no_mark() {
    for cursor in [&b"watchpost"[..], b"", b"\xff", b"watchpost0123456789abcdeg", b"everything"] {
        let server =
            HttpServer::start(Pages::new().on("POST /mail/send", Page::ok("")).on("GET /mail/find", Page::ok("found"))).await.unwrap();
        let mut kit = Kit::<Webmail>::new(&config(&server, sending(), json!({}))).unwrap().cursor(cursor);
        assert_eq!(kit.run().await.failure(), None);
        let sent = sent(&server).await;
        assert!(sent[0].0.len() == 25 && sent[0].0.as_bytes() != cursor, "{sent:?}");
    }
}

#[tokio::test]
async fn who_sends_is_not_repeated_by_itself() {
    let examine = |keys: Value| {
        let mut config = json!({ "url": "https://a/", "user": "u", "password": "p" });
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        Kit::<Webmail>::examine(&config).unwrap_or_else(|error| panic!("{}: {error}", error.path())).repeatable
    };
    assert!(!examine(json!({ "script": "roundcube" })));
    assert!(examine(json!({ "script": "roundcube", "leave_out": ["compose_send"] })));
    assert!(!examine(json!({ "steps": sending() })));
    assert!(examine(json!({ "steps": [{ "name": "page" }] })));
}
