//! What a step sends: where to, in which method, with which fields, headers, words and cookies.

use crate::*;

#[tokio::test]
async fn a_session_asks_what_its_script_says_with_everything_filled_in() {
    let (ran, asked) = run_steps(pages(), whole()).await;
    assert_eq!(ran.failure(), None, "{ran:#?}");
    let lines: Vec<String> = asked.iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect();
    let token = "T0ken-49d1%2Ba%2Fb%3D";
    let expected = [
        "GET /mail/".into(),
        "POST /mail/login".into(),
        format!("GET /mail/box?token={token}"),
        "GET /mail/show?uid=17".into(),
        "GET /mail/compose".into(),
        "POST /mail/send".into(),
        "POST /mail/remove".into(),
        "GET /mail/show".into(),
        format!("GET /mail/logout?token={token}"),
    ];
    assert_eq!(lines, expected);
    assert_eq!(asked[1].body, format!("pass=Kirsch+baum%2F7719&token={token}&user=probe%40lab.test"));
    assert_eq!(asked[1].header("Content-Type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked[6].header("Content-Type"), Some("application/json"));
    let cookies = asked.iter().map(|asked| asked.header("Cookie"));
    assert_eq!(cookies.collect::<Vec<_>>(), [&[None][..], &[Some("sid=s3ss10n-cookie"); 8]].concat());
    assert!(asked.iter().all(|asked| asked.connection == 1), "a connection is kept");
    // One message, one mark.
    let mark = asked[5].body.split('&').find_map(|field| field.strip_prefix("mark=")).unwrap();
    assert!(asked[5].body.contains(&format!("subject={mark}+")), "{}", asked[5].body);
    assert_eq!(asked[6].body, json!({ "subject": mark, "all": true }).to_string());
}

#[tokio::test]
async fn headers_of_all_steps_and_of_one_are_sent_and_the_steps_own_holds() {
    let server = HttpServer::start(Pages::new().on("GET /mail/", Page::ok("x")).on("PUT /x", Page::ok(""))).await.unwrap();
    let steps = json!([
        { "name": "a", "headers": { "accept-language": "de", "X-User": "{user}" } },
        { "name": "b", "path": "/x", "method": "PUT", "json": [{ "a": "{user}\"", "n": 1 }, null, "{who}"] },
    ]);
    let keys = json!({ "headers": { "Accept-Language": "en", "X-All": "{who}" }, "values": { "who": "w\"o" } });
    let ran = run(&config(&server, steps, keys)).await;
    assert_eq!(ran.failure(), None);
    let asked = server.asked_so_far().await;
    let values = |at: usize, name: &str| asked[at].headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).count();
    assert_eq!((asked[0].header("Accept-Language"), values(0, "accept-language")), (Some("de"), 1));
    assert_eq!((asked[0].header("X-User"), asked[0].header("X-All")), (Some("probe@lab.test"), Some("w\"o")));
    assert_eq!((asked[1].header("Accept-Language"), asked[1].header("X-User")), (Some("en"), None));
    assert_eq!((asked[1].method.as_str(), asked[1].path.as_str()), ("PUT", "/x"));
    assert_eq!(asked[1].body, json!([{ "a": "probe@lab.test\"", "n": 1 }, null, "w\"o"]).to_string());
}

#[tokio::test]
async fn a_path_is_seen_from_the_url_and_its_words_are_encoded() {
    let check = async |path: &str, expected: &str| {
        let pages = Pages::new();
        let steps = json!([{ "name": "a", "path": path, "expect": [{ "status": [404] }] }]);
        let server = HttpServer::start(pages).await.unwrap();
        let uses = json!({ "values": { "w": "a/b?c#d e&ä" } });
        let keys = if path.contains("{w}") { uses } else { json!({}) };
        let ran = run(&config(&server, steps, keys)).await;
        assert_eq!(ran.failure(), None, "{path}");
        assert_eq!(server.asked().await.unwrap().path, expected);
    };
    check("", "/mail/").await;
    check("?task=x", "/mail/?task=x").await;
    check("./x", "/mail/x").await;
    check("../x", "/x").await;
    check("/x/y?z={w}", "/x/y?z=a%2Fb%3Fc%23d%20e%26%C3%A4").await;
    check("/{w}/../z", "/z").await;
    check("x {Y}", "/mail/x%20%7BY%7D").await;
}

#[tokio::test]
async fn a_link_that_was_taken_is_gone_to_as_it_is_unless_it_leads_away() {
    let go = async |link: &str| {
        let pages = Pages::new().on("GET /mail/", Page::ok(format!("<a href=\"{link}\">"))).on("GET /mail/x", Page::ok("there"));
        let steps = json!([
            { "name": "a", "take": { "next": { "after": ["href=\""], "until": "\"", "html": true } } },
            { "name": "b", "path": "{next}", "expect": [{ "contains": "there" }] },
        ]);
        run_steps(pages, steps).await
    };
    for link in ["x", "./x?a=1&amp;b=%2F", "/mail/x", "../mail/./x#top"] {
        let (ran, asked) = go(link).await;
        assert_eq!(ran.failure(), None, "{link}");
        assert!(link != "./x?a=1&amp;b=%2F" || asked[1].path == "/mail/x?a=1&b=%2F");
    }
    for link in ["//evil.test/x", "https://evil.test/x", "http://127.0.0.1:1/x"] {
        let (ran, asked) = go(link).await;
        let (kind, message) = ran.failure().unwrap();
        assert!(kind == "protocol" && message.starts_with("b: a link to another host, http"), "{link}: {message}");
        assert_eq!(asked.len(), 1);
    }
    let (ran, _) = go("javascript:alert(1)").await;
    assert_failed(&ran, "protocol", "b: a link to an address that begins with neither http:// nor https://");
}

/// Whatever a page gives, it is never the configuration that is at fault.
#[tokio::test]
async fn what_a_page_gives_and_cannot_be_sent_is_the_pages_fault() {
    let pages = Pages::new().on("GET /mail/", Page::ok("token=<a\u{7f}b>"));
    let take = json!({ "name": "a", "take": { "t": { "after": ["token=<"], "until": ">" } } });
    let (ran, _) = run_steps(pages, json!([take, { "name": "b", "headers": { "X-T": "{t}" } }])).await;
    assert_failed(&ran, "protocol", "a: what stands for t in the page can be none");
}
