//! Times for people.

use chrono::{DateTime, Local};

use crate::schedule::Zone;

/// The zone of whoever asks: TZ, else that of the machine; UTC where neither has a name of the IANA's.
pub(super) fn zone() -> Zone {
    let own = std::env::var("TZ").ok().map(|name| name.trim_start_matches(':').to_owned()).filter(|name| !name.is_empty());
    let name = own.or_else(|| iana_time_zone::get_timezone().ok());
    let zone = name.and_then(|name| Zone::parse(&name).ok()).unwrap_or_default();
    // So that nobody reads of a place where there is none.
    if ["Etc/UTC", "Etc/UCT", "Etc/Universal", "Etc/Zulu", "UCT", "Zulu", "Universal"].contains(&zone.name()) {
        Zone::default()
    } else {
        zone
    }
}

/// A time of day of today, or the date too.
pub(super) fn local(unix_s: f64) -> String {
    let Some(time) = DateTime::from_timestamp(unix_s as i64, 0) else { return "?".into() };
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// How long that is, in two units at most: `3 m 20 s`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} m {} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {} m", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// A measured time, readable: `2.1 ms`.
pub(super) fn short(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}
