//! An OpenMetrics reader written from the specification, not from our writer.

use std::collections::{BTreeMap, HashSet};

#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
    pub(crate) value_text: String,
}

/// Reads a whole exposition; the error names what the specification forbids.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("does not end with # EOF")?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut current, mut seen) = (String::new(), HashSet::new());
    for line in body.split_terminator('\n') {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name, rest) = (words.next().unwrap_or(""), words.next().ok_or("no name")?, words.next().ok_or("no text")?);
            if name != current {
                if families.insert(name.into(), Family::default()).is_some() {
                    return Err(format!("{name} is interleaved"));
                }
                current = name.into();
            }
            let family = families.get_mut(name).ok_or("no family")?;
            if !family.samples.is_empty() {
                return Err(format!("metadata after samples of {name}"));
            }
            match what {
                "TYPE" => family.kind = rest.into(),
                "HELP" => family.help = unescape(rest)?,
                "UNIT" if name.ends_with(&format!("_{rest}")) => {}
                _ => return Err(format!("cannot read {line:?}")),
            }
            continue;
        }
        let sample = sample(line)?;
        if !seen.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(format!("twice: {line}"));
        }
        let family = families.get_mut(&current).ok_or("a sample before any family")?;
        let endings: &[&str] = match family.kind.as_str() {
            "gauge" => &[""],
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => return Err(format!("type {other:?}")),
        };
        if !endings.iter().any(|ending| sample.name == format!("{current}{ending}")) {
            return Err(format!("{} in family {current}", sample.name));
        }
        family.samples.push(sample);
    }
    Ok(families)
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or_else(|| format!("no value: {line:?}"))?;
    let (name, mut rest) = line.split_at(end);
    word(name)?;
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (key, after) = rest.split_once("=\"").ok_or("no label")?;
            word(key)?;
            let end = closing_quote(after).ok_or("label not closed")?;
            if labels.insert(key.to_owned(), unescape(&after[..end])?).is_some() {
                return Err(format!("label {key} twice"));
            }
            rest = &after[end + 1..];
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => break,
                other => return Err(format!("{other:?} after a label")),
            }
        }
        rest = &rest[1..];
    }
    let value_text = rest.strip_prefix(' ').ok_or("no space before the value")?.to_owned();
    let value = value_text.parse().map_err(|_| format!("value {value_text:?}"))?;
    Ok(Sample { name: name.into(), labels, value, value_text })
}

fn word(text: &str) -> Result<(), String> {
    let fine =
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if fine { Ok(()) } else { Err(format!("{text:?} is no name")) }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        if c == '"' && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
        None
    })
}

fn unescape(text: &str) -> Result<String, String> {
    let (mut out, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => return Err(format!("escape {other:?}")),
            },
            '"' => return Err("a bare quote".into()),
            c => c,
        });
    }
    Ok(out)
}
