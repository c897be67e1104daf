//! Tables for programs and spreadsheets: one head, and cells that are text, numbers or nothing.

use std::{io::Write, path::Path};

use rust_xlsxwriter::{Format, Workbook, XlsxError};

use super::failure::{Failure, Outcome};
use crate::series::{output::quoted, request};

/// Columns of a sheet are that wide, characters; the first, which names things, is wider.
const WIDTHS: [f64; 2] = [50.0, 18.0];

/// A cell.
pub(super) enum Cell {
    Text(String),
    Number(f64),
    /// Not known.
    Nothing,
}

impl Cell {
    pub(super) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.to_owned()))
    }

    pub(super) fn number(number: Option<f64>) -> Self {
        number.map_or(Self::Nothing, Self::Number)
    }

    /// The word that JSON has for a value.
    pub(super) fn word(value: impl serde::Serialize) -> Self {
        Self::text(serde_json::to_value(value).ok().as_ref().and_then(serde_json::Value::as_str))
    }
}

/// A table with a head.
pub(super) struct Sheet {
    pub(super) name: &'static str,
    pub(super) head: &'static [&'static str],
    pub(super) rows: Vec<Vec<Cell>>,
}

impl Sheet {
    /// Writes it in a form for programs, to a file or to standard output.
    pub(super) fn give(&self, format: request::Format, json: impl serde::Serialize, output: Option<&Path>, cannot: &str) -> Outcome {
        let body = match format {
            request::Format::Csv => self.csv(),
            request::Format::Json => serde_json::to_vec_pretty(&json).map(ended).map_err(|error| Failure::of(cannot, &error))?,
            request::Format::Xlsx => self.xlsx().map_err(|error| Failure::of(cannot, &error))?,
        };
        match output {
            Some(file) => std::fs::write(file, &body).map_err(|error| Failure::of(format!("cannot write {}", file.display()), &error)),
            None => std::io::stdout().write_all(&body).map_err(|error| Failure::of("cannot write the answer", &error)),
        }
    }

    /// A table for programs; what is not known is an empty cell.
    fn csv(&self) -> Vec<u8> {
        let mut out = self.head.join(",") + "\n";
        for row in &self.rows {
            let cells = row.iter().map(|cell| match cell {
                Cell::Text(text) => quoted(text.clone()),
                Cell::Number(number) => number.to_string(),
                Cell::Nothing => String::new(),
            });
            out += &(cells.collect::<Vec<_>>().join(",") + "\n");
        }
        out.into_bytes()
    }

    /// The same as a workbook; what begins like a formula is a text all the same.
    fn xlsx(&self) -> Result<Vec<u8>, XlsxError> {
        let mut workbook = Workbook::new();
        let bold = Format::new().set_bold();
        let sheet = workbook.add_worksheet().set_name(self.name)?;
        sheet.set_freeze_panes(1, 1)?;
        for (column, title) in (0..).zip(self.head) {
            sheet.set_column_width(column, WIDTHS[usize::from(column > 0)])?;
            sheet.write_string_with_format(0, column, title.replace('_', " "), &bold)?;
        }
        for (row, cells) in (1..).zip(&self.rows) {
            for (column, cell) in (0..).zip(cells) {
                match cell {
                    Cell::Text(text) => drop(sheet.write_string(row, column, text)?),
                    Cell::Number(number) if number.is_finite() => drop(sheet.write_number(row, column, *number)?),
                    Cell::Number(_) | Cell::Nothing => {}
                }
            }
        }
        workbook.save_to_buffer()
    }
}

fn ended(mut body: Vec<u8>) -> Vec<u8> {
    body.push(b'\n');
    body
}
