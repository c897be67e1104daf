//! Capacities for people and for spreadsheets.

use rust_xlsxwriter::{Format, Workbook, XlsxError};
use watchpost_plugin_api::Kind;

use super::Capacity;
use crate::{cli::table, console::readable, series::output::quoted};

const HEAD: [&str; 14] = [
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

/// A cell of a table for programs.
enum Cell {
    Text(String),
    Number(f64),
    Nothing,
}

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

fn cells(said: &Capacity) -> [Cell; 14] {
    let text = |text: Option<&str>| text.map_or(Cell::Nothing, |text| Cell::Text(text.to_owned()));
    let number = |number: Option<f64>| number.map_or(Cell::Nothing, Cell::Number);
    let word = |value: serde_json::Result<serde_json::Value>| text(value.ok().as_ref().and_then(serde_json::Value::as_str));
    [
        text(Some(&said.series)),
        word(serde_json::to_value(said.unit)),
        word(serde_json::to_value(said.kind)),
        number(said.level),
        number(said.growth_per_day),
        number(said.growth_per_day_low),
        number(said.growth_per_day_high),
        number(said.days),
        text(said.whole_days.map(|whole| if whole { "true" } else { "false" })),
        number(said.limit),
        text(said.outlook),
        text(said.reached_earliest.as_deref()),
        text(said.reached.as_deref()),
        text(said.reached_latest.as_deref()),
    ]
}

/// A table for programs; what is not known is an empty cell.
pub(super) fn csv(capacities: &[Capacity]) -> Vec<u8> {
    let mut out = HEAD.join(",") + "\n";
    for said in capacities {
        let cells = cells(said).map(|cell| match cell {
            Cell::Text(text) => quoted(text),
            Cell::Number(number) => number.to_string(),
            Cell::Nothing => String::new(),
        });
        out += &(cells.join(",") + "\n");
    }
    out.into_bytes()
}

/// The same as a workbook; what begins like a formula is a text all the same.
pub(super) fn xlsx(capacities: &[Capacity]) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let bold = Format::new().set_bold();
    let sheet = workbook.add_worksheet().set_name("Capacity")?;
    sheet.set_freeze_panes(1, 1)?;
    sheet.set_column_width(0, 50)?;
    for (column, title) in (0..).zip(HEAD) {
        sheet.write_string_with_format(0, column, title.replace('_', " "), &bold)?;
        if column > 0 {
            sheet.set_column_width(column, 18)?;
        }
    }
    for (row, said) in (1..).zip(capacities) {
        for (column, cell) in (0..).zip(cells(said)) {
            match cell {
                Cell::Text(text) => drop(sheet.write_string(row, column, text)?),
                Cell::Number(number) if number.is_finite() => drop(sheet.write_number(row, column, number)?),
                Cell::Number(_) | Cell::Nothing => {}
            }
        }
    }
    workbook.save_to_buffer()
}
