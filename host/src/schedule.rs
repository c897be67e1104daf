//! When a job is due, which slot a run stands for, and how long it may take.
//!
//! Pure: no clock, no runtime, no file; time is passed in as [`UnixTime`] or as [`Clocks`].
//!
//! Reading order: [`Timetable`] says when a job is due. [`Rhythm`] says how close its runs come, and from that the
//! [`Step`], the [`Slot`] of a run and the deadline. [`DueClock`] labels monotonic time with wall-clock time;
//! [`Ticker`] hands out one job's runs by it. Below them, from text to instants: `span` and `field` read, `dialect`
//! hands an expression to the `cron` crate, `cron` holds it, `naive` finds its times on a calendar, `zoned` brings those
//! into a zone over both DST changes. [`Windows`] say when a job may run at all; a [`Moment`] comes again each day, or on some days of a week.

mod cron;
mod describe;
mod dialect;
mod due_clock;
mod error;
mod every;
mod field;
mod holidays;
mod moment;
mod naive;
mod overlap;
mod rhythm;
mod runs;
mod span;
#[cfg(test)]
mod tests;
mod ticker;
mod timetable;
mod unix_time;
mod window;
mod windows;
mod zone;
mod zoned;

pub use due_clock::{ClockStep, Clocks, Direction, DueClock, LOOK_AT_LEAST_EVERY};
pub use error::{CronFault, HolidayFault, ScheduleError, SpanFault, WindowFault};
pub use field::{FieldKind, ItemFault};
pub use holidays::Holidays;
pub(crate) use moment::weekday_of;
pub use moment::{Days, Moment};
pub use overlap::Overlap;
pub use rhythm::{Rhythm, Slot, Step};
pub use span::{parse_long_span, parse_span};
pub use ticker::{Run, Tick, Ticker};
pub use timetable::Timetable;
pub use unix_time::UnixTime;
pub use windows::Windows;
pub use zone::Zone;
