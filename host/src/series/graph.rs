//! Pictures of series, drawn by librrd.
//!
//! What is drawn is what `fetch` gives, journal and files set aside included: librrd, which draws files only, gets it as files that live
//! for as long as it draws. Reading order: [`Drawn`] · `scale` (in which unit) · `legend` (what stands below) · [`draw`].

mod legend;
mod scale;

use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use rrd::ConsolidationFn;
use rrd::error::{InvalidArgument, RrdError};
use rrd::ops::graph::elements::{Area, AreaColor, CDef, ColorWithLegend, Def, GPrint, GraphElement, Legend, Line, VDef, VarName};
use rrd::ops::graph::props::{
    ColorTag, FontParams, FontTag, GraphProps, ImageFormat, Labels, Limits, Misc, Size, TimeRange, UnitsExponent, YAxis,
};
use rrd::ops::graph::{Color, graph};
use serde::Deserialize;
use watchpost_plugin_api::{Kind, Unit};

use super::archive::{Archive, Consolidation};
use super::band;
use super::librrd::Librrd;
use super::output::COLOURS;
use super::row::{Datum, Row};
use super::shape::{FileShape, Source};
use super::writer::{SeriesWriter, WriteError};
use crate::schedule::Zone;
use legend::Written;
use scale::Scale;

/// Series of one picture, at most: beyond, colours say nothing.
pub const DRAWN_MAX: usize = 20;
/// Pixels of a side of the drawing, at most.
pub const PIXELS_MAX: u32 = 8_000;

/// The band of what is usual behind a line that is alone; of one among others it has the colour of the line, so pale.
const USUAL: Color = Color { red: 0xE6, green: 0x9F, blue: 0x00, alpha: Some(0x38) };
const BAND_AMONG_OTHERS: u8 = 0x26;
/// Pixels that librrd's margins take beside the drawing, about.
const MARGIN: u32 = 110;
/// Pixels of a letter of the legend, about.
const LETTER: f64 = 7.3;
const SANS: &str = "DejaVu Sans";
const MONO: &str = "DejaVu Sans Mono";

/// A series as `fetch` gives it in JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Drawn {
    /// What selects it.
    pub series: String,
    /// Its metric.
    pub metric: String,
    /// What one is.
    pub unit: Unit,
    /// How values follow one another; counters come per second.
    pub kind: Kind,
    /// Seconds between values.
    pub step: u32,
    /// The time of the first value.
    pub start: Option<i64>,
    /// Values; unknown where there is none.
    pub values: Vec<Option<f64>>,
    /// Between which values it usually is.
    #[serde(default)]
    pub band: Option<band::Drawn>,
}

/// The form of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// Pixels, for mail and pages.
    Png,
    /// Lines, for print.
    Svg,
}

/// How a picture looks.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its form.
    pub picture: Picture,
    /// What stands above; the metrics, where nothing is said.
    pub title: Option<String>,
    /// Pixels of the drawing; more if the names below need them.
    pub width: u32,
    /// Pixels of the drawing.
    pub height: u32,
    /// Whose clocks the line below tells; the axis is that of the process.
    pub zone: Zone,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Too many lines.
    #[error("{0} series are meant, and more than {DRAWN_MAX} lines cannot be told apart: name fewer")]
    TooMany(usize),
    /// Nothing at all is known.
    #[error("nothing is known of that time")]
    Nothing,
    /// What is drawn cannot be laid out.
    #[error("cannot lay out what is drawn")]
    Folder(#[from] io::Error),
    /// What is drawn cannot be laid out.
    #[error("cannot lay out what is drawn")]
    Write(#[from] WriteError),
    /// librrd refused.
    #[error("librrd cannot draw it: {0}")]
    Library(String),
}

impl From<RrdError> for GraphError {
    fn from(error: RrdError) -> Self {
        Self::Library(error.to_string())
    }
}

impl From<InvalidArgument> for GraphError {
    fn from(error: InvalidArgument) -> Self {
        Self::Library(error.to_string())
    }
}

/// Draws series over the range that they have.
pub fn draw(series: &[Drawn], look: &Look) -> Result<Vec<u8>, GraphError> {
    if series.len() > DRAWN_MAX {
        return Err(GraphError::TooMany(series.len()));
    }
    if !series.iter().any(|one| one.values.iter().any(Option::is_some)) {
        return Err(GraphError::Nothing);
    }
    let (begin, end) = range(series).ok_or(GraphError::Nothing)?;
    let scale = Scale::of(series);
    let folder = tempfile::tempdir()?;
    let mut elements = Vec::new();
    for (number, one) in series.iter().enumerate() {
        let file = folder.path().join(format!("{number}.rrd"));
        lay_out(one, &scale, &file, is_positive(series))?;
        elements.extend(defined(number, &file)?);
    }
    let written = Written::of(series, &scale, (begin, end), look.zone);
    elements.extend(painted(series, &written)?);
    let letters = f64::from(u32::try_from(written.letters()).unwrap_or(PIXELS_MAX));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand, from 0 on")]
    let needed = (letters * LETTER) as u32;
    let width = look.width.max(needed.saturating_sub(MARGIN)).min(PIXELS_MAX);
    let format = match look.picture {
        Picture::Png => ImageFormat::Png,
        Picture::Svg => ImageFormat::Svg,
    };
    let props = props(series, look, &scale, (begin, end), width)?;
    Ok(graph(format, &props, &elements)?.0)
}

/// Whether nothing is ever less than nothing.
fn is_positive(series: &[Drawn]) -> bool {
    series.iter().flat_map(|one| &one.values).flatten().all(|value| *value >= 0.0)
}

/// From the begin of the first row's span to the last row.
fn range(series: &[Drawn]) -> Option<(i64, i64)> {
    let begin = series.iter().filter_map(|one| Some(one.start? - i64::from(one.step))).min()?;
    let end = series.iter().filter_map(|one| Some(one.start? + i64::from(one.step) * (i64::try_from(one.values.len()).ok()? - 1))).max()?;
    Some((begin, end))
}

/// Makes a file of one series: its values, and the ends of its band.
fn lay_out(one: &Drawn, scale: &Scale, file: &Path, is_positive: bool) -> Result<(), WriteError> {
    let (step, start) = (one.step.max(1), one.start.unwrap_or(0));
    let rows = u32::try_from(one.values.len()).unwrap_or(u32::MAX).max(1);
    let source = |name: &str| Source { name: name.into(), kind: Kind::Gauge, heartbeat: step };
    let archive = Archive { consolidation: Consolidation::Average, steps: 1, rows };
    let shape = FileShape { step, sources: ["v", "l", "h"].map(source).into(), archives: vec![archive] };
    let cell = |value: Option<f64>| value.map_or(Datum::Unknown, |value| Datum::gauge(value * scale.factor));
    let end = |ends: fn(&band::Drawn) -> &Vec<Option<f64>>, row: usize| {
        let end = one.band.as_ref().and_then(|band| ends(band).get(row).copied().flatten());
        // What is never below nothing has no band there.
        cell(end.map(|end| if is_positive { end.max(0.0) } else { end }))
    };
    let stamps = (0..).map(|row: i64| start + row * i64::from(step));
    let rows = stamps.zip(one.values.iter().enumerate()).map(|(stamp, (row, value))| {
        let cells = vec![cell(*value), end(|band| &band.low, row), end(|band| &band.high, row)];
        Row { stamp, cells }
    });
    let rows: Vec<Row> = rows.collect();
    let writer = Librrd::new();
    writer.create(file, &shape, start - i64::from(step))?;
    writer.append(file, &rows)
}

/// What is computed of one series: the mean of each pixel, the least, and how far the greatest is above it; the same of its band.
fn defined(number: usize, file: &Path) -> Result<Vec<GraphElement>, GraphError> {
    let def = |name: &str, source: &str, reduce| -> Result<GraphElement, GraphError> {
        let (var_name, rrd, ds_name) = (name_of(name, number)?, file.to_owned(), source.to_owned());
        let (step, start, end, consolidation_fn) = (None, None, None, ConsolidationFn::Avg);
        Ok(Def { var_name, rrd, ds_name, consolidation_fn, step, start, end, reduce: Some(reduce) }.into())
    };
    let between = |name: &str, high: &str, low: &str| -> Result<GraphElement, GraphError> {
        Ok(CDef { var_name: name_of(name, number)?, rpn: format!("{high}{number},{low}{number},-") }.into())
    };
    Ok(vec![
        def("mean", "v", ConsolidationFn::Avg)?,
        def("low", "v", ConsolidationFn::Min)?,
        def("high", "v", ConsolidationFn::Max)?,
        between("wide", "high", "low")?,
        def("least", "l", ConsolidationFn::Avg)?,
        def("most", "h", ConsolidationFn::Avg)?,
        between("usual", "most", "least")?,
    ])
}

/// What is seen: where nothing is known, what is usual, between which values a single series lay, the means, and what is written below.
fn painted(series: &[Drawn], written: &Written) -> Result<Vec<GraphElement>, GraphError> {
    let mut elements: Vec<GraphElement> = Vec::new();
    let all_unknown = series.iter().enumerate().map(|(number, _)| format!("mean{number},UN")).collect::<Vec<_>>().join(",");
    let both = ",*".repeat(series.len().saturating_sub(1));
    elements.push(CDef { var_name: VarName::new("gap")?, rpn: format!("{all_unknown}{both},INF,UNKN,IF") }.into());
    // What is written below hangs on an instant that is always known.
    elements.push(CDef { var_name: VarName::new("always")?, rpn: "mean0,UN,1,1,IF".into() }.into());
    elements.push(VDef { var_name: VarName::new("when")?, rpn: "always,LAST".into() }.into());
    elements.push(area("gap", rgba(0x00, 0x12), false)?);
    for (number, _) in series.iter().enumerate().filter(|(_, one)| one.band.is_some()) {
        let color = if series.len() == 1 { USUAL } else { Color { alpha: Some(BAND_AMONG_OTHERS), ..colour(number) } };
        elements.push(area(&format!("least{number}"), rgba(0xff, 0x00), false)?);
        elements.push(area(&format!("usual{number}"), color, true)?);
    }
    if series.len() == 1 {
        elements.push(area("low0", rgba(0xff, 0x00), false)?);
        elements.push(area("wide0", Color { alpha: Some(0x50), ..colour(0) }, true)?);
    }
    elements.push(text(&written.head)?);
    for (number, line) in written.lines.iter().enumerate() {
        let legend = Some(Legend::new(line.name.clone()));
        let (value, color) = (name_of("mean", number)?, Some(ColorWithLegend { color: colour(number), legend }));
        elements.push(Line { width: 1.5, value, color, stack: false, skip_scale: false, dashes: None }.into());
        elements.push(text(&line.figures)?);
    }
    elements.push(text(&written.foot)?);
    Ok(elements)
}

fn area(name: &str, color: Color, stack: bool) -> Result<GraphElement, GraphError> {
    let color = Some(ColorWithLegend { color: AreaColor::Color(color), legend: None });
    Ok(Area { value: VarName::new(name)?, color, stack, skip_scale: false }.into())
}

/// A piece of a line, or the rest of it; librrd breaks lines where the text tells it to, and the crate lets only a format do so.
fn text(text: &str) -> Result<GraphElement, GraphError> {
    Ok(GPrint { var_name: VarName::new("when")?, format: format!("{}\\l:strftime", text.replace('%', "%%").replace(':', "\\:")) }.into())
}

fn name_of(name: &str, number: usize) -> Result<VarName, InvalidArgument> {
    VarName::new(format!("{name}{number}"))
}

fn props(series: &[Drawn], look: &Look, scale: &Scale, (begin, end): (i64, i64), width: u32) -> Result<GraphProps, GraphError> {
    let instant = |seconds: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let font = |size, font: &str| FontParams { size, font: Some(font.to_owned()) };
    Ok(GraphProps {
        time_range: TimeRange { start: Some(instant(begin)), end: Some(instant(end)), step_seconds: None },
        labels: Labels { title: Some(look.title.clone().unwrap_or_else(|| title(series))), vertical_label: Some(scale.label.clone()) },
        size: Size { width: Some(width), height: Some(look.height.min(PIXELS_MAX)), ..Size::default() },
        limits: Limits { lower_limit: is_positive(series).then_some(0.0), ..Limits::default() },
        y_axis: YAxis { units_exponent: scale.is_plain.then_some(UnitsExponent { exp: 0 }), ..YAxis::default() },
        misc: Misc {
            colors: [
                (ColorTag::Back, white()),
                (ColorTag::Canvas, white()),
                (ColorTag::ShadeA, white()),
                (ColorTag::ShadeB, white()),
                (ColorTag::Grid, rgba(0x00, 0x0c)),
                (ColorTag::MGrid, rgba(0x00, 0x28)),
                (ColorTag::Font, grey(0x22)),
                (ColorTag::Axis, grey(0x88)),
                (ColorTag::Frame, rgba(0xff, 0x00)),
                (ColorTag::Arrow, rgba(0xff, 0x00)),
            ]
            .into(),
            border: Some(0),
            dynamic_labels: true,
            fonts: [
                (FontTag::Title, font(12, SANS)),
                (FontTag::Axis, font(8, SANS)),
                (FontTag::Unit, font(9, SANS)),
                (FontTag::Legend, font(9, MONO)),
            ]
            .into(),
            use_nan_for_all_missing_data: true,
            ..Misc::default()
        },
        ..GraphProps::default()
    })
}

/// The metrics, each once; the whole name of a series that is alone.
fn title(series: &[Drawn]) -> String {
    let mut metrics: Vec<&str> = Vec::new();
    for one in series {
        if !metrics.contains(&one.metric.as_str()) {
            metrics.push(&one.metric);
        }
    }
    metrics.join(", ")
}

fn colour(number: usize) -> Color {
    let rgb = COLOURS.iter().cycle().nth(number).copied().unwrap_or(0).to_be_bytes();
    let [_, red, green, blue] = rgb;
    Color { red, green, blue, alpha: None }
}

fn white() -> Color {
    grey(0xff)
}

fn grey(level: u8) -> Color {
    Color { red: level, green: level, blue: level, alpha: None }
}

fn rgba(level: u8, alpha: u8) -> Color {
    Color { alpha: Some(alpha), ..grey(level) }
}

#[cfg(test)]
mod tests;
