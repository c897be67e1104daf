//! A channel that is back: what failed before is told at once and in order, and what waits is counted as it stands in the outbox.

use super::*;

/// How far ahead the next attempt of what has failed often is.
const FAR_NS: i64 = 300 * 1_000_000_000;

/// Writes steps of alarms into the outbox of a data folder.
fn write(data: &Path, steps: &[(u64, u64, Step)]) {
    let mut connection = Connection::open(data.join(FILE)).unwrap();
    let transaction = connection.transaction().unwrap();
    for (seq, alarm, step) in steps {
        let notice = Notice { seq: *seq, alarm: *alarm, time_ns: now_ns(), key: format!("job/rule/{alarm}"), ..sample(*step) };
        outbox::put(&transaction, &notice, &routes()).unwrap();
    }
    transaction.commit().unwrap();
}

/// A scene in which the first alarm's first message has failed nine times, and another step came since.
fn after_failures() -> Scene {
    let scene = Scene::set();
    write(&scene.data, &[(1, 1, Step::Raised), (2, 1, Step::Changed)]);
    let failed = "UPDATE outbox SET attempts = 9, not_before_ns = ?1, why = 'connection refused' WHERE seq = 1";
    Connection::open(scene.data.join(FILE)).unwrap().execute(failed, [now_ns() + FAR_NS]).unwrap();
    scene
}

async fn taken(receiver: &Receiver, many: usize) -> Vec<u64> {
    let began = Instant::now();
    loop {
        let got: Vec<u64> = lock(&receiver.got).iter().map(|(_, _, seq)| *seq).collect();
        if got.len() >= many {
            return got;
        }
        assert!(began.elapsed() < PATIENCE / 5, "{got:?} were taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_is_told_in_its_order_as_soon_as_something_newer_got_through() {
    let Scene { data, turns, appender, _folder, .. } = after_failures();
    let receiver = Receiver::slow(Duration::ZERO).await;
    let delivery = deliver((&data, &turns), &appender, &channel(receiver.port)).await;
    write(&data, &[(3, 2, Step::Raised)]);
    delivery.poke();
    assert_eq!(taken(&receiver, 3).await, [3, 1, 2]);
    delivery.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_is_told_as_soon_as_a_test_arrives() {
    let Scene { data, turns, appender, _folder, .. } = after_failures();
    let receiver = Receiver::slow(Duration::ZERO).await;
    let delivery = deliver((&data, &turns), &appender, &channel(receiver.port)).await;
    let tested = delivery.test("hook").await;
    assert!(matches!(tested, Ok(Tested::Delivered)), "{tested:?}");
    // The test itself is of no alarm.
    assert_eq!(taken(&receiver, 3).await[1..], [1, 2]);
    delivery.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_counted_whether_it_is_due_or_not_and_why_is_known_from_before() {
    let Scene { data, turns, appender, _folder, .. } = after_failures();
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = door.local_addr().unwrap().port();
    let delivery = deliver((&data, &turns), &appender, &channel(port)).await;
    let began = Instant::now();
    let state = loop {
        let state = delivery.listed().unwrap().remove(0);
        if state.failing.is_some() {
            break state;
        }
        assert!(began.elapsed() < PATIENCE, "{state:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let connection = Connection::open(data.join(FILE)).unwrap();
    let listed = outbox::messages_of(&connection, 1).unwrap();
    assert_eq!((state.waiting, state.later, state.failing.as_deref()), (listed.len() as u64, 0, Some("connection refused")));
    delivery.stop().await;
}

#[test]
fn what_asked_to_be_left_alone_is_and_what_never_failed_keeps_its_time() {
    let Scene { data, _folder, .. } = after_failures();
    let connection = Connection::open(data.join(FILE)).unwrap();
    let times = || -> Vec<i64> {
        let mut select = connection.prepare("SELECT not_before_ns FROM outbox ORDER BY id").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let (before, mut outbox) = (times(), Outbox::open(&data.join(FILE), Turns::default()).unwrap());
    let asked_ns = now_ns() + FAR_NS / 2;
    assert_eq!(outbox.wake("hook", asked_ns).unwrap(), 1);
    assert_eq!(times(), [asked_ns, before[1]]);
    let mut back = Back { is_news: true, woken: None, asked_ns };
    assert_eq!(back.wakes(now_ns()), Some(asked_ns));
    back.is_news = true;
    assert_eq!(back.wakes(now_ns()), None, "it was just woken");
}
