//! `watchpost maintenance`

use clap::Subcommand;
use hyper::Method;

use super::{
    Context,
    failure::{Failure, Outcome},
    print_json, table, time,
};
use crate::{
    alarm::maintenance::Maintenance,
    daemon::api::{COMMENT_CHARS_MAX, too_long},
};

pub(super) const EXAMPLES: &str =
    "Measuring goes on, and alarms are raised and cleared as ever; nobody is told of those that begin. Hours that come again stand in a \
schedule:

  [[maintenance]]
  name = \"patch-sunday\"
  series = '{site=\"paris\"}'
  windows = \"SUN 02:00-04:00\"
  timezone = \"Europe/Paris\"

Examples:
  watchpost maintenance
  watchpost maintenance add '{site=\"paris\"}' --for 30m --comment \"new disks\"
  watchpost maintenance end 1";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Announces maintenance from now on.
    #[command(after_help = "Example:\n  watchpost maintenance add 'up{job=\"pop-paris\"}' --for 30m")]
    Add {
        /// Whose alarms nobody is to be told of, as SERIES: '{site="paris"}'.
        series: String,
        /// For how long: 30m, 2h, 1d.
        #[arg(long = "for", value_name = "TIME")]
        for_: String,
        /// Why: up to 2,000 characters.
        #[arg(long)]
        comment: Option<String>,
    },
    /// Lists maintenance that was announced and goes on.
    #[command(after_help = "Example:\n  watchpost maintenance list --json")]
    List,
    /// Ends maintenance before its time is up.
    #[command(after_help = "Example:\n  watchpost maintenance end 2")]
    End {
        /// Its number.
        number: u64,
    },
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match arguments.command.as_ref().unwrap_or(&Command::List) {
        Command::Add { series, for_, comment } => {
            const CANNOT: &str = "cannot announce maintenance";
            if let Some(comment) = comment.as_ref().filter(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
                return Err(Failure::wrong(CANNOT, too_long(comment)));
            }
            let said = serde_json::json!({ "series": series, "for": for_, "comment": comment });
            one(context, CANNOT, "/api/v1/maintenance", said.to_string().into_bytes())
        }
        Command::List => list(context),
        Command::End { number } => one(context, "cannot end maintenance", &format!("/api/v1/maintenance/{number}/end"), Vec::new()),
    }
}

fn one(context: &Context, cannot: &str, path: &str, said: Vec<u8>) -> Outcome {
    let answer = context.ask_saying(cannot, path, said)?;
    let maintenance: Maintenance = answer.read()?;
    for note in answer.notes() {
        eprintln!("warning: {}", table::plain(&note));
    }
    if context.json {
        return print_json(&maintenance);
    }
    let Maintenance { number, series, until_ns, ended, .. } = &maintenance;
    let state = match ended {
        Some((by, _)) => format!("ended by {}", table::plain(by)),
        None => format!("until {}", at(*until_ns)),
    };
    println!("maintenance {number} of {}: {state}", table::plain(series));
    Ok(())
}

fn list(context: &Context) -> Outcome {
    let all: Vec<Maintenance> = context.ask("cannot list maintenance", Method::GET, "/api/v1/maintenance")?.read()?;
    if context.json {
        return print_json(&all);
    }
    let row = |one: &Maintenance| {
        let comment = one.comment.clone().unwrap_or_else(|| "-".into());
        vec![one.number.to_string(), one.series.clone(), at(one.from_ns), at(one.until_ns), one.by.clone(), comment]
    };
    table::print(&["maintenance", "series", "from", "until", "by", "comment"], &all.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn at(time_ns: i64) -> String {
    time::local(time_ns as f64 / 1e9)
}
