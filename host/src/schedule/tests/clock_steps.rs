//! What a job does when its host stalls, or its wall clock is turned.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{ClockStep, Clocks, Direction, DueClock, Run, Slot, Tick, Ticker, Timetable, UnixTime};
use super::{at, cron, zone};

/// A host whose two clocks the test moves.
struct Host {
    clocks: Clocks,
    clock: DueClock,
    ticker: Ticker,
    steps: Vec<ClockStep>,
}

fn seconds(count: f64) -> Duration {
    Duration::from_secs_f64(count)
}

fn every_30s() -> Timetable {
    Timetable::every("30s", "pop-paris", zone("UTC")).unwrap() // phase 25 s
}

impl Host {
    fn start(timetable: Timetable, wall: &str) -> Self {
        let wall = Duration::from_secs(at(wall).as_secs() as u64);
        let clocks = Clocks { monotonic: Duration::from_secs(77), wall };
        let step = timetable.rhythm(UnixTime::from_duration(wall)).step();
        let ticker = Ticker::start(timetable, step, wall, None);
        Self { clocks, clock: DueClock::start(clocks), ticker, steps: Vec::new() }
    }

    /// Lets time pass on both clocks, then polls.
    fn pass(&mut self, by: Duration) -> Tick {
        self.clocks.monotonic += by;
        self.clocks.wall += by;
        let (label, step) = self.clock.observe(self.clocks);
        self.steps.extend(step);
        self.ticker.poll(label)
    }

    /// Lets time pass in seconds, polling at each.
    fn pass_slowly(&mut self, count: u64) -> Vec<Run> {
        (0..count).filter_map(|_| self.pass(seconds(1.0)).run).collect()
    }

    fn turn_forward(&mut self, by: Duration) {
        self.clocks.wall += by;
    }

    fn turn_back(&mut self, by: Duration) {
        self.clocks.wall -= by;
    }
}

fn slots(runs: &[Run]) -> Vec<Option<Slot>> {
    runs.iter().map(|run| run.slot).collect()
}

#[test]
fn runs_do_not_drift_however_late_the_poll() {
    let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
    let runs: Vec<_> = (0..86_400_u64).filter_map(|n| host.pass(seconds(0.9 + (n % 3) as f64 / 10.0)).run).collect();
    assert_eq!(runs.len(), 2_880);
    assert!(runs.windows(2).all(|pair| pair[1].due.as_secs() - pair[0].due.as_secs() == 30));
    assert!(runs.iter().all(|run| run.due.as_secs() % 30 == 25 && run.late < seconds(1.2)));
}

#[test]
fn a_job_starts_with_the_first_due_time_not_yet_past() {
    let just_due = Duration::from_secs(at("2026-11-22T12:00:25Z").as_secs() as u64);
    let start = |label| {
        let timetable = every_30s();
        let step = timetable.rhythm(at("2026-11-22T12:00:00Z")).step();
        Ticker::start(timetable, step, label, None).next_due()
    };
    assert_eq!(start(just_due), Some(at("2026-11-22T12:00:25Z")));
    assert_eq!(start(just_due + Duration::from_nanos(1)), Some(at("2026-11-22T12:00:55Z")));
}

#[test]
fn a_stalled_host_starts_one_run_and_counts_the_rest_as_missed() {
    let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
    let tick = host.pass(seconds(600.0)); // due at :25 and :55, 20 times; the last 5 s ago
    assert_eq!(tick.run.map(|run| (run.due, run.late)), Some((at("2026-11-22T12:09:55Z"), seconds(5.0))));
    assert_eq!(tick.missed, 19);
}

#[test]
fn a_run_nearer_to_the_next_due_time_is_missed_not_late() {
    let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
    let tick = host.pass(seconds(41.0)); // due at :25, next at :55
    assert_eq!(tick, Tick { run: None, missed: 1 });
    assert_eq!(host.ticker.next_due(), Some(at("2026-11-22T12:00:55Z")));
}

#[test]
fn a_clock_turned_forward_by_hours_brings_no_burst() {
    let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
    host.pass_slowly(60);
    host.turn_forward(seconds(3.0 * 3_600.0));
    let tick = host.pass(seconds(1.0));
    assert_eq!(u64::from(tick.run.is_some()) + tick.missed, 360);
    assert_eq!(host.steps, [ClockStep { by: seconds(10_800.0), direction: Direction::Forward }]);
    assert_eq!(host.pass_slowly(600).len(), 20);
}

#[test]
fn a_clock_turned_back_leaves_runs_going_but_no_slot_is_taken_twice() {
    let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
    assert_eq!(slots(&host.pass_slowly(600)).iter().flatten().count(), 20);
    host.turn_back(seconds(300.0));
    let again = host.pass_slowly(300);
    assert_eq!((again.len(), slots(&again).iter().flatten().count()), (10, 0));
    let after = host.pass_slowly(300);
    assert_eq!((after.len(), slots(&after).iter().flatten().count()), (10, 10));
    assert_eq!(host.steps, [ClockStep { by: seconds(300.0), direction: Direction::Backward }]);
}

#[test]
fn an_appointment_is_not_kept_twice_when_the_clock_is_turned_back_an_hour() {
    let mut host = Host::start(cron("0 8 * * *", "UTC"), "2026-11-22T07:59:00Z");
    assert_eq!(host.pass_slowly(1_800).len(), 1);
    host.turn_back(seconds(3_600.0));
    assert_eq!(host.pass_slowly(3_600), []);
    assert_eq!(host.ticker.next_due(), Some(at("2026-11-23T08:00:00Z")));
}

#[test]
fn an_appointment_kept_on_a_wrong_day_is_kept_again_on_the_right_one() {
    let mut host = Host::start(cron("0 8 * * *", "UTC"), "2026-12-25T07:59:00Z");
    assert_eq!(host.pass_slowly(1_800).len(), 1);
    host.turn_back(seconds(30.0 * 86_400.0 + 3_600.0));
    let runs = host.pass_slowly(3_600);
    assert_eq!(runs.iter().map(|run| (run.due, run.slot)).collect::<Vec<_>>(), [(at("2026-11-25T08:00:00Z"), None)]);
}

#[test]
fn a_daily_run_missed_by_a_forward_step_is_made_up_within_half_its_step_only() {
    for (hours, made_up) in [(2.0, true), (13.0, false)] {
        let mut host = Host::start(cron("0 8 * * *", "UTC"), "2026-11-22T07:30:00Z");
        host.turn_forward(seconds(hours * 3_600.0));
        let tick = host.pass(seconds(1.0));
        assert_eq!((tick.run.is_some(), tick.missed), (made_up, u64::from(!made_up)));
    }
}

#[test]
fn a_correction_of_a_second_moves_nothing_and_is_no_step() {
    let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
    host.pass_slowly(60);
    host.turn_back(seconds(1.0)); // as a leap second does
    assert_eq!(host.pass_slowly(600).len(), 20);
    assert_eq!(host.steps, []);
}

#[test]
fn a_wall_clock_500_ppm_fast_or_slow_loses_and_doubles_no_run() {
    for turn in [Host::turn_forward, Host::turn_back] {
        let mut host = Host::start(every_30s(), "2026-11-22T12:00:00Z");
        let mut runs = Vec::new();
        for _ in 0..86_400 {
            turn(&mut host, Duration::from_micros(500));
            let tick = host.pass(seconds(1.0));
            assert_eq!(tick.missed, 0);
            runs.extend(tick.run);
        }
        assert_eq!(slots(&runs).iter().flatten().count(), runs.len());
        assert!((2_877..=2_883).contains(&runs.len()) && !host.steps.is_empty(), "{} runs", runs.len());
    }
}

#[test]
fn a_clock_set_from_1970_to_today_counts_in_an_instant() {
    let mut host = Host::start(cron("* * * * * *", "Europe/Paris"), "1970-01-01T00:00:10Z");
    host.turn_forward(seconds(1_795_000_000.0));
    let tick = host.pass(seconds(1.0));
    // From second 10 on, which nobody had polled yet, to second 11 + step.
    assert_eq!(u64::from(tick.run.is_some()) + tick.missed, 1_795_000_002);
}

#[test]
fn slots_stored_before_a_restart_are_not_taken_again() {
    let timetable = every_30s();
    let stored = Some(Slot::at(at("2026-11-22T12:00:30Z")));
    let step = timetable.rhythm(at("2026-11-22T12:00:00Z")).step();
    let label = |rfc3339| Duration::from_secs(at(rfc3339).as_secs() as u64);
    let mut ticker = Ticker::start(timetable, step, label("2026-11-22T12:00:25Z"), stored);
    assert_eq!(ticker.poll(label("2026-11-22T12:00:25Z")).run.map(|run| run.slot), Some(None));
    assert_eq!(ticker.poll(label("2026-11-22T12:00:55Z")).run.map(|run| run.slot), Some(None));
    let free = Slot::at(at("2026-11-22T12:01:00Z"));
    assert_eq!(ticker.poll(label("2026-11-22T12:01:25Z")).run.map(|run| run.slot), Some(Some(free)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_the_clocks_do_slots_rise_and_no_due_time_is_forgotten(
        moves in proptest::collection::vec((0_u64..400, -5_000_i64..5_000, 0..4_u32), 1..80),
        expression in proptest::sample::select(&["*/3 * * * *", "*/2 8-18 * * *", "0 12 * * *"][..]),
    ) {
        let timetable = cron(expression, "Europe/Paris");
        let mut host = Host::start(timetable.clone(), "2026-10-24T11:00:00Z");
        let (mut taken, mut forward_only, mut handled) = (None, true, 0);
        for (pass, turn, chance) in moves {
            if chance == 0 {
                forward_only &= turn >= -1;
                let by = Duration::from_secs(turn.unsigned_abs());
                if turn < 0 { host.turn_back(by) } else { host.turn_forward(by) }
            }
            let tick = host.pass(Duration::from_secs(pass));
            handled += tick.missed + u64::from(tick.run.is_some());
            if let Some(slot) = tick.run.and_then(|run| run.slot) {
                prop_assert!(Some(slot) > taken);
                taken = Some(slot);
            }
        }
        if forward_only {
            let (label, _) = host.clock.observe(host.clocks);
            let (from, until) = (at("2026-10-24T11:00:00Z"), UnixTime::from_duration(label));
            prop_assert_eq!(handled, timetable.runs_between(from.as_secs(), until.as_secs() + 1).count);
        }
    }
}

#[test]
fn a_job_that_changes_goes_on_without_a_gap_and_runs_nothing_twice() {
    let noon = at("2026-11-22T12:00:00Z").as_secs();
    let label = |millis: u64| Duration::from_secs(noon.unsigned_abs()) + Duration::from_millis(millis);
    let every = |every: &str| {
        let timetable = Timetable::every(every, "pop-paris", zone("UTC")).unwrap();
        let step = timetable.rhythm(at("2026-11-22T12:00:00Z")).step();
        (timetable, step)
    };
    // Changed at any moment, before or after it was asked what is due, it hands out each second once.
    for (changed, polled) in (0..40).flat_map(|tenth| [(tenth * 100, true), (tenth * 100, false)]) {
        let (timetable, step) = every("1s");
        let mut ticker = Ticker::start(timetable.clone(), step, label(0), None);
        let mut dues = Vec::new();
        for now in (0..6000).step_by(100) {
            let mut poll =
                |ticker: &mut Ticker| dues.extend(ticker.poll(label(now)).run.map(|run| (run.due.as_secs() - noon, run.slot.is_some())));
            if now != changed || polled {
                poll(&mut ticker);
            }
            if now == changed {
                ticker = ticker.go_on_as(timetable.clone(), step, label(now));
            }
            poll(&mut ticker);
        }
        assert_eq!(dues, (0..6).map(|second| (second, true)).collect::<Vec<_>>(), "changed at {changed} ms");
    }
    // With a later start within the second, what was handed out a moment ago is not handed out again.
    let (seconds, step) = every("1s");
    let mut ticker = Ticker::start(seconds.clone(), step, label(0), None);
    assert!(ticker.poll(label(2000)).run.is_some());
    assert_eq!(ticker.go_on_as(seconds.clone(), step, label(1700)).next_due(), Some(UnixTime::from_secs(noon + 3)));
    // Long after the last due time of what it was, nothing is missed of what it is.
    let (timetable, step) = every("30s");
    let ticker = Ticker::start(timetable, step, label(0), None).go_on_as(seconds, step, label(20_500));
    assert_eq!(ticker.next_due(), Some(UnixTime::from_secs(noon + 21)));
}
