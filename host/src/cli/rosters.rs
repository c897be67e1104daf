//! `watchpost rosters`

use clap::Subcommand;
use serde::Serialize;

use super::{
    Context,
    failure::{Failure, Outcome},
    load::now,
    print_json, table, time,
};
use crate::{
    config::nearest,
    notify::roster::{Roster, SHIFTS_MAX, Shift},
    schedule::UnixTime,
    series::time::{Clock, parse_range},
};

pub(super) const EXAMPLES: &str = "A roster stands in watchpost.toml, and takes turns of persons:

  [[roster]]
  name = \"mail-duty\"
  members = [\"ann\", \"bob\"]
  turn = \"1w\"
  handover = \"MON 09:00\"
  timezone = \"Europe/Berlin\"
  exceptions = [{ days = \"2026-12-24..2026-12-26\", person = \"bob\" }]

Days of an exception last from hand-over to hand-over.

Examples:
  watchpost rosters
  watchpost rosters show mail-duty --from 2026-12-01 --to 2027-01-01";

/// Until when shifts are shown, unless it is said.
const FOUR_WEEKS: &str = "start+28d";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the rosters, and who is on duty now.
    #[command(after_help = "Examples:\n  watchpost rosters list\n  watchpost rosters list --json")]
    List,
    /// Shows who is on duty when, in the zone of the roster.
    #[command(after_help = "Example:\n  watchpost rosters show mail-duty --to now+90d")]
    Show {
        /// The roster's name.
        name: String,
        /// From when, as now, 2026-12-01 or now-7d.
        #[arg(long, default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
        from: String,
        /// Until when; four weeks after --from, unless it is said.
        #[arg(long, allow_hyphen_values = true, value_name = "TIME")]
        to: Option<String>,
    },
}

/// A shift as programs read it.
#[derive(Serialize)]
struct Told<'r> {
    person: &'r str,
    /// Whose turn it would be, if somebody stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead_of: Option<&'r str>,
    /// Seconds since 1970.
    from: i64,
    until: i64,
    /// In the roster's zone.
    from_local: String,
    until_local: String,
}

impl<'r> Told<'r> {
    fn of(roster: &Roster, shift: &Shift<'r>) -> Self {
        let local = |at: i64| roster.zone.format(UnixTime::from_secs(at));
        let Shift { from, until, person, instead_of } = *shift;
        Self { person, instead_of, from, until, from_local: local(from), until_local: local(until) }
    }

    fn row(&self) -> Vec<String> {
        let instead_of = self.instead_of.unwrap_or("-");
        vec![self.from_local.clone(), self.until_local.clone(), self.person.to_owned(), instead_of.to_owned()]
    }
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let rosters = context.draft()?.rosters;
    match &arguments.command {
        None | Some(Command::List) => list(context, &rosters),
        Some(Command::Show { name, from, to }) => show(context, &rosters, name, from, to.as_deref()),
    }
}

fn list(context: &Context, rosters: &[Roster]) -> Outcome {
    let now = now().as_secs();
    let on_duty = |roster: &Roster| roster.shifts(now, now + 1).first().map(|shift| (shift.until, shift.person.to_owned()));
    if context.json {
        let all: Vec<_> = rosters
            .iter()
            .map(|roster| {
                let shifts = roster.shifts(now, now + 1);
                let shift = shifts.first().map(|shift| Told::of(roster, shift));
                serde_json::json!({
                    "name": roster.name, "timezone": roster.zone.name(), "members": roster.members, "turn_days": roster.turn_days, "on_duty": shift
                })
            })
            .collect();
        return print_json(&all);
    }
    if rosters.is_empty() {
        println!("no roster; write [[person]] and [[roster]] in watchpost.toml");
        return Ok(());
    }
    let rows: Vec<Vec<String>> = rosters
        .iter()
        .map(|roster| {
            let (until, person) = on_duty(roster).unwrap_or_default();
            let next = roster.on_duty(until).to_owned();
            vec![roster.name.clone(), person, roster.zone.format(UnixTime::from_secs(until)), next]
        })
        .collect();
    table::print(&["roster", "on duty", "until", "then"], &rows);
    Ok(())
}

fn show(context: &Context, rosters: &[Roster], name: &str, from: &str, to: Option<&str>) -> Outcome {
    let cannot = format!("cannot show roster `{}`", table::plain(name));
    let Some(roster) = rosters.iter().find(|roster| roster.name == name) else {
        let near = nearest(name, rosters.iter().map(|roster| roster.name.as_str()));
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        return Err(Failure::wrong(&cannot, format!("no roster is called so{near}")));
    };
    let clock = Clock { now: now().as_secs(), zone: time::zone() };
    let (from, to) = range(from, to, clock).map_err(|why| Failure::wrong(&cannot, why))?;
    let shifts = roster.shifts(from, to);
    if shifts.len() >= SHIFTS_MAX {
        eprintln!("note: there are more; no more than about {SHIFTS_MAX} are shown");
    }
    let told: Vec<Told<'_>> = shifts.iter().map(|shift| Told::of(roster, shift)).collect();
    if context.json {
        return print_json(&told);
    }
    table::print(&["from", "until", "on duty", "instead of"], &told.iter().map(Told::row).collect::<Vec<_>>());
    Ok(())
}

/// From when until when shifts are shown, seconds since 1970.
fn range(from: &str, to: Option<&str>, clock: Clock) -> Result<(i64, i64), String> {
    let (from, to) = parse_range(from, to.unwrap_or(FOUR_WEEKS), clock).map_err(|error| crate::chain(&error))?;
    if from < to { Ok((from, to)) } else { Err("--to is not after --from".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Zone;

    #[test]
    fn shifts_are_shown_for_four_weeks_from_where_they_begin() {
        let clock = Clock { now: 1_796_000_000, zone: Zone::parse("UTC").unwrap() };
        let weeks = 28 * 86_400;
        assert_eq!(range("now", None, clock), Ok((clock.now, clock.now + weeks)));
        assert_eq!(range("2027-03-26", None, clock), Ok((1_806_019_200, 1_806_019_200 + weeks)));
        assert!(range("2027-03-26", Some("now+28d"), clock).is_err_and(|why| why == "--to is not after --from"));
    }
}
