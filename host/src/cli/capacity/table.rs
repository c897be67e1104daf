//! Capacities for people and for spreadsheets.

use watchpost_plugin_api::Kind;

use super::Capacity;
use crate::{
    cli::{
        sheet::{Cell, Sheet},
        table,
    },
    console::readable,
};

const HEAD: &[&str] = &[
    "series",
    "unit",
    "kind",
    "level",
    "growth_per_day",
    "growth_per_day_low",
    "growth_per_day_high",
    "days",
    "whole_days",
    "limit",
    "outlook",
    "reached_earliest",
    "reached",
    "reached_latest",
];

/// Prints a table.
pub(super) fn print(capacities: &[Capacity]) {
    let head = ["series", "level", "a day", "between", "days", "limit", "reached", "between"];
    let rows: Vec<Vec<String>> = capacities.iter().map(row).collect();
    table::print(&head, &rows);
    if capacities.iter().any(|said| said.whole_days == Some(false)) {
        println!("\n* fewer than four days: what differs between the hours of a day counts as growth");
    }
}

fn row(said: &Capacity) -> Vec<String> {
    let rate = if said.kind == Kind::Counter { "/s" } else { "" };
    let value = |value: Option<f64>| value.map_or("-".to_owned(), |value| readable::value(value, said.unit) + rate);
    let signed = |growth: Option<f64>| match growth {
        Some(growth) if growth > 0.0 => format!("+{}", value(Some(growth))),
        other => value(other),
    };
    let days = said.days.map_or("-".to_owned(), |days| format!("{days:.1}{}", if said.whole_days == Some(false) { "*" } else { "" }));
    let (reached, between) = match said.outlook {
        None => (String::new(), String::new()),
        Some("in sight") => {
            let far = || "later".to_owned();
            let ends = [&said.reached_earliest, &said.reached_latest].map(|end| end.clone().unwrap_or_else(far));
            (said.reached.clone().unwrap_or_else(far), ends.join(" and "))
        }
        Some(other) => (other.to_owned(), String::new()),
    };
    let low_high = match said.growth_per_day {
        None => "-".to_owned(),
        Some(_) if said.growth_per_day_low == said.growth_per_day_high => String::new(),
        Some(_) => format!("{} and {}", signed(said.growth_per_day_low), signed(said.growth_per_day_high)),
    };
    let limit = if said.limit.is_some() { value(said.limit) } else { String::new() };
    vec![said.series.clone(), value(said.level), signed(said.growth_per_day), low_high, days, limit, reached, between]
}

/// The table for programs.
pub(super) fn sheet(capacities: &[Capacity]) -> Sheet {
    Sheet { name: "Capacity", head: HEAD, rows: capacities.iter().map(cells).collect() }
}

fn cells(said: &Capacity) -> Vec<Cell> {
    vec![
        Cell::text(Some(&said.series)),
        Cell::word(said.unit),
        Cell::word(said.kind),
        Cell::number(said.level),
        Cell::number(said.growth_per_day),
        Cell::number(said.growth_per_day_low),
        Cell::number(said.growth_per_day_high),
        Cell::number(said.days),
        Cell::text(said.whole_days.map(|whole| if whole { "true" } else { "false" })),
        Cell::number(said.limit),
        Cell::text(said.outlook),
        Cell::text(said.reached_earliest.as_deref()),
        Cell::text(said.reached.as_deref()),
        Cell::text(said.reached_latest.as_deref()),
    ]
}
