//! Limits: what of a series is looked at, and which figures of it are too much, in the unit of its metric.

use std::time::Duration;

/// What of a series a limit looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The value; of a counter what it rises in a second.
    Value,
    /// How long there was none, seconds.
    Absence,
    /// How many deviations it is away from what is usual.
    Deviation,
    /// By how much it is another than so long ago; of a counter what it rose since.
    Change(Duration),
    /// The same, as a share of what it was.
    RelativeChange(Duration),
    /// By how much it rises in so long: since the value before, or on average over the second span.
    Rate(Duration, Option<Duration>),
    /// What it will be so long from now, by its trend over the second span.
    Forecast(Duration, Duration),
    /// How many events came in so long.
    Events(Duration),
}

/// Which figures cross.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Less than it.
    Below(f64),
    /// So much or less.
    AtMost(f64),
    /// More than it.
    Above(f64),
    /// So much or more.
    AtLeast(f64),
    /// Less than the first or more than the second.
    Outside(f64, f64),
    /// More than the first and less than the second.
    Inside(f64, f64),
}

/// A bound of a known unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// What is looked at.
    pub of: Of,
    /// What crosses it.
    pub cut: Cut,
}

/// How a bound looks at a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Too little.
    Down,
    /// Too much.
    Up,
    /// Either.
    Out,
}

impl Of {
    /// What limits have to have in common that stand beside each other.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Value => "the value",
            Self::Absence => "whether there is a value",
            Self::Deviation => "the distance from what is usual",
            Self::Change(_) | Self::RelativeChange(_) => "the change",
            Self::Rate(..) => "the rate",
            Self::Forecast(..) => "the forecast",
            Self::Events(_) => "the number of events",
        }
    }

    /// How far back it looks; nothing where the values that came last are enough.
    pub fn looks_back(self) -> Option<Duration> {
        match self {
            Self::Value | Self::Absence | Self::Deviation => None,
            Self::Rate(_, window) => window,
            Self::Change(window) | Self::RelativeChange(window) | Self::Forecast(_, window) | Self::Events(window) => Some(window),
        }
    }

    fn is_share(self) -> bool {
        matches!(self, Self::RelativeChange(_))
    }

    /// Whether it takes more than the value that has just come.
    pub fn has_history(self) -> bool {
        !matches!(self, Self::Value | Self::Absence | Self::Deviation)
    }
}

impl Limit {
    /// Whether a figure crosses it.
    pub fn is_crossed(&self, figure: f64) -> bool {
        match self.cut {
            Cut::Below(bound) => figure < bound,
            Cut::AtMost(bound) => figure <= bound,
            Cut::Above(bound) => figure > bound,
            Cut::AtLeast(bound) => figure >= bound,
            Cut::Outside(low, high) => figure < low || figure > high,
            Cut::Inside(low, high) => figure > low && figure < high,
        }
    }

    /// Whether less crosses this one than the milder one; of two windows nothing is said.
    pub fn is_worse_than(&self, milder: &Self) -> bool {
        match (self.of, milder.of) {
            // Sooner is worse.
            (Of::Forecast(ahead, _), Of::Forecast(later, _)) if ahead != later => {
                ahead < later && (self.cut == milder.cut || self.cut.is_worse_than(milder.cut))
            }
            (of, other) if of.looks_back() != other.looks_back() || of.is_share() != other.is_share() => true,
            _ => self.cut.is_worse_than(milder.cut),
        }
    }
}

impl Cut {
    /// Whether some figure does not cross it.
    pub fn is_sound(self) -> bool {
        !matches!(self, Self::Outside(low, high) | Self::Inside(low, high) if low >= high)
    }

    /// Whether what comes back to the other one is beyond this one no more; to come back up to the very bound is enough.
    pub fn is_left_by(self, back: Self) -> bool {
        match (self, back) {
            (Self::Above(bound) | Self::AtLeast(bound), Self::Below(back) | Self::AtMost(back)) => back <= bound,
            (Self::Below(bound) | Self::AtMost(bound), Self::Above(back) | Self::AtLeast(back)) => back >= bound,
            (Self::Outside(low, high), Self::Below(back) | Self::AtMost(back)) => low < back && back <= high,
            (Self::Outside(low, high), Self::Above(back) | Self::AtLeast(back)) => low <= back && back < high,
            (Self::Outside(low, high), Self::Inside(back_low, back_high)) => low <= back_low && back_high <= high,
            _ => false,
        }
    }

    fn is_worse_than(self, milder: Self) -> bool {
        match (self, milder) {
            (Self::Outside(low, high), Self::Outside(mild_low, mild_high)) => low < mild_low && high > mild_high,
            (Self::Below(one) | Self::AtMost(one), _) => one < milder.value(),
            _ => self.value() > milder.value(),
        }
    }

    fn value(self) -> f64 {
        match self {
            Self::Below(bound) | Self::AtMost(bound) | Self::Above(bound) | Self::AtLeast(bound) => bound,
            Self::Outside(bound, _) | Self::Inside(bound, _) => bound,
        }
    }
}
