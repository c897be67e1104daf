//! `watchpost agents`

use std::path::{Path, PathBuf};

use serde::Serialize;
use watchpost_plugin_api::{AgentDescriptor, Kind, MetricSpec};

use super::{
    Context,
    failure::{Failure, Outcome},
    load::plugins,
    print_json, runtime,
    table::{self, plain},
    terminal,
};
use crate::{
    config::{
        describe::{self, Key},
        nearest,
    },
    plugin::Sandboxes,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Explains this agent: its configuration and its metrics.
    name: Option<String>,
    /// A folder with agent libraries [default: those of the configuration, else those beside this program].
    #[arg(long, value_name = "FOLDER")]
    plugins: Vec<PathBuf>,
}

/// An agent and the library that carries it.
#[derive(Serialize)]
struct Carried {
    agent: AgentDescriptor,
    library: String,
    package: String,
    version: String,
    about: String,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let agents = all(&context.plugin_folders(&arguments.plugins)?, &context.sandboxes())?;
    let Some(name) = &arguments.name else {
        if context.json {
            return print_json(&agents);
        }
        list(&agents);
        return Ok(());
    };
    let Some(found) = agents.iter().find(|carried| carried.agent.name == *name) else {
        let known = || agents.iter().map(|carried| carried.agent.name.as_str());
        let hint = match nearest(name, known()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
        };
        return Err(Failure::wrong(format!("cannot explain agent `{name}`"), format!("no library carries it; {hint}")));
    };
    if context.json {
        return print_json(found);
    }
    explain(found);
    Ok(())
}

fn all(folders: &[PathBuf], sandboxes: &Sandboxes) -> Result<Vec<Carried>, Failure> {
    runtime()?.block_on(async {
        let plugins = plugins(folders, sandboxes).await;
        let carried = plugins.all().iter().flat_map(|plugin| {
            let library = plugin.descriptor();
            library.agents.iter().map(|agent| Carried {
                agent: agent.clone(),
                library: plugin.path().display().to_string(),
                package: library.package.clone(),
                version: library.version.clone(),
                about: library.about.clone(),
            })
        });
        let mut carried: Vec<Carried> = carried.collect();
        carried.sort_by(|a, b| a.agent.name.cmp(&b.agent.name));
        plugins.stop().await;
        Ok(carried)
    })
}

fn list(agents: &[Carried]) {
    let row = |carried: &Carried| {
        let file = Path::new(&carried.library).file_name().map(|name| name.to_string_lossy().into_owned());
        vec![
            carried.agent.name.clone(),
            carried.version.clone(),
            carried.agent.metrics.len().to_string(),
            file.unwrap_or_default(),
            carried.about.clone(),
        ]
    };
    table::print_text(&["agent", "version", "metrics", "library", "about"], &agents.iter().map(row).collect::<Vec<_>>());
}

fn explain(carried: &Carried) {
    let agent = &carried.agent;
    println!("{}: {}", agent.name, plain(&carried.about));
    println!("{} {}, {}\n", plain(&carried.package), plain(&carried.version), carried.library);
    println!("CONFIG");
    let keys = describe::keys(&agent.schema);
    let widest = keys.iter().map(|key| key.name.chars().count()).max().unwrap_or(0);
    keys.iter().for_each(|key| explain_key(key, widest));
    println!();
    metrics(&agent.metrics);
    if let Some(config) = describe::example(&keys) {
        let name = &agent.name;
        println!("\nEXAMPLE\n[[job]]\nname = \"{name}-example\"\nagent = \"{name}\"\nevery = \"1m\"\nconfig = {}", plain(&config));
    }
}

fn metrics(metrics: &[MetricSpec]) {
    let mut head = vec!["metric", "kind", "unit", "labels", "meaning"];
    let row = |metric: &MetricSpec| {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        vec![metric.name.clone(), kind.into(), metric.unit.name().into(), metric.keys.join(" "), metric.help.clone()]
    };
    let mut rows: Vec<Vec<String>> = metrics.iter().map(row).collect();
    if metrics.iter().all(|metric| metric.keys.is_empty()) {
        head.remove(3);
        rows.iter_mut().for_each(|row| drop(row.remove(3)));
    }
    table::print_text(&head, &rows);
}

fn explain_key(key: &Key, widest: usize) {
    let needed = if key.required { ", required".to_owned() } else { String::new() };
    let default = key.default.as_ref().map(|default| format!("; default {default}")).unwrap_or_default();
    println!("  {:<widest$}  {}", plain(&key.name), plain(&format!("{}{needed}{default}", key.kind)));
    let indent = widest + 4;
    // An example that the text does not give is given beside it.
    let example = key.example.as_ref().filter(|example| !key.about.contains(example.as_str()));
    let example = example.map(|example| format!(" For example: {example}.")).unwrap_or_default();
    for line in terminal::wrapped(&plain_text(&format!("{}{example}", key.about)), terminal::text_columns().saturating_sub(indent)) {
        println!("{:indent$}{line}", "");
    }
}

/// Text whose line breaks are blanks.
fn plain_text(text: &str) -> String {
    plain(&text.replace('\n', " "))
}
