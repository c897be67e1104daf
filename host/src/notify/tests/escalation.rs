//! Whom nobody has to call: while somebody owns an alarm or has acknowledged it, it is escalated to nobody, whatever else happens to it.

use super::*;

/// Who has taken an alarm.
#[derive(Clone, Copy)]
enum Taken {
    Owned,
    Acknowledged,
    Both,
}

/// Ops are told at once, reminded each half minute, and the boss is called after ten seconds.
fn pressing() -> Route {
    let escalate = vec![Escalation { after: Duration::from_secs(10), channels: vec!["boss".into()] }];
    Route { escalate, repeat: Some(Duration::from_secs(30)), ..route(&["ops"]) }
}

/// A step of an alarm that somebody has taken.
fn taken(step: Step, by: Taken, silenced: bool) -> Happens {
    let notice = notice(1, step, Severity::Major, 0);
    After(Box::new(Notice {
        seq: 100 + Step::ALL.iter().zip(0..).find(|(known, _)| **known == step).unwrap().1,
        owner: matches!(by, Taken::Owned | Taken::Both).then(|| "ann".into()),
        acknowledged: matches!(by, Taken::Acknowledged | Taken::Both),
        silenced: silenced.then(|| "shelved by ann".into()),
        ..notice
    }))
}

#[test]
fn what_somebody_has_taken_is_escalated_to_nobody_once_nothing_silences_it_any_more() {
    for (by, took) in [(Taken::Owned, Step::Owned), (Taken::Acknowledged, Step::Acknowledged)] {
        for (silences, over) in [(Step::Shelved, Step::Unshelved), (Step::Silenced, Step::Unsilenced)] {
            let story = [
                (1, step(1, Step::Raised, Severity::Major)),
                (1, Told),
                (2, taken(took, by, false)),
                (3, taken(silences, by, true)),
                (4, taken(over, by, false)),
                (4, Told),
                (5, taken(Step::Changed, by, false)),
                (5, Told),
                (60, Told),
                (120, Told),
            ];
            let (took, silences, over) = (took.name(), silences.name(), over.name());
            let expected = format!("1 ops: 1 raised\n4 ops: 1 {took}\n4 ops: 1 {silences}\n4 ops: 1 {over}\n5 ops: 1 changed\n");
            assert_eq!(told(vec![pressing()], &story), expected);
        }
    }
}

#[test]
fn what_is_owned_is_not_escalated_when_the_acknowledgement_beside_it_ends() {
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, Told),
        (2, taken(Step::Owned, Taken::Owned, false)),
        (3, taken(Step::Acknowledged, Taken::Both, false)),
        (20, taken(Step::Unacknowledged, Taken::Owned, false)),
        (20, Told),
        (60, Told),
        (120, Told),
    ];
    let expected = "1 ops: 1 raised\n20 ops: 1 owned\n20 ops: 1 acknowledged\n20 ops: 1 unacknowledged\n";
    assert_eq!(told(vec![pressing()], &story), expected);
}

#[test]
fn what_nobody_has_taken_is_escalated_so_long_after_nothing_silences_it_any_more() {
    let story = [
        (1, step(1, Step::Raised, Severity::Major)),
        (1, Told),
        (3, Silenced(1, Step::Shelved, Severity::Major)),
        (20, step(1, Step::Unshelved, Severity::Major)),
        (29, Told),
        (30, Told),
    ];
    let expected = "1 ops: 1 raised\n29 ops: 1 shelved\n29 ops: 1 unshelved\n30 boss: 1 raised\n";
    assert_eq!(told(vec![pressing()], &story), expected);
}
