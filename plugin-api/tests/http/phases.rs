//! The phases of a request are marks on the run's clock: as laps they add up to the total.

use crate::*;

const PAUSE: Duration = Duration::from_millis(60);

#[tokio::test]
async fn phases_add_up_to_the_total_and_each_has_what_is_its_own() {
    let authority = Authority::new().unwrap();
    let tls = authority.server(&["127.0.0.1"]).unwrap();
    let slow_body = Script::new().pause(PAUSE).send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n").pause(PAUSE).send("page").silence();
    let pages = Pages::new().on("GET /", Page::ok("page").after(PAUSE)).on("GET /slow", Page::raw(slow_body)).tls(&tls);
    let server = HttpServer::start(pages).await.unwrap();
    let of = |path: &str| json!({ "url": server.url(path), "ca_file": authority.file() });
    let (ran, got) = asked(&[of("/"), of("/slow")]).await;
    assert_eq!(ran.failure(), None);

    let phases = [standard::RESOLVE_TIME, standard::CONNECT_TIME, standard::TLS_TIME, WAIT_TIME, BODY_TIME];
    let nanos = phases.map(|phase| ran.nanos(phase).unwrap());
    assert_eq!(nanos.iter().sum::<u64>(), ran.nanos(standard::TOTAL_TIME).unwrap());
    let (wait, body) = (Duration::from_nanos(nanos[3]), Duration::from_nanos(nanos[4]));
    assert!(wait >= 2 * PAUSE && body >= PAUSE && body < 2 * PAUSE, "{wait:?} {body:?}");

    let first = got[0].head.times;
    assert!(first.begun <= first.resolved.unwrap() && first.resolved < first.connected && first.connected < first.secured);
    assert!(first.secured.unwrap() <= first.sent && first.sent + PAUSE <= first.answered);
    let sum = first.resolve().unwrap() + first.connect().unwrap() + first.tls().unwrap() + first.send() + first.wait();
    assert_eq!(sum, first.answered - first.begun);
    assert!(first.wait() >= PAUSE && first.send() < PAUSE, "{first:?}");

    let second = got[1].head.times;
    assert!(got[1].head.reused);
    assert_eq!((second.resolve(), second.connect(), second.tls()), (None, None, None));
    assert!(second.begun >= first.answered && second.wait() >= PAUSE && second.send() + second.wait() == second.answered - second.begun);
}
