//! collectd's plain text: `PUTVAL "host/plugin-instance/type-instance" interval=10 N:1.5`, and `PUTNOTIF`.
//!
//! Source: collectd-exec(5), collectd-unixsock(5), types.db(5). A metric is named by plugin and type (`exec-mail/gauge-deferred` is
//! `exec_gauge`), and by the data source where a type has several; instances are the labels `plugin_instance` and `type_instance`, and
//! another host than ours is the label `host`. Which types have several data sources, and which count, stands in `types`; of a type that
//! is not there, one value is a gauge, and several are told apart by their places.

mod types;

use watchpost_plugin_api::{Severity, Unit, quoted};

use crate::point::{Event, Point, Said};

/// Reads a line; `host` is the name that the program was given for this machine.
///
/// Errors: what is wrong, in words.
pub(crate) fn line(line: &str, host: &str) -> Result<Vec<Said>, String> {
    let mut words = words(line)?.into_iter();
    let command = words.next().unwrap_or_default();
    match command.to_ascii_uppercase().as_str() {
        "" => Ok(Vec::new()),
        _ if command.starts_with('#') => Ok(Vec::new()),
        "PUTVAL" => put_values(words, host),
        "PUTNOTIF" => put_notification(words).map(|event| vec![Said::Event(event)]),
        _ => Err(format!("`{}` is no command", quoted(&command))),
    }
}

/// Splits a line at blanks; one within quotes separates nothing, and a backslash within them takes the meaning from the sign after it.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut in_quotes) = (Vec::new(), None::<String>, false);
    let mut letters = line.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                in_quotes = !in_quotes;
                word.get_or_insert_default();
            }
            '\\' if in_quotes => word.get_or_insert_default().push(letters.next().ok_or("the quotes do not end")?),
            blank if blank.is_whitespace() && !in_quotes => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    if in_quotes {
        return Err("the quotes do not end".into());
    }
    words.extend(word);
    Ok(words)
}

/// What a value is of.
struct Identifier {
    host: String,
    plugin: String,
    plugin_instance: String,
    kind: String,
    type_instance: String,
}

impl Identifier {
    fn of(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is no host/plugin/type", quoted(text));
        let mut parts = text.split('/');
        let (host, plugin, kind) = (parts.next(), parts.next(), parts.next());
        let (Some(host), Some(plugin), Some(kind)) = (host, plugin, kind) else { return Err(wrong()) };
        // A type's instance may hold slashes, a path for instance.
        let rest: String = parts.map(|part| format!("/{part}")).collect();
        let (plugin, plugin_instance) = plugin.split_once('-').unwrap_or((plugin, ""));
        let (kind, type_instance) = kind.split_once('-').unwrap_or((kind, ""));
        if host.is_empty() || plugin.is_empty() || kind.is_empty() {
            return Err(wrong());
        }
        let owned = |text: &str| text.to_owned();
        Ok(Self {
            host: owned(host),
            plugin: owned(plugin),
            plugin_instance: owned(plugin_instance),
            kind: owned(kind),
            type_instance: format!("{type_instance}{rest}"),
        })
    }

    fn point(&self, source: &str, value: Option<f64>, ours: &str) -> Point {
        let mut name = if self.plugin == self.kind { self.plugin.clone() } else { format!("{}_{}", self.plugin, self.kind) };
        if !source.is_empty() && source != "value" {
            name = format!("{name}_{source}");
        }
        let host = if self.host == ours { "" } else { self.host.as_str() };
        let labels = [("host", host), ("plugin_instance", &self.plugin_instance), ("type_instance", &self.type_instance)];
        let said = labels.into_iter().filter(|(_, value)| !value.is_empty());
        said.fold(Point::new(name, value), |point, (key, value)| point.label(key, value))
    }
}

fn put_values(mut words: impl Iterator<Item = String>, host: &str) -> Result<Vec<Said>, String> {
    let identifier = Identifier::of(&words.next().ok_or("no identifier")?)?;
    let mut said = Vec::new();
    for word in words {
        // Options come before values and have a sign that those have not.
        if word.contains('=') {
            continue;
        }
        said.extend(values(&identifier, &word, host)?);
    }
    if said.is_empty() { Err("no values".into()) } else { Ok(said) }
}

/// Reads one list, `time:value:value`.
fn values(identifier: &Identifier, list: &str, host: &str) -> Result<Vec<Said>, String> {
    let (time, values) = list.split_once(':').ok_or("values without a time")?;
    let time = match time {
        "N" | "n" => None,
        seconds => Some(number(seconds).ok_or_else(|| format!("`{}` is no time", quoted(seconds)))?),
    };
    let values: Vec<&str> = values.split(':').collect();
    let sources = types::sources(&identifier.kind, values.len());
    if sources.len() != values.len() {
        return Err(format!("{} values where {} has {}", values.len(), quoted(&identifier.kind), sources.len()));
    }
    let point = |(source, value): (types::Source, &str)| {
        let value = match value {
            "U" | "u" => None,
            text => Some(number(text).ok_or_else(|| format!("`{}` is no value", quoted(text)))?),
        };
        // Shares are percents there, and ratios here.
        let value = if source.unit == Unit::Ratio { value.map(|percent| percent / 100.0) } else { value };
        let point = identifier.point(&source.name, value, host);
        Ok(Said::Point(Point { kind: Some(source.kind), unit: Some(source.unit), time, ..point }))
    };
    sources.into_iter().zip(values).map(point).collect()
}

fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|value: &f64| is_plain && value.is_finite())
}

fn put_notification(words: impl Iterator<Item = String>) -> Result<Event, String> {
    let (mut severity, mut text, mut code) = (None, None, "notification".to_owned());
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{}` is no option", quoted(&word)))?;
        match key {
            "severity" => severity = Some(value.to_ascii_lowercase()),
            "message" => text = Some(value.to_owned()),
            "type" => code = value.to_owned(),
            _ => {}
        }
    }
    let severity = match severity.as_deref() {
        Some("okay") => Severity::Indeterminate,
        Some("warning" | "warn") => Severity::Warning,
        Some("failure") => Severity::Major,
        _ => return Err("no severity of okay, warning or failure".into()),
    };
    Ok(Event { severity, code, text: text.ok_or("no message")? })
}

#[cfg(test)]
mod tests;
