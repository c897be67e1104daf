//! Steps are told once over kills, and soon in a storm.

use super::*;

#[test]
fn steps_are_announced_again_in_the_next_life_until_their_events_are_durable() {
    let mut rig = Rig::new(SLOW);
    let heard = Heard::default();
    rig.ledger.announce_to(Box::new(heard.clone())).unwrap();
    let say = |rig: &mut Rig, object: &str| {
        let subject = Subject { origin: Origin::Message, key: object.into(), ..message(object) };
        rig.ledger.message(subject, Some(Severity::Major), "ann", MONDAY * SECOND).unwrap();
    };
    say(&mut rig, "a");
    say(&mut rig, "b");
    let seqs = |heard: &Heard| heard.take().into_iter().map(|(seq, ..)| seq).collect::<Vec<_>>();
    assert_eq!(seqs(&heard), [1, 2]);
    rig.killed(SLOW);
    rig.ledger.announce_to(Box::new(heard.clone())).unwrap();
    assert_eq!(seqs(&heard), [1, 2]);
    heard.durable(1);
    say(&mut rig, "c");
    assert_eq!(seqs(&heard), [3]);
    rig.killed(SLOW);
    rig.ledger.announce_to(Box::new(heard.clone())).unwrap();
    assert_eq!(seqs(&heard), [2, 3]);
    heard.0.lock().unwrap().2 = true;
    say(&mut rig, "d");
    assert_eq!(seqs(&heard), [2, 3, 4], "after a loss all comes again");
}

/// Two thousand steps of 50 series that come and go: no more of them wait
/// than may, each is kept, and from a reading to its durable alarm it takes less than five times the 100 ms that are the aim.
#[test]
fn in_a_storm_every_step_is_kept_and_soon() {
    const SERIES: usize = 50;
    let wanted = 2_000;
    let mut rig = Rig::new("[[job.threshold]]\nmetric = \"queue_size\"\nminor = \"> 100\"\n");
    let names: Vec<String> = (0..SERIES).map(|at| format!("q{at}")).collect();
    let (mut kept, mut took, mut last) = (0, Vec::new(), 0);
    for minute in 0.. {
        // Calm enough that nothing is taken for flapping: half an hour between two readings.
        let mut reading = reading(30 * minute, Some(&[]));
        let value = if minute % 2 == 0 { 101.0 } else { 1.0 };
        let sample = |queue: &String| Sample { metric: "queue_size".into(), labels: vec![queue.clone()], value };
        reading.outcome.samples = names.iter().map(sample).collect();
        let began = Instant::now();
        rig.ledger.take(minute as u64, &reading);
        assert!(!rig.ledger.is_full() && rig.ledger.alarms.len() <= SERIES);
        let steps = rig.ledger.commit().unwrap();
        took.push(began.elapsed());
        assert!(steps.iter().map(|step| step.seq).eq(last + 1..=last + steps.len() as u64), "in order, each once");
        last += steps.len() as u64;
        kept += steps.len();
        if kept >= wanted {
            break;
        }
    }
    took.sort();
    let p99 = took[took.len() * 99 / 100];
    println!("{kept} steps; from a reading of {SERIES} series to durable alarms p50 {:?}, p99 {p99:?}", took[took.len() / 2]);
    assert!(p99 < Duration::from_millis(500), "{p99:?}");
    let stored: usize = (1..=rig.ledger.number).map(|number| steps(rig.folder.path(), number).unwrap().len()).sum();
    assert_eq!(stored, kept);
}
