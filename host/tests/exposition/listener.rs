//! The listener, over real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use watchpost::expose::{
    host_metrics::HostMetrics,
    http::{Hosts, Limits, Outward, router, serve},
};

use crate::fixture::{host, mixed, outward};

struct Listening {
    address: SocketAddr,
    host: Arc<HostMetrics>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn listen(limits: Limits, change: impl FnOnce(&mut Outward)) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let host = host();
    let mut outward = outward(mixed(), host.clone());
    change(&mut outward);
    let (stop, stopped) = oneshot::channel();
    let routes = router(outward, Hosts::of(address, "127.0.0.1"));
    let serving = tokio::spawn(serve(listener, routes, host.clone(), limits, async {
        let _ = stopped.await;
    }));
    Listening { address, host, stop, serving }
}

impl Listening {
    async fn ask(&self, line: &str, fields: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        self.rest(&mut stream).await
    }

    async fn get(&self, line: &str) -> String {
        self.ask(line, "Host: localhost\r\n").await
    }

    async fn rest(&self, stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.expect("the connection stays open").unwrap();
        answer
    }
}

fn status(answer: &str) -> &str {
    &answer[9..12]
}

#[tokio::test]
async fn a_scrape_says_which_format_it_is() {
    let listening = listen(Limits::default(), |_| {}).await;
    let text = listening.get("GET /metrics").await;
    assert!(text.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{text}");
    assert!(text.contains("\nwatchpost_up{") && text.contains("\nwatchpost_host_build_info{version=\"0.1.0\"} 1\n"), "{text}");
    let open_metrics = listening.ask("GET /metrics", "Host: localhost\r\nAccept: application/openmetrics-text;version=1.0.0\r\n").await;
    assert!(open_metrics.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{open_metrics}");
    assert!(open_metrics.ends_with("# EOF\n"));
}

#[tokio::test]
async fn head_gives_the_head_alone() {
    let answer = listen(Limits::default(), |_| {}).await.get("HEAD /metrics").await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("content-length: ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_bind_browsers() {
    let listening = listen(Limits::default(), |_| {}).await;
    for path in ["/", "/metrics", "/console.css", "/-/healthy", "/nowhere"] {
        let answer = listening.get(&format!("GET {path}")).await;
        for header in ["content-security-policy: default-src 'none';", "x-content-type-options: nosniff", "referrer-policy: no-referrer"] {
            assert!(answer.contains(header), "{path} lacks {header}");
        }
        assert!(!answer.contains("access-control"), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_served_is_refused_with_its_status() {
    let listening = listen(Limits::default(), |_| {}).await;
    assert_eq!(status(&listening.get("GET /nowhere").await), "404");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = listening.get(&format!("{method} /metrics")).await;
        assert!(status(&answer) == "405" && answer.contains("allow: GET, HEAD"), "{method}: {answer}");
    }
    assert_eq!(status(&listening.ask("GET /metrics", "Host: evil.example\r\n").await), "421");
    assert_eq!(status(&listening.ask("GET /metrics", "").await), "421");
    let endless = format!("Host: localhost\r\nX: {}\r\n", "x".repeat(64 * 1024));
    assert_eq!(status(&listening.ask("GET /metrics", &endless).await), "431");
}

#[tokio::test]
async fn healthy_means_serving_and_ready_says_why_not() {
    let listening = listen(Limits::default(), |outward| outward.ready = Box::new(|| Err("series is 12 records behind".into()))).await;
    assert_eq!(status(&listening.get("GET /-/healthy").await), "200");
    let answer = listening.get("GET /-/ready").await;
    assert!(status(&answer) == "503" && answer.ends_with("not ready: series is 12 records behind\n"), "{answer}");
    let listening = listen(Limits::default(), |_| {}).await;
    assert_eq!(status(&listening.get("GET /-/ready").await), "200");
}

#[tokio::test]
async fn a_client_that_never_ends_its_head_is_left() {
    let limits = Limits { head_time: Duration::from_millis(200), ..Limits::default() };
    let listening = listen(limits, |_| {}).await;
    let mut stream = TcpStream::connect(listening.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    listening.rest(&mut stream).await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted() {
    let listening = listen(Limits { connections: 1, ..Limits::default() }, |_| {}).await;
    let mut first = TcpStream::connect(listening.address).await.unwrap();
    first.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = TcpStream::connect(listening.address).await.unwrap();
    assert_eq!(listening.rest(&mut second).await, "");
    let families = listening.host.gather();
    let refused = families.iter().find(|family| family.name() == "watchpost_host_http_connections_refused_total").unwrap();
    assert_eq!(refused.get_metric()[0].get_counter().get_value(), 1.0);
}

#[tokio::test]
async fn stopping_closes_idle_connections_at_once() {
    let listening = listen(Limits { stop_time: Duration::from_secs(60), ..Limits::default() }, |_| {}).await;
    let mut idle = TcpStream::connect(listening.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    idle.read_u8().await.unwrap();
    listening.stop.send(()).unwrap();
    timeout(Duration::from_secs(10), listening.serving).await.expect("an idle connection holds the daemon").unwrap();
}

#[tokio::test]
async fn hostile_names_are_text_on_the_page() {
    use crate::fixture::{latest, reading, shape};
    use watchpost_plugin_api::ErrorKind;
    use watchpost_services::outcome::Status;
    let evil = "<script>alert(1)</script>\"'>";
    let failed = Status::Failed { kind: ErrorKind::PROTOCOL, message: evil.into() };
    let mut shape = shape("a", "pop3", &[("site", evil)], vec![]);
    shape.target = evil.into();
    let jobs = latest(vec![(shape, reading("a", failed, vec![crate::fixture::sample(evil, &[evil], 1.0)]))]);
    let page = listen(Limits::default(), |outward| outward.latest = Arc::new(jobs)).await.get("GET /").await;
    assert!(page.contains(">1 job</a>") && page.contains("</span> 1 failing</a>"), "{page}");
    assert_eq!(page.matches("&lt;script&gt;").count(), 5, "{page}");
    assert!(!page.contains("<script") && !page.contains("alert(1)</"), "{page}");
}
