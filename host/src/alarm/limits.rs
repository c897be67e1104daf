//! The bounds of a rule in the unit of what it looks at, and what figures are by them.

use watchpost_plugin_api::{Severity, Unit};

use super::{
    bound::Bound,
    history::Reach,
    judge::{Level, Seen, severity},
    limit::{Limit, Of},
};
use crate::config::Bounds;

/// The bounds of a rule in a unit.
#[derive(Debug, Default)]
pub struct Limits {
    /// The worst first.
    levels: Vec<(Level, Limit)>,
    /// What a value has to be, too, before all is well.
    rearm: Option<Limit>,
    reach: Reach,
}

impl Limits {
    /// Bounds in a unit; nothing where one is of another.
    pub fn new(bounds: &Bounds, rearm: Option<&Bound>, unit: Unit) -> Option<Self> {
        let mut levels = Vec::new();
        for (bound, level) in bounds.iter().zip(1..=4).rev() {
            if let Some(bound) = bound {
                levels.push((level, bound.value.limit(unit).ok()?));
            }
        }
        let mildest = bounds.iter().flatten().next();
        let back = |rearm: &Bound| mildest.map_or_else(|| rearm.limit(unit), |mildest| rearm.limit_beside(&mildest.value, unit));
        let rearm = rearm.map(back).transpose().ok()?;
        let reach = Reach::of(levels.iter().map(|(_, limit)| limit).chain(&rearm).map(|limit| limit.of));
        Some(Self { levels, rearm, reach })
    }

    /// What is looked at.
    pub fn looked_at(&self) -> impl Iterator<Item = Of> {
        self.levels.iter().map(|(_, limit)| limit).chain(&self.rearm).map(|limit| limit.of)
    }

    /// What the bound of a severity looks at; that of the mildest where it has none.
    pub fn looked_at_for(&self, severity: Option<Severity>) -> Of {
        let limit = self.levels.iter().find(|(level, _)| Some(self::severity(*level)) == severity);
        limit.or(self.levels.last()).map_or(Of::Value, |(_, limit)| limit.of)
    }

    /// How far back is looked.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether it is asked whether there is a value at all.
    pub fn is_absence(&self) -> bool {
        self.levels.iter().any(|(_, limit)| limit.of == Of::Absence)
    }

    /// What figures are by these limits: nothing while they are unknown.
    pub fn judge(&self, figure: impl Fn(Of) -> Option<f64>) -> Option<Seen> {
        let (mut level, mut unknown) = (0, 0);
        for (at, limit) in &self.levels {
            match figure(limit.of) {
                Some(figure) if limit.is_crossed(figure) => {
                    level = *at;
                    break;
                }
                Some(_) => {}
                None => unknown = unknown.max(*at),
            }
        }
        if level == 0 && unknown > 0 {
            return None;
        }
        let mildest = self.levels.last().map_or(0, |(level, _)| *level);
        let is_back = self.rearm.is_none_or(|rearm| figure(rearm.of).is_some_and(|figure| rearm.is_crossed(figure)));
        // What stands is no milder while nobody knows whether it is.
        let held = level.max(unknown);
        Some(Seen { level, held: if is_back { held } else { held.max(mildest) } })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_unusual_comes_back_to_being_near_to_what_is_usual() {
        use crate::config::{At, Place};
        let at = |text: &str| At { value: Bound::parse(text).unwrap(), place: Place::whole("") };
        // How far from what is usual it may be and still be held: the first is the mildest bound that is crossed, the second holds, the third is near.
        for (bound, figures) in
            [("> 3 deviations", [3.5, 2.0, 0.5]), ("< 3 deviations", [-3.5, -2.0, -0.5]), ("outside 3 deviations", [-3.5, 2.0, -0.5])]
        {
            let limits =
                Limits::new(&[Some(at(bound)), None, None, None], Some(&Bound::parse("< 1 deviations").unwrap()), Unit::Seconds).unwrap();
            let seen = figures.map(|figure| limits.judge(|_| Some(figure)).map(|seen| (seen.level, seen.held)));
            assert_eq!(seen, [Some((1, 1)), Some((0, 1)), Some((0, 0))], "{bound}");
        }
    }

    const NOW: Of = Of::Value;
    const LATER: Of = Of::Forecast(Duration::from_secs(60), Duration::from_secs(60));

    fn limits() -> Limits {
        let limit = |of, cut| Limit { of, cut: super::super::limit::Cut::Above(cut) };
        Limits { levels: vec![(3, limit(LATER, 9.0)), (1, limit(NOW, 5.0))], rearm: None, reach: Reach::default() }
    }

    #[test]
    fn what_is_unknown_is_neither_crossed_nor_well() {
        let judge = |now: Option<f64>, later: Option<f64>| {
            let seen = limits().judge(|of| if of == NOW { now } else { later });
            seen.map(|seen| (seen.level, seen.held))
        };
        assert_eq!(judge(Some(1.0), Some(1.0)), Some((0, 0)));
        assert_eq!(judge(Some(6.0), Some(10.0)), Some((3, 3)));
        assert_eq!(judge(Some(1.0), None), None);
        assert_eq!(judge(Some(6.0), None), Some((1, 3)), "what stands is no milder while nobody knows");
        assert_eq!(judge(None, Some(10.0)), Some((3, 3)));
        assert_eq!(judge(None, Some(1.0)), None);
        assert_eq!(judge(None, None), None);
    }
}
