//! `watchpost plugins`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use hyper::Method;

use super::{
    Context,
    client::{encoded, query},
    failure::{Failure, Outcome},
    print_json,
    table::{self, counted, plain},
};
use crate::daemon::{Done, Listing};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the plugins of the running daemon, and the files that are none.
    #[command(after_help = "Examples:\n  watchpost plugins list\n  watchpost plugins list --json")]
    List,
    /// Has changed libraries take over now, and loads new ones.
    ///
    /// The one that is named takes over from itself where it did not change: in a worker of its own.
    #[command(after_help = "Examples:\n  watchpost plugins reload\n  watchpost plugins reload smtp")]
    Reload {
        /// The plugin's name, or its library.
        plugin: Option<String>,
    },
    /// Ends a plugin's worker and runs none of its jobs until it is enabled.
    ///
    /// Remembered over restarts of the daemon.
    #[command(after_help = "Example:\n  watchpost plugins disable smtp")]
    Disable {
        /// The plugin's name, or its library.
        plugin: String,
    },
    /// Has a disabled plugin's jobs run again.
    #[command(after_help = "Example:\n  watchpost plugins enable smtp")]
    Enable {
        /// The plugin's name, or its library.
        plugin: String,
    },
    /// Copies a library into a plugin folder, where it is loaded or takes over.
    ///
    /// It is checked first, and put in place in one step.
    #[command(after_help = "Example:\n  watchpost plugins install target/release/libspool.so")]
    Install {
        /// The library.
        file: PathBuf,
        /// The plugin folder [default: the first of the configuration].
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Deletes the library of a plugin that no job needs.
    #[command(after_help = "Example:\n  watchpost plugins remove spool")]
    Remove {
        /// The plugin's name, or its library.
        plugin: String,
    },
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    match arguments.command.as_ref().unwrap_or(&Command::List) {
        Command::List => list(context),
        Command::Reload { plugin } => reload(context, plugin.as_deref()),
        Command::Enable { plugin } => switch(context, plugin, "enable"),
        Command::Disable { plugin } => switch(context, plugin, "disable"),
        Command::Install { file, into } => install(context, file, into.as_deref()),
        Command::Remove { plugin } => remove(context, plugin),
    }
}

fn list(context: &Context) -> Outcome {
    let listing: Listing = context.ask("cannot list the plugins", Method::GET, "/api/v1/plugins")?.read()?;
    if context.json {
        return print_json(&listing);
    }
    println!("{}, {} not loaded", counted(listing.plugins.len(), "plugin"), listing.not_loaded.len());
    let row = |plugin: &crate::daemon::Listed| {
        let (jobs, crashes) = (plugin.jobs.to_string(), plugin.crashes.to_string());
        let (agents, state) = (plugin.agents.join(" "), plugin.state.name().to_owned());
        vec![plugin.plugin.clone(), plugin.version.clone(), state, jobs, crashes, agents, plugin.note.clone().unwrap_or_default()]
    };
    let rows: Vec<Vec<String>> = listing.plugins.iter().map(row).collect();
    table::print_text(&["plugin", "version", "worker", "jobs", "crashes", "agents", "note"], &rows);
    for (path, why) in &listing.not_loaded {
        println!("not loaded: {}: {}", path.display(), plain(why));
    }
    Ok(())
}

fn reload(context: &Context, plugin: Option<&str>) -> Outcome {
    let which = plugin.map(|plugin| format!("?{}", query(&[("plugin", plugin.to_owned())]))).unwrap_or_default();
    let cannot = plugin.map_or("cannot reload the plugins".to_owned(), |plugin| format!("cannot reload plugin `{plugin}`"));
    let done: Vec<Done> = context.ask(&cannot, Method::POST, &format!("/api/v1/plugins/reload{which}"))?.read()?;
    if context.json {
        print_json(&done)?;
    } else if done.is_empty() {
        println!("no library has changed");
    }
    let all_used = done.iter().all(|done| done.used);
    for Done { path, said, used } in done.iter().filter(|_| !context.json) {
        match used {
            true => println!("{}: {}", path.display(), plain(said)),
            false => eprintln!("error: {}: {}", path.display(), plain(said)),
        }
    }
    if all_used { Ok(()) } else { Err(Failure::Told(1)) }
}

fn switch(context: &Context, plugin: &str, how: &str) -> Outcome {
    context.ask(&format!("cannot {how} plugin `{plugin}`"), Method::POST, &path(plugin, how))?.success()?;
    if context.json {
        return print_json(&serde_json::json!({ "plugin": plugin, "enabled": how == "enable" }));
    }
    println!("{plugin}: {how}d");
    Ok(())
}

fn install(context: &Context, file: &Path, into: Option<&Path>) -> Outcome {
    let cannot = format!("cannot install {}", file.display());
    // The daemon runs in another folder.
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned();
    let mut asked = vec![("file", absolute(file))];
    asked.extend(into.map(|folder| ("folder", absolute(folder))));
    let done: Done = context.ask(&cannot, Method::POST, &format!("/api/v1/plugins/install?{}", query(&asked)))?.read()?;
    tell(context, &done)
}

fn remove(context: &Context, plugin: &str) -> Outcome {
    let done: Done = context.ask(&format!("cannot remove plugin `{plugin}`"), Method::POST, &path(plugin, "remove"))?.read()?;
    tell(context, &done)
}

fn tell(context: &Context, done: &Done) -> Outcome {
    if context.json {
        return print_json(done);
    }
    println!("{}: {}", done.path.display(), plain(&done.said));
    Ok(())
}

fn path(plugin: &str, what: &str) -> String {
    format!("/api/v1/plugins/{}/{what}", encoded(plugin))
}
