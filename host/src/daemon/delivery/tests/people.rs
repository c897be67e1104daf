//! Persons and rosters over kills: a digest tells everything once, under one id that stands for the same content; what is for a roster goes to
//! somebody who is on duty, who then hears of the end.

use super::*;
use crate::{
    notify::{
        person::{Digest, People, Person},
        roster::Roster,
        route::Escalation,
    },
    schedule::{Moment, Zone},
};

/// Seconds between two digests.
const DIGEST_EVERY_S: i64 = 2;
/// After which time of the test the next one comes on duty.
const HANDOVER_AFTER_S: i64 = 4;

/// What a person got: the id of a message, and alarm and step of each notice in it.
type Parcels = Arc<Mutex<Vec<(String, Vec<(u64, u64)>)>>>;

/// Takes messages, and fails at some before it has them or after.
async fn listen(chance: Arc<Chance>) -> (u16, Parcels) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, got) = (listener.local_addr().unwrap().port(), Parcels::default());
    let kept = got.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (kept, chance) = (kept.clone(), chance.clone());
            tokio::spawn(async move {
                let Some((id, body)) = request(&mut stream).await else { return };
                let one = |said: &serde_json::Value| (said["alarm"].as_u64().unwrap(), said["seq"].as_u64().unwrap());
                let notices = body["notices"].as_array().map_or_else(|| vec![one(&body)], |many| many.iter().map(one).collect());
                let fault = chance.below(100);
                if fault >= 10 {
                    lock(&kept).push((id, notices));
                }
                let answer: &[u8] = match fault {
                    0..10 => b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
                    10..20 => b"HTTP/1.1 500 After\r\nContent-Length: 0\r\n\r\n",
                    20..25 => return,
                    _ => b"HTTP/1.1 204 Fine\r\n\r\n",
                };
                let _gone = stream.write_all(answer).await;
            });
        }
    });
    (port, got)
}

/// A person who is told by a webhook.
fn told_at(name: &str, port: u16, digest: Option<Digest>) -> (Arc<Person>, Channel) {
    let address = format!("{name}/hook");
    let person = Arc::new(Person {
        name: name.into(),
        addresses: vec![address.clone()],
        zone: Zone::default(),
        hours: None,
        undisturbed: None,
        breaks_quiet: Vec::new(),
        digest,
    });
    (person.clone(), Channel { name: address, person: Some(person), ..channel(port) })
}

/// Ann gets digests of everything; Bob and Cy take turns, and are called when nobody has taken an alarm at once.
fn house(ports: [u16; 3]) -> (Routes, Vec<Channel>) {
    let second = now_ns() / 1_000_000_000;
    let at = (0..600).map(|number| Moment::daily(second + number * DIGEST_EVERY_S)).collect();
    let [ann, bob, cy] = ports;
    let all = [told_at("ann", ann, Some(Digest { at, breaks: Vec::new() })), told_at("bob", bob, None), told_at("cy", cy, None)];
    let (persons, channels): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let roster = Roster {
        name: "duty".into(),
        members: vec!["bob".into(), "cy".into()],
        turn_days: 1,
        handover: Moment::daily(second + HANDOVER_AFTER_S),
        zone: Zone::default(),
        anchor: 0,
        exceptions: Vec::new(),
    };
    let mut routes = routes();
    routes.routes[0].channels = vec!["ann/hook".into()];
    routes.routes[0].escalate = vec![Escalation { after: Duration::from_millis(1), channels: vec!["duty".into()] }];
    routes.wants = channels.iter().map(|channel| (channel.name.clone(), channel.tell.clone())).collect();
    routes.people = People::new(&persons, &[roster]);
    (routes, channels)
}

#[tokio::test(flavor = "multi_thread")]
async fn digests_and_duty_lose_nothing_and_say_nothing_twice_otherwise_whatever_kills_do() {
    let Scene { lives, chance, data, turns, appender, _folder } = Scene::set();
    let (ann, bob, cy) = (listen(chance.clone()).await, listen(chance.clone()).await, listen(chance.clone()).await);
    let (routes, channels) = house([ann.0, bob.0, cy.0]);

    let written = {
        let (data, turns, chance, routes, began) = (data.clone(), turns.clone(), chance.clone(), routes.clone(), Instant::now());
        spawn_blocking(move || {
            let of_alarms = write_lives((&data, &turns), lives, &chance, &routes);
            (began.elapsed(), of_alarms)
        })
    };
    let start = async || {
        let delivery = Delivery::open((&data.join(FILE), turns.clone()), appender.clone(), Overheard::default(), Arc::default()).unwrap();
        delivery.routes.send_replace(Arc::new(routes.clone()));
        delivery.set(&channels).await;
        delivery
    };
    let (began, mut kills, mut delivery) = (Instant::now(), 0, start().await);
    let connection = Connection::open(data.join(FILE)).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let handover = Duration::from_secs(HANDOVER_AFTER_S.unsigned_abs() + 2);
    loop {
        tokio::time::sleep(Duration::from_millis(50 + chance.below(400))).await;
        let waits = count("SELECT count(*) FROM outbox WHERE state = 0");
        if written.is_finished() && waits == 0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE * u32::try_from(1 + lives / 500).unwrap(), "{waits} wait after {kills} kills");
        if !written.is_finished() || chance.below(3) == 0 {
            kill(delivery);
            kills += 1;
            delivery = start().await;
        }
    }
    delivery.stop().await;
    let (wrote, of_alarms) = written.await.unwrap();

    let got = [&ann.1, &bob.1, &cy.1].map(|got| lock(got).clone());
    let [digests, duty @ ..] = &got;
    let mut wrong = sound(digests, &of_alarms);
    let collected: BTreeSet<(u64, u64)> = digests.iter().flat_map(|(_, notices)| notices.clone()).collect();
    let expected = usize::try_from(lives).unwrap() * STEPS.len();
    if collected.len() != expected {
        wrong.push(format!("{} of {expected} steps were in digests", collected.len()));
    }
    // Whoever was told on duty hears all that comes after it.
    let mut called = 0;
    for got in duty {
        wrong.extend(sound(got, &of_alarms));
        let mut of_alarms: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (alarm, seq) in got.iter().flat_map(|(_, notices)| notices) {
            of_alarms.entry(*alarm).or_default().insert(*seq);
        }
        called += of_alarms.len();
        for (alarm, told) in of_alarms {
            let first = told.iter().min().copied().unwrap_or_default();
            let after = collected.iter().filter(|(other, seq)| *other == alarm && *seq >= first).map(|(_, seq)| *seq);
            if after.collect::<BTreeSet<_>>() != told {
                wrong.push(format!("of alarm {alarm} on duty was told {told:?}"));
            }
        }
    }
    let handed = count("SELECT count(*) FROM outbox WHERE channel = 'duty' AND state = 6");
    let lost = count(
        "SELECT count(*) FROM outbox AS it WHERE channel = 'duty' AND state = 6 AND NOT EXISTS (
                          SELECT 1 FROM outbox AS own WHERE own.alarm = it.alarm AND own.via = 'duty')",
    );
    println!(
        "{lives} lives, {kills} kills, {} digests, {handed} handed on, {} to one and {} to the other, {} s, longest turn {}",
        digests.len(),
        duty[0].len(),
        duty[1].len(),
        seconds(began.elapsed()),
        turns.longest()
    );
    assert_eq!(wrong, [""; 0]);
    assert_eq!(lost, 0);
    assert!(kills > 0 && handed > 0 && called > 0);
    // Few lives may all have been handed on before the next one came on duty, or on a busy machine after it.
    assert!(lives < 1_000 || wrote < handover || duty.iter().all(|got| !got.is_empty()), "nobody came on duty");
}

/// One id has one content, and one step one id; steps of an alarm come in their order over its lives.
fn sound(got: &[(String, Vec<(u64, u64)>)], of_alarms: &BTreeMap<u64, u64>) -> Vec<String> {
    let (mut of_ids, mut of_steps, mut last) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut wrong = Vec::new();
    for (id, notices) in got {
        let known = of_ids.insert(id, notices);
        if known.is_some_and(|known| known != notices) {
            wrong.push(format!("{id} was {known:?}, and then {notices:?}"));
        }
        if known.is_some() {
            continue;
        }
        for (life, seq) in notices {
            let alarm = of_alarms[life];
            if let Some(other) = of_steps.insert(seq, id) {
                wrong.push(format!("step {seq} was told as {other} and as {id}"));
            }
            if last.insert(alarm, seq).is_some_and(|before| before > seq) {
                wrong.push(format!("step {seq} of alarm {alarm} was told too late"));
            }
        }
    }
    wrong
}
