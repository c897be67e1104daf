//! Claims about a life: its table, and what no path of it may do.

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;

/// Takes inputs, each at its second, and gives what is told.
fn story(life: &mut Life, inputs: &[(i64, Input<'_>)]) -> Vec<Step> {
    let mut next = life.number;
    let mut told = Vec::new();
    for (at, input) in inputs {
        let made = life.step(input, at * SECOND, || {
            next += 1;
            next
        });
        told.extend(made.steps);
    }
    told
}

fn check(inputs: &[(i64, Input<'_>)], expected: &[Step]) -> Life {
    let mut life = Life::default();
    assert_eq!(story(&mut life, inputs), expected);
    life
}

const BAD: Input<'_> = Input::Trouble(Severity::Major);
const WORSE: Input<'_> = Input::Trouble(Severity::Critical);

#[test]
fn it_is_raised_once_counted_changed_and_cleared_once() {
    let inputs = [(0, Input::Well), (1, BAD), (2, BAD), (3, WORSE), (4, BAD), (5, Input::Well), (6, Input::Well)];
    let life = check(&inputs, &[Step::Raised, Step::Changed, Step::Changed, Step::Cleared]);
    assert_eq!((life.count, life.number, life.severity, life.stage), (4, 1, Severity::Major, Stage::Cleared));
    let severities: Vec<_> = life.history.iter().map(|(at, severity)| (at / SECOND, *severity)).collect();
    assert_eq!(severities, [(1, Severity::Major), (3, Severity::Critical), (4, Severity::Major)]);
}

#[test]
fn raised_anew_it_has_another_number_and_a_day_after_it_is_cleared_it_closes() {
    let life = check(
        &[(1, BAD), (2, Input::Well), (3, BAD), (4, Input::Well), (4 + 86_399, Input::Time), (4 + 86_400, Input::Time)],
        &[Step::Raised, Step::Cleared, Step::Closed, Step::Raised, Step::Cleared, Step::Closed],
    );
    assert_eq!((life.number, life.stage), (2, Stage::Closed));
    assert!(life.is_forgotten(life.closed_ns.unwrap()));
}

#[test]
fn an_acknowledgement_ends_with_its_time_and_with_the_life() {
    let ack = |until: i64| Input::Act("ann", Act::Acknowledge(Some(until * SECOND)));
    check(&[(1, BAD), (2, ack(10)), (9, BAD), (10, BAD)], &[Step::Raised, Step::Acknowledged, Step::Unacknowledged]);
    let life = check(
        &[(1, BAD), (2, ack(10)), (3, Input::Well), (4, BAD)],
        &[Step::Raised, Step::Acknowledged, Step::Cleared, Step::Closed, Step::Raised],
    );
    assert_eq!(life.acknowledged, None);
}

#[test]
fn a_shelf_outlasts_a_life_and_its_end_is_told_while_there_is_one() {
    let shelve = Input::Act("ann", Act::Shelve(100 * SECOND));
    let life = check(
        &[(1, BAD), (2, shelve.clone()), (3, Input::Well), (4, BAD), (99, BAD)],
        &[Step::Raised, Step::Shelved, Step::Cleared, Step::Closed, Step::Raised],
    );
    assert!(life.shelved.is_some());
    check(&[(1, BAD), (2, shelve), (100, Input::Time)], &[Step::Raised, Step::Shelved, Step::Unshelved]);
}

#[test]
fn what_comes_and_goes_is_told_once_until_it_settles() {
    let mut inputs: Vec<_> = (0..20).flat_map(|at| [(at * 20, BAD), (at * 20 + 10, Input::Well)]).collect();
    inputs.push((390 + 900, Input::Time));
    let mut life = Life::default();
    let told = story(&mut life, &inputs);
    let count = |step: Step| told.iter().filter(|told| **told == step).count();
    assert_eq!((count(Step::Raised), count(Step::Flapping), count(Step::Settled), count(Step::Cleared)), (5, 1, 1, 5), "{told:?}");
    assert_eq!(life.stage, Stage::Cleared);
}

#[test]
fn who_closes_what_flaps_is_told_whether_its_reason_is_there() {
    let mut life = Life::default();
    let mut inputs: Vec<_> = (0..5).flat_map(|at| [(at * 20, BAD), (at * 20 + 10, Input::Well)]).collect();
    story(&mut life, &inputs);
    let close = |life: &mut Life, at: i64| life.step(&Input::Act("ann", Act::Close { endless: false }), at * SECOND, || 9).refused;
    assert_eq!((life.flapping, close(&mut life, 91)), (true, Some(Refused::Flapping)));
    assert_eq!(
        Refused::Flapping.to_string(),
        "it is flapping: its reason is gone for now, and it clears by itself after 15 minutes of calm; shelve it until then"
    );
    inputs = vec![(100, BAD)];
    story(&mut life, &inputs);
    assert_eq!(close(&mut life, 101), Some(Refused::Active));
}

#[test]
fn what_is_worse_is_told_while_it_flaps() {
    let mut inputs: Vec<_> = (0..6).flat_map(|at| [(at * 20, BAD), (at * 20 + 10, Input::Well)]).collect();
    inputs.extend([(200, WORSE), (201, BAD)]);
    let told = story(&mut Life::default(), &inputs);
    assert_eq!(told.last(), Some(&Step::Changed), "{told:?}");
}

#[test]
fn only_what_nothing_else_ends_is_closed_while_it_is_active() {
    let mut life = check(&[(1, BAD)], &[Step::Raised]);
    let close = |endless| Input::Act("ann", Act::Close { endless });
    assert_eq!(life.clone().step(&close(false), 2 * SECOND, || 9).refused, Some(Refused::Active));
    assert_eq!(life.step(&close(true), 2 * SECOND, || 9).steps, [Step::Cleared, Step::Closed]);
    for act in [Act::Own, Act::Acknowledge(None), Act::Annotate(String::new()), Act::Shelve(9 * SECOND), Act::Close { endless: true }] {
        assert_eq!(life.step(&Input::Act("ann", act), 3 * SECOND, || 9).refused, Some(Refused::Closed));
    }
}

#[test]
fn what_is_withdrawn_is_told_once() {
    check(&[(1, BAD), (2, Input::Withdraw), (3, Input::Withdraw)], &[Step::Raised, Step::Withdrawn]);
}

fn inputs() -> impl Strategy<Value = Vec<(i64, Input<'static>)>> {
    let until = prop_oneof![Just(None), (1_i64..5_000).prop_map(|after| Some(after * SECOND))];
    let input = prop_oneof![
        6 => prop_oneof![Just(Severity::Warning), Just(Severity::Major), Just(Severity::Critical)].prop_map(Input::Trouble),
        6 => Just(Input::Well),
        2 => Just(Input::Time),
        1 => Just(Input::Withdraw),
        1 => Just(Input::Act("a", Act::Own)),
        2 => until.prop_map(|until| Input::Act("a", Act::Acknowledge(until))),
        1 => Just(Input::Act("a", Act::Unacknowledge)),
        1 => (1_i64..5_000).prop_map(|until| Input::Act("a", Act::Shelve(until * SECOND))),
        1 => any::<bool>().prop_map(|endless| Input::Act("a", Act::Close { endless })),
    ];
    let gap = prop_oneof![8 => 0_i64..60, 1 => 800_i64..2_000, 1 => 80_000_i64..100_000];
    proptest::collection::vec((gap, input), 1..80).prop_map(|steps| {
        let mut at = 0;
        let at = |(gap, input): (i64, Input<'static>)| {
            at += gap;
            let until = |until: i64| until + at * SECOND;
            let input = match input {
                Input::Act(who, Act::Acknowledge(Some(after))) => Input::Act(who, Act::Acknowledge(Some(until(after)))),
                Input::Act(who, Act::Shelve(after)) => Input::Act(who, Act::Shelve(until(after))),
                input => input,
            };
            (at, input)
        };
        steps.into_iter().map(at).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Raised and ended take turns; what is there is raised, and what is gone is told to be gone, at the latest when it is calm.
    #[test]
    fn no_path_loses_a_clear_or_raises_twice(inputs in inputs()) {
        let (mut life, mut number, mut is_up, mut trouble) = (Life::default(), 0, false, false);
        for (at, input) in inputs.iter().chain([(inputs.last().unwrap().0 + 901, Input::Time)].iter()) {
            let told = life.step(input, at * SECOND, || { number += 1; number });
            match (input, &told) {
                (Input::Trouble(_), _) => trouble = true,
                (Input::Well | Input::Withdraw, _) => trouble = false,
                (Input::Act(_, Act::Close { .. }), told) if told.refused.is_none() => trouble = false,
                _ => {}
            }
            for step in told.steps {
                match step {
                    Step::Raised => { prop_assert!(!is_up, "raised twice"); is_up = true }
                    Step::Cleared => { prop_assert!(is_up, "cleared what was not there"); is_up = false }
                    Step::Withdrawn => is_up = false,
                    Step::Closed => prop_assert!(!is_up, "closed before it was cleared"),
                    _ => {}
                }
            }
            prop_assert_eq!(is_up, life.stage == Stage::Active);
            prop_assert!(!trouble || is_up, "what is there is not told");
            prop_assert_eq!(life.trouble, trouble);
            prop_assert!(is_up == trouble || life.flapping, "a clear is lost");
        }
        prop_assert_eq!(is_up, trouble, "a clear is lost");
    }

    /// When time does something is known before: then, and not a moment sooner.
    #[test]
    fn time_does_what_it_does_when_it_is_said_to(inputs in inputs(), later in prop_oneof![0_i64..60, 800_i64..2_000, 80_000_i64..100_000]) {
        let mut life = Life::default();
        story(&mut life, &inputs);
        let at_ns = (inputs.last().unwrap().0 + later) * SECOND;
        let mut tried = life.clone();
        let is_told = !tried.step(&Input::Time, at_ns, || 0).steps.is_empty() || tried != life;
        prop_assert_eq!(life.next_ns().is_some_and(|next| next <= at_ns), is_told, "{:?}", life);
    }

    /// Whatever happens, an acknowledgement is gone once its time is up or its life is over.
    #[test]
    fn no_acknowledgement_outlives_its_expiry(inputs in inputs()) {
        let (mut life, mut number) = (Life::default(), 0);
        for (at, input) in &inputs {
            let refused = life.step(input, at * SECOND, || { number += 1; number }).refused;
            let until = life.acknowledged.as_ref().map(|ack| ack.until_ns.unwrap_or(i64::MAX));
            prop_assert!(until.is_none_or(|until| until > at * SECOND), "{:?} at {at}, refused: {refused:?}", life.acknowledged);
            prop_assert!(life.acknowledged.is_none() || life.stage == Stage::Active);
        }
    }

    /// What was told is enough to know how an alarm stands: nothing that is bounded grows, and JSON gives it back.
    #[test]
    fn it_stays_small_and_comes_back_from_json(inputs in inputs()) {
        let mut life = Life::default();
        story(&mut life, &inputs);
        prop_assert!(life.raises.len() <= FLAPS && life.history.len() <= HISTORY_MAX && life.notes.len() <= NOTES_MAX);
        let again: Life = serde_json::from_str(&serde_json::to_string(&life).unwrap()).unwrap();
        prop_assert_eq!(again, life);
    }
}
