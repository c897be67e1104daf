//! `watchpost agents`

use serde::Serialize;
use watchpost_plugin_api::{AgentDescriptor, Kind};

use super::{Context, Failure, Outcome, load::plugins, print_json, runtime, table};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Explains this agent: its configuration and its metrics.
    name: Option<String>,
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
    let agents = all(context)?;
    let Some(name) = &arguments.name else {
        return if context.json { print_json(&agents) } else { list(&agents) };
    };
    let Some(found) = agents.iter().find(|carried| carried.agent.name == *name) else {
        let known: Vec<&str> = agents.iter().map(|carried| carried.agent.name.as_str()).collect();
        return Err(Failure::Wrong(format!("there is no agent `{name}`; there are: {}", known.join(", "))));
    };
    if context.json { print_json(found) } else { explain(found) }
}

fn all(context: &Context) -> Result<Vec<Carried>, Failure> {
    let config = context.load()?.config;
    runtime()?.block_on(async {
        let plugins = plugins(&config).await;
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

fn list(agents: &[Carried]) -> Outcome {
    let row = |carried: &Carried| {
        vec![
            carried.agent.name.clone(),
            carried.agent.metrics.len().to_string(),
            carried.version.clone(),
            carried.about.clone(),
            carried.library.clone(),
        ]
    };
    table::print(&["agent", "metrics", "version", "about", "library"], &agents.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

fn explain(carried: &Carried) -> Outcome {
    let agent = &carried.agent;
    println!("{}: {}\n{} {}, {}\n", agent.name, carried.about, carried.package, carried.version, carried.library);
    let required = |key: &str| agent.schema["required"].as_array().is_some_and(|keys| keys.iter().any(|known| known == key));
    let none = serde_json::Map::new();
    let rows: Vec<Vec<String>> = agent.schema["properties"]
        .as_object()
        .unwrap_or(&none)
        .iter()
        .map(|(key, schema)| {
            let about = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
            vec![key.clone(), if required(key) { "required".into() } else { default_of(schema) }, table::plain(&about)]
        })
        .collect();
    table::print(&["config", "default", "meaning"], &rows);
    println!();
    let rows: Vec<Vec<String>> = agent
        .metrics
        .iter()
        .map(|metric| {
            let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
            vec![metric.name.clone(), kind.into(), metric.unit.name().into(), metric.keys.join(" "), table::plain(&metric.help)]
        })
        .collect();
    table::print(&["metric", "kind", "unit", "labels", "meaning"], &rows);
    Ok(())
}

fn default_of(schema: &serde_json::Value) -> String {
    match &schema["default"] {
        serde_json::Value::Null => "-".into(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
