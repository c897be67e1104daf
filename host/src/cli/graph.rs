//! `watchpost graph`

use std::path::{Path, PathBuf};

use super::{
    Context,
    asked::Asked,
    failure::{Failure, Outcome},
    fetch::fetched,
    print_json,
    table::plain,
};
use crate::series::{
    graph::{Drawn, GraphError, Look, Picture, draw},
    request::Format,
};

pub(super) const EXAMPLES: &str =
    "A single series shows between which values it lay as well. Grey is where nothing is known. The axis is that of your own zone (TZ).
With --band there is a band behind each line: between which values it usually is at that hour of the week, by the zone and the holidays of the rule that asks for it, else by your own zone.

Examples:
  watchpost graph 'total_time{job=\"pop-paris\"}' -o paris.png
  watchpost graph total_time connect_time --from midnight -o day.svg
  watchpost graph 'total_time{job=\"pop-paris\"}' --band=3 -o usual.png";

/// How each failure begins.
const CANNOT: &str = "cannot draw";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// The picture: a file that ends in .png or .svg.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// What stands above the picture: the metrics, unless it is said.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Pixels of the drawing, more if the names below it need them.
    #[arg(long, default_value_t = 900, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(50..=8000))]
    width: u32,
    /// Pixels of the drawing.
    #[arg(long, default_value_t = 260, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(50..=8000))]
    height: u32,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let picture = picture(&arguments.output)?;
    let request = arguments.asked.request("now-1d", Format::Json);
    let answer = fetched(context, CANNOT, &request)?;
    for note in &answer.notes {
        eprintln!("note: {}", plain(note));
    }
    let series: Vec<Drawn> = serde_json::from_slice(&answer.body).map_err(|error| Failure::of(CANNOT, &error))?;
    let Arguments { title, width, height, .. } = arguments;
    let look = Look { picture, title: title.clone(), width: *width, height: *height, zone: request.zone };
    let drawn = draw(&series, &look).map_err(|error| match error {
        GraphError::TooMany(_) => Failure::wrong(CANNOT, error.to_string()),
        other => Failure::of(CANNOT, &other),
    })?;
    let file = &arguments.output;
    std::fs::write(file, drawn).map_err(|error| Failure::of(format!("cannot write {}", file.display()), &error))?;
    if context.json {
        let names: Vec<&str> = series.iter().map(|one| one.series.as_str()).collect();
        return print_json(&serde_json::json!({ "file": file, "series": names }));
    }
    Ok(())
}

fn picture(file: &Path) -> Result<Picture, Failure> {
    let ending = file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    match ending.as_deref() {
        Some("png") => Ok(Picture::Png),
        Some("svg") => Ok(Picture::Svg),
        _ => Err(Failure::wrong(CANNOT, format!("{} is no name of a picture: it ends in .png or .svg", file.display()))),
    }
}
