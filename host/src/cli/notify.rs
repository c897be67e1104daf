//! `watchpost notify`

use async_snmp::Oid;
use clap::Subcommand;
use hyper::Method;

use super::{
    Context,
    failure::{Failure, Outcome},
    print_json,
    table::plain,
    time::local,
};
use crate::{
    daemon::{ChannelState, ROSTER},
    notify::snmp::{Engine, ROOT, mib},
};

pub(super) const EXAMPLES: &str = "Without a command it lists the channels, and what waits for each.

Examples:
  watchpost notify
  watchpost notify test ops-mail
  watchpost notify mib";

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Lists the channels, and what waits for each.
    #[command(after_help = "Example:\n  watchpost notify list")]
    List,
    /// Sends a test by a channel, and tells whether it arrived.
    #[command(after_help = "Example:\n  watchpost notify test ops-mail")]
    Test {
        /// The channel's name.
        channel: String,
    },
    /// Prints the MIB for the manager that gets traps and informs.
    #[command(after_help = "Examples:\n  watchpost notify mib\n  watchpost notify mib --oid 1.3.6.1.4.1.99999.1")]
    Mib {
        /// Where it hangs: the `oid` of the channel.
        #[arg(long, default_value = ROOT)]
        oid: String,
    },
    /// Prints the id of the engine that SNMPv3 traps come from.
    ///
    /// A receiver of traps has to be told it; one of informs has not. The daemon makes it when it starts or reloads with a channel that sends
    /// such traps.
    #[command(after_help = "Example:\n  watchpost notify engine-id")]
    EngineId,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        None | Some(What::List) => list(context),
        Some(What::Test { channel }) => test(context, channel),
        Some(What::Mib { oid }) => {
            let root = Oid::parse(oid).map_err(|_| Failure::wrong("cannot write the MIB", format!("`{}` is no OID", plain(oid))))?;
            print!("{}", mib(&root));
            Ok(())
        }
        Some(What::EngineId) => engine_id(context),
    }
}

fn list(context: &Context) -> Outcome {
    let channels: Vec<ChannelState> = context.ask("cannot list channels", Method::GET, "/api/v1/channels")?.read()?;
    if context.json {
        return print_json(&channels);
    }
    if channels.is_empty() {
        println!("no channel; write [[channel]] and [[route]] in watchpost.toml");
    }
    for state in channels {
        let later = match state.later {
            0 => String::new(),
            later if later == state.waiting => ", not due yet".to_owned(),
            later => format!(", {later} of them not due yet"),
        };
        let waits = if state.waiting == 0 { String::new() } else { format!(", {} wait{later}", state.waiting) };
        println!("{} ({}): {}{waits}", plain(&state.channel), state.kind, done(&state));
        if let Some(why) = &state.failing {
            println!("  failing: {}", plain(why));
        }
    }
    Ok(())
}

/// What a channel did, and since when that is counted.
fn done(state: &ChannelState) -> String {
    if state.kind == ROSTER {
        return "who is on duty is told".into();
    }
    let at = |time_ns: i64| local(time_ns as f64 / 1e9);
    let refused = if state.refused == 0 { String::new() } else { format!(" and {} refused", state.refused) };
    // One that is gone was not started.
    let since = if state.since_ns == 0 { String::new() } else { format!(" since {}", at(state.since_ns)) };
    let last = state.last_ns.map(|last| format!(", the last {}", at(last))).unwrap_or_default();
    format!("{} delivered{refused}{since}{last}", state.delivered)
}

fn test(context: &Context, channel: &str) -> Outcome {
    let cannot = format!("cannot tell anybody by channel `{}`", plain(channel));
    let path = format!("/api/v1/channels/test?{}", super::client::query(&[("channel", channel.to_owned())]));
    let answer = context.ask(&cannot, Method::POST, &path)?;
    let told: serde_json::Value = answer.read()?;
    if context.json {
        return print_json(&told);
    }
    match told["tried"].as_str() {
        Some(tried) => println!("{}: {}", plain(channel), plain(tried)),
        None => println!("{}: a test was delivered", plain(channel)),
    }
    Ok(())
}

fn engine_id(context: &Context) -> Outcome {
    let data = context.data_folder()?;
    let engine = Engine::of(&data).known().map_err(|error| Failure::of("cannot tell the engine's id", &error))?;
    let Some((id, boots)) = engine else {
        let why = "there is none yet: a daemon makes it when it starts or reloads with a channel of `type = \"snmp\"`, `version = \"3\"` and `inform = false`";
        return Err(Failure::failed("cannot tell the engine's id", why));
    };
    if context.json {
        return print_json(&serde_json::json!({ "engine_id": format!("0x{id}"), "boots": boots }));
    }
    println!(
        "0x{id}\n\nfor snmptrapd.conf:\n  createUser -e 0x{id} USER SHA-256 \"AUTH PASSWORD\" AES \"PRIVACY PASSWORD\"\n  authUser log USER priv"
    );
    Ok(())
}
