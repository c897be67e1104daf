//! What comes of good and bad time: the level, whether it is what was promised, and what is left of what may be bad.

use serde::Serialize;

use super::Seconds;

/// The level of some time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Level {
    /// The share of known time that was good; absent while nothing is known.
    pub level: Option<f64>,
    /// Whether that is what was promised.
    pub met: Option<bool>,
    /// Seconds of the known time that may be bad.
    pub budget_s: f64,
    /// The share of those that is left; below 0 when more was bad, absent where nothing may be.
    pub budget_left: Option<f64>,
}

impl Level {
    /// Holds time against a target, a share of 1.
    ///
    /// Unknown: time that is unknown or planned is not part of it.
    pub fn of(time: Seconds, target: f64) -> Self {
        let known = (time.good + time.bad) as f64;
        let level = (known > 0.0).then(|| time.good as f64 / known);
        let budget_s = known * (1.0 - target);
        Self {
            level,
            met: level.map(|level| level >= target),
            budget_s,
            budget_left: (budget_s > 0.0).then(|| 1.0 - time.bad as f64 / budget_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_of_known_time_and_the_budget_what_may_be_bad() {
        let time = Seconds { good: 9_990, bad: 10, unknown: 5_000, planned: 3_000 };
        let said = Level::of(time, 0.998);
        assert_eq!((said.level, said.met), (Some(0.999), Some(true)));
        assert!((said.budget_s - 20.0).abs() < 1e-6 && (said.budget_left.unwrap() - 0.5).abs() < 1e-6, "{said:?}");
        let said = Level::of(time, 0.9995);
        assert!(said.met == Some(false) && said.budget_left.unwrap() < 0.0, "{said:?}");
    }

    #[test]
    fn of_unknown_time_nothing_is_said() {
        let said = Level::of(Seconds { unknown: 100, planned: 7, ..Seconds::default() }, 0.99);
        assert_eq!((said.level, said.met, said.budget_left), (None, None, None));
        let said = Level::of(Seconds { good: 1, ..Seconds::default() }, 1.0);
        assert_eq!((said.met, said.budget_left), (Some(true), None));
    }
}
