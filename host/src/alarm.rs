//! Alarms: what a rule says of a series, with a life of its own.
//!
//! Reading order: [`x733`] (what kind of trouble) · [`bound`] (what is too much, as it is written) · [`limit`] and [`limits`] (the same in a unit) · [`formula`] (arithmetic over several series) · [`together`] (which series belong together) · [`history`] (values of before) · [`recent`] (events of before) · [`watch`] (which rules look at what) · [`seat`] (series, found again) · [`baseline`] and [`usual`] (what is usual) · [`judge`] and [`awaited`] (what
//! they make of it) · [`passing`] (how time passes) · [`life`] (what happens to an alarm) · [`notice`] (a step of its life, as
//! everybody outside is told of it) · [`record`] (an alarm) · [`host`] (those of
//! the host itself) · [`maintenance`] (when nobody is told) · [`depend`] (what silences what) · [`situation`] (what began together) · [`ledger`] (all of them) · [`store`] (on disk) · [`turns`] (who writes there) · [`request`] (what is
//! asked of them) · [`replay`] (what rules would have said of the past).

pub mod awaited;
pub mod baseline;
pub mod bound;
pub mod depend;
pub mod formula;
pub mod history;
pub mod host;
pub mod judge;
pub mod ledger;
pub mod life;
pub mod limit;
pub mod limits;
pub mod maintenance;
pub mod notice;
pub mod passing;
pub mod recent;
pub mod record;
pub mod replay;
pub mod request;
pub mod seat;
pub mod situation;
pub mod store;
pub mod together;
pub mod turns;
pub mod usual;
pub mod watch;
pub mod x733;
