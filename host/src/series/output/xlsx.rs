//! Answers as a workbook: a sheet of data with real dates, and a chart of it.

use std::io::{self, Cursor, Write};

use rust_xlsxwriter::{
    Chart, ChartAxis, ChartEmptyCells, ChartFont, ChartLegendPosition, ChartLine, ChartMarker, ChartMarkerType, ChartSolidFill, ChartType,
    Color, DocProperties, Format, FormatAlign, Workbook, Worksheet, XlsxError,
};

use super::{COLOURS, title, unit_of};
use crate::{schedule::Zone, series::fetch::Series};

/// Rows of a sheet, its head among them. Source: Excel specifications and limits.
const ROWS_MAX: usize = 1_048_576;
/// Columns of a sheet, that of the time among them.
const COLUMNS_MAX: usize = 16_384;

/// Cells of a sheet that are held in memory, at most: each takes half a kilobyte. Larger ones are built in a temporary file.
const CELLS_HELD_MAX: usize = 100_000;

/// Name of the sheet of data, as the chart refers to it.
const DATA: &str = "Data";
/// Days between the day 0 of spreadsheets and 1970.
const DAYS_TO_1970: f64 = 25_569.0;
const DAY_S: f64 = 86_400.0;
/// Marks of the time axis, at most, and how far they may be apart, seconds.
const TICKS_MAX: i64 = 12;
const TICKS_S: [i64; 15] =
    [10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400];
/// Rows up to which each value has a mark of its own.
const MARKED_ROWS_MAX: usize = 200;
/// Series that a chart still shows apart.
const DRAWN_MAX: usize = 32;
/// Characters of a cell. Source: Excel specifications and limits.
const CELL_CHARS_MAX: usize = 32_767;

const GRID: u32 = 0xD9D9D9;

/// Why there is no workbook.
#[derive(Debug, thiserror::Error)]
pub enum WorkbookError {
    /// A sheet has no room for it.
    #[error("a sheet of Excel has {max} {what}, and this takes {needed}: ask for {instead}, or for csv", max = grouped(*.max), needed = grouped(*.needed))]
    TooLarge {
        /// Rows or columns.
        what: &'static str,
        /// How many a sheet has.
        max: usize,
        /// How many this would take, the head or the time among them.
        needed: usize,
        /// What would be smaller.
        instead: &'static str,
    },
    /// The writer of workbooks failed.
    #[error("the workbook cannot be made")]
    Made(#[from] XlsxError),
    /// What was made cannot be written.
    #[error(transparent)]
    Written(#[from] io::Error),
}

/// Writes a workbook: the sheet `Data` with times as dates of `zone`, which the head names, and a column for each series; the sheet
/// `Chart` with a line for each; the sheet `Gaps` that says why values are unknown, where they are. Unknown is an empty cell, and a gap
/// in the line.
pub fn write_xlsx(series: &[Series], zone: Zone, out: &mut dyn Write) -> Result<(), WorkbookError> {
    let times: Vec<i64> = super::times(series).into_iter().collect();
    fits("rows", times.len() + 1, ROWS_MAX, "a shorter range or a longer step")?;
    fits("columns", series.len() + 1, COLUMNS_MAX, "fewer series")?;
    let mut workbook = Workbook::new();
    workbook.set_properties(&DocProperties::new().set_title("Series").set_company("Watchpost"));
    let is_large = times.len().saturating_mul(series.len() + 1) > CELLS_HELD_MAX;
    let data = if is_large { workbook.add_worksheet_with_constant_memory()? } else { workbook.add_worksheet() };
    let data = data.set_name(DATA)?;
    head(data, series, zone)?;
    rows(data, series, &times, zone)?;
    if !times.is_empty() {
        let sheet = workbook.add_worksheet().set_name("Chart")?;
        sheet.set_screen_gridlines(false).set_landscape().set_print_fit_to_pages(1, 1);
        sheet.insert_chart(0, 0, &chart(series, &times, zone))?;
    }
    if series.iter().any(|one| !one.gaps.is_empty()) {
        gaps(workbook.add_worksheet().set_name("Gaps")?, series, zone)?;
    }
    let mut made = Cursor::new(Vec::new());
    workbook.save_to_writer(&mut made)?;
    Ok(out.write_all(made.get_ref())?)
}

fn fits(what: &'static str, needed: usize, max: usize, instead: &'static str) -> Result<(), WorkbookError> {
    if needed > max { Err(WorkbookError::TooLarge { what, max, needed, instead }) } else { Ok(()) }
}

fn head(sheet: &mut Worksheet, series: &[Series], zone: Zone) -> Result<(), WorkbookError> {
    let bold = Format::new().set_bold().set_text_wrap().set_align(FormatAlign::Top);
    sheet.set_freeze_panes(1, 1)?;
    sheet.set_column_width(0, 20)?;
    let titles = std::iter::once(format!("time ({})", zone.name())).chain(series.iter().map(title));
    for (column, title) in (0..).zip(titles) {
        if column > 0 {
            sheet.set_column_width(column, 26)?;
        }
        sheet.write_string_with_format(0, column, text(&title), &bold)?;
    }
    Ok(())
}

fn rows(sheet: &mut Worksheet, series: &[Series], times: &[i64], zone: Zone) -> Result<(), WorkbookError> {
    let date = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
    for (row, time) in (1..).zip(times) {
        sheet.write_number_with_format(row, 0, date_of(*time, zone), &date)?;
        for (column, series) in (1..).zip(series) {
            // What is no number would become an error of the sheet.
            if let Some(value) = series.at(*time).filter(|value| value.is_finite()) {
                sheet.write_number(row, column, value)?;
            }
        }
    }
    Ok(())
}

/// Why values are unknown: a line for each gap of each series, as many as a sheet has room for.
fn gaps(sheet: &mut Worksheet, series: &[Series], zone: Zone) -> Result<(), WorkbookError> {
    let (bold, date) = (Format::new().set_bold(), Format::new().set_num_format("yyyy-mm-dd hh:mm:ss"));
    sheet.set_freeze_panes(1, 0)?;
    let after = format!("after ({})", zone.name());
    for ((column, width), head) in (0..).zip([48, 20, 20, 16, 16]).zip(["series", &after, "up to", "cause", "detail"]) {
        sheet.set_column_width(column, width)?;
        sheet.write_string_with_format(0, column, head, &bold)?;
    }
    let all = series.iter().flat_map(|one| one.gaps.iter().map(move |gap| (one, gap)));
    for (row, (one, gap)) in (1..).zip(all.take(ROWS_MAX - 1)) {
        sheet.write_string(row, 0, text(&title(one)))?;
        sheet.write_number_with_format(row, 1, date_of(gap.from, zone), &date)?;
        sheet.write_number_with_format(row, 2, date_of(gap.to, zone), &date)?;
        sheet.write_string(row, 3, gap.cause.name())?;
        sheet.write_string(row, 4, gap.detail.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// A date axis counts days; times of a day need one of numbers.
fn chart(series: &[Series], times: &[i64], zone: Zone) -> Chart {
    let several_steps = series.iter().any(|one| series.first().is_some_and(|first| one.step != first.step));
    // Between values of a longer step there are empty cells: marks show what no line can join.
    let is_marked = several_steps || times.len() <= MARKED_ROWS_MAX;
    let mut chart = Chart::new(if is_marked { ChartType::ScatterStraightWithMarkers } else { ChartType::ScatterStraight });
    let last = u32::try_from(times.len()).unwrap_or(u32::MAX);
    for ((column, colour), _) in (1..).zip(COLOURS.iter().cycle()).zip(series).take(DRAWN_MAX) {
        let colour = Color::RGB(*colour);
        let line = chart.add_series();
        line.set_name((DATA, 0, column)).set_categories((DATA, 1, 0, last, 0)).set_values((DATA, 1, column, last, column));
        line.set_format(ChartLine::new().set_color(colour).set_width(1.5));
        if is_marked {
            let mut mark = ChartMarker::new();
            mark.set_type(ChartMarkerType::Circle).set_size(3);
            mark.set_format(ChartSolidFill::new().set_color(colour));
            line.set_marker(&mark);
        }
    }
    chart.show_empty_cells_as(ChartEmptyCells::Gaps);
    chart.set_width(1_100).set_height(560);
    chart.legend().set_position(ChartLegendPosition::Bottom);
    time_axis(chart.x_axis(), times, zone);
    let units = units(series);
    let axis = chart.y_axis();
    axis.set_major_gridlines_line(ChartLine::new().set_color(Color::RGB(GRID)).set_width(0.75));
    if !units.is_empty() {
        axis.set_name(&units);
    }
    if series.len() == 1 {
        chart.title().set_name((DATA, 0, 1));
        chart.legend().set_hidden();
    } else {
        chart.title().set_hidden();
    }
    chart
}

/// Marks at round times of the zone, around all of the range.
#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
fn time_axis(axis: &mut ChartAxis, times: &[i64], zone: Zone) {
    let shown = |time: Option<&i64>| time.map_or(0, |time| time + zone.offset_at(*time));
    let (first, last) = (shown(times.first()), shown(times.last()));
    let [.., longest] = TICKS_S;
    let tick = TICKS_S.into_iter().find(|tick| (last - first) / tick < TICKS_MAX).unwrap_or(longest);
    let date = |seconds: i64| seconds as f64 / DAY_S + DAYS_TO_1970;
    let format = match tick {
        0..60 => "hh:mm:ss",
        _ if first.div_euclid(86_400) == last.div_euclid(86_400) => "hh:mm",
        60..86_400 => "mm-dd hh:mm",
        _ => "yyyy-mm-dd",
    };
    let mut slanted = ChartFont::new();
    slanted.set_rotation(-45);
    axis.set_name((DATA, 0, 0)).set_font(&slanted).set_num_format(format);
    axis.set_min(date(first.div_euclid(tick) * tick)).set_max(date((last.div_euclid(tick) + 1) * tick));
    axis.set_major_unit(tick as f64 / DAY_S);
}

/// The units of all series, each once.
fn units(series: &[Series]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in series.iter().map(|one| unit_of(one.unit, one.kind)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

/// An instant as the number that spreadsheets take for the date that clocks of the zone showed.
#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact")]
fn date_of(time: i64, zone: Zone) -> f64 {
    (time + zone.offset_at(time)) as f64 / DAY_S + DAYS_TO_1970
}

/// What a cell takes of a text: XML has no way to write these two, and a cell ends.
fn text(title: &str) -> String {
    title.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c }).take(CELL_CHARS_MAX).collect()
}

fn grouped(number: usize) -> String {
    let figures = number.to_string();
    let groups: Vec<&str> = figures.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_what_clocks_of_the_zone_showed() {
        let paris = Zone::parse("Europe/Paris").unwrap();
        // 2026-03-29 is day 46110; clocks went from 02:00 to 03:00.
        let hours = |time| (date_of(time, paris) - 46_110.0) * 24.0;
        for (time, expected) in [(1_774_742_400, 1.0), (1_774_745_999, 2.0 - 1.0 / 3_600.0), (1_774_746_000, 3.0)] {
            assert!((hours(time) - expected).abs() < 1e-6, "{time}: {}", hours(time));
        }
        assert!((date_of(1_774_742_400, Zone::default()) - 46_110.0).abs() < 1e-9);
    }

    /// The cells of the sheet of data, by the part of the file that has them.
    fn cells_of(series: &[Series]) -> usize {
        let mut made = Vec::new();
        write_xlsx(series, Zone::default(), &mut made).unwrap();
        let mut files = zip::ZipArchive::new(Cursor::new(made)).unwrap();
        let sheet = std::io::read_to_string(files.by_name("xl/worksheets/sheet1.xml").unwrap()).unwrap();
        sheet.matches("<v>").count()
    }

    #[test]
    fn a_large_sheet_has_what_a_small_one_has() {
        for rows in [10, CELLS_HELD_MAX / 2] {
            let values: Vec<_> = (1..=rows as i64).map(|row| (row * 60, (row % 5 > 0).then_some(row as f64))).collect();
            let series = super::super::tests::series("a", 60, &values);
            assert_eq!(cells_of(&[series.clone(), series]), rows + 2 * rows * 4 / 5 + if rows == 10 { 3 } else { 0 }, "{rows} rows");
        }
    }

    #[test]
    fn what_no_sheet_has_room_for_is_refused_with_what_would_fit() {
        assert!(fits("rows", ROWS_MAX, ROWS_MAX, "x").is_ok());
        let refused = fits("rows", ROWS_MAX + 1, ROWS_MAX, "a longer step").unwrap_err().to_string();
        assert_eq!(refused, "a sheet of Excel has 1,048,576 rows, and this takes 1,048,577: ask for a longer step, or for csv");
        let many = super::super::tests::series("a", 60, &[(60, None)]);
        let refused = write_xlsx(&vec![many; COLUMNS_MAX], Zone::default(), &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(refused, "a sheet of Excel has 16,384 columns, and this takes 16,385: ask for fewer series, or for csv");
    }
}
