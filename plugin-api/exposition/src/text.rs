//! The text in which Prometheus and OpenMetrics write samples, read strictly.
//!
//! Source: Prometheus, "Exposition formats" (text 0.0.4); OpenMetrics 1.0. Nothing is kept: each sample is lent as it is met.

use std::borrow::Cow;

use watchpost_plugin_api::quoted;

use crate::sample::Sample;

/// The line that ends a page of OpenMetrics.
const EOF: &str = "# EOF";
/// Labels of one sample; people give five.
const LABELS_MAX: usize = 100;

/// Reads a page; gives each sample to `take`.
///
/// Errors: what is wrong, with the number of the line.
pub fn read(page: &str, is_open_metrics: bool, mut take: impl FnMut(&Sample<'_>) -> Result<(), String>) -> Result<(), String> {
    let mut ended = false;
    for (at, line) in page.split_inclusive('\n').enumerate() {
        let wrong = |why: String| format!("line {}: {why}", at + 1);
        let Some(line) = line.strip_suffix('\n') else {
            // OpenMetrics lets the last line end with the page; a page of the older format would end in the middle of a number unseen.
            if line == EOF {
                ended = true;
                break;
            }
            return Err(wrong("the page breaks off".into()));
        };
        let text = line.strip_suffix('\r').unwrap_or(line);
        if ended && !text.is_empty() {
            return Err(wrong("there is more after # EOF".into()));
        }
        match self::line(text, is_open_metrics).map_err(wrong)? {
            Line::Sample(sample) => take(&sample).map_err(wrong)?,
            Line::End => ended = true,
            Line::Type { .. } | Line::Help { .. } | Line::Nothing => {}
        }
    }
    match is_open_metrics && !ended {
        true => Err("the page breaks off: # EOF is missing".into()),
        false => Ok(()),
    }
}

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// A sample.
    Sample(Sample<'a>),
    /// How the values of a family follow one another, in the format's own word.
    Type {
        /// The family.
        family: &'a str,
        /// The word, e.g. "counter".
        word: &'a str,
    },
    /// What a family is.
    Help {
        /// The family.
        family: &'a str,
        /// The text as it stands there.
        text: &'a str,
    },
    /// The end of a page of OpenMetrics.
    End,
    /// Nothing, or words for people.
    Nothing,
}

/// Reads one line, without its end.
///
/// Errors: what is wrong, in words.
pub fn line(line: &str, is_open_metrics: bool) -> Result<Line<'_>, String> {
    if line == EOF {
        return Ok(Line::End);
    }
    if line.trim_start_matches([' ', '\t']).is_empty() {
        return Ok(Line::Nothing);
    }
    match line.strip_prefix('#') {
        Some(said) => comment(said),
        None => sample(line, is_open_metrics).map(Line::Sample),
    }
}

/// Reads a line that holds no sample: HELP, TYPE and UNIT name a family, everything else is for people.
fn comment(said: &str) -> Result<Line<'_>, String> {
    let mut words = said.split_ascii_whitespace();
    let Some(sort @ ("TYPE" | "HELP" | "UNIT")) = words.next() else { return Ok(Line::Nothing) };
    let family = words.next().ok_or("a family without a name")?;
    let is_name = family.starts_with('"') || Cursor::new(family).name().is_ok_and(|found| found.len() == family.len());
    if !is_name {
        return Err(format!("`{}` is no name", quoted(family)));
    }
    let rest = said.split_once(family).map_or("", |(_, rest)| rest.trim());
    Ok(match sort {
        "TYPE" => Line::Type { family, word: rest },
        "HELP" => Line::Help { family, text: rest },
        _ => Line::Nothing,
    })
}

/// Reads a line that is a sample: name, labels, value, and what may come after it.
fn sample(line: &str, is_open_metrics: bool) -> Result<Sample<'_>, String> {
    let mut cursor = Cursor::new(line);
    cursor.blank();
    let (mut name, mut labels) = (Cow::Borrowed(""), Vec::new());
    if !cursor.rest().starts_with('{') {
        name = Cow::Borrowed(cursor.name()?);
    }
    if cursor.skip("{") {
        cursor.labels(&mut name, &mut labels, is_open_metrics)?;
    }
    if name.is_empty() {
        return Err("no name is there".into());
    }
    let value = number(cursor.word().ok_or("a sample without a value")?)?;
    let stamp = cursor.word_unless("#").map(time).transpose()?;
    if is_open_metrics && cursor.skip("#") {
        cursor.exemplar()?;
    }
    match cursor.rest() {
        "" => Ok(Sample { name, labels, value, stamp }),
        more => Err(format!("there is more after the value: \"{}\"", quoted(more))),
    }
}

/// Reads a number as both formats write it.
fn number(word: &str) -> Result<f64, String> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let known = match word {
        "NaN" | "Nan" | "nan" => Some(f64::NAN),
        "+Inf" | "Inf" | "inf" | "+inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        _ if is_plain => word.parse().ok(),
        _ => None,
    };
    known.ok_or_else(|| format!("`{}` is no number", quoted(word)))
}

/// Reads a time, in whatever unit.
fn time(word: &str) -> Result<f64, String> {
    number(word).ok().filter(|time| time.is_finite()).ok_or_else(|| format!("`{}` is no time", quoted(word)))
}

/// A place in a line.
#[derive(Clone, Debug)]
pub struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// Begins at the beginning.
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a str {
        self.0
    }

    fn blank(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    /// Passes over a word of signs that is next, and the blanks around it.
    pub fn skip(&mut self, signs: &str) -> bool {
        let after = self.0.trim_start_matches([' ', '\t']).strip_prefix(signs);
        after.map(|rest| self.0 = rest.trim_start_matches([' ', '\t'])).is_some()
    }

    fn take(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.0.find(|c| !fits(c)).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest;
        taken
    }

    /// Takes the name of a metric.
    ///
    /// Errors: in words, if none is there.
    pub fn name(&mut self) -> Result<&'a str, String> {
        let begins = self.0.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
        if !begins {
            return Err("no name is there".into());
        }
        Ok(self.take(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
    }

    /// Takes the name of a label.
    ///
    /// Errors: in words, if none is there.
    pub fn label_name(&mut self) -> Result<&'a str, String> {
        if !self.0.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err("no label is there".into());
        }
        Ok(self.take(|c| c.is_ascii_alphanumeric() || c == '_'))
    }

    /// Takes a text in quotes, without its escapes; one of no meaning stands for itself where `is_lenient`, as OpenMetrics has it.
    ///
    /// Errors: in words, if none is there or it does not end.
    pub fn quoted(&mut self, is_lenient: bool) -> Result<Cow<'a, str>, String> {
        let Some(inner) = self.0.strip_prefix('"') else { return Err("a value is not in quotes".into()) };
        let mut text = String::new();
        let mut from = 0;
        let mut letters = inner.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = inner[at + 1..].trim_start_matches([' ', '\t']);
                    let last = &inner[from..at];
                    return Ok(if text.is_empty() { Cow::Borrowed(last) } else { Cow::Owned(text + last) });
                }
                '\\' => {
                    text.push_str(&inner[from..at]);
                    let (next, escaped) = letters.next().ok_or("the quotes do not end")?;
                    match escaped {
                        'n' => text.push('\n'),
                        '"' | '\\' => text.push(escaped),
                        _ if is_lenient => text.extend(['\\', escaped]),
                        _ => return Err(format!("no escape: `\\{}`", quoted(&escaped.to_string()))),
                    }
                    from = next + escaped.len_utf8();
                }
                _ => {}
            }
        }
        Err("the quotes do not end".into())
    }

    /// Takes labels up to the brace that ends them; a name in quotes among them is that of the metric.
    fn labels(&mut self, name: &mut Cow<'a, str>, labels: &mut Vec<(Cow<'a, str>, Cow<'a, str>)>, lenient: bool) -> Result<(), String> {
        while !self.skip("}") {
            let key = if self.0.starts_with('"') { self.quoted(lenient)? } else { Cow::Borrowed(self.label_name()?) };
            if self.skip("=") {
                let value = self.quoted(lenient)?;
                if labels.iter().any(|(known, _)| *known == key) {
                    return Err(format!("the label `{}` is there twice", quoted(&key)));
                }
                if labels.len() == LABELS_MAX {
                    return Err(format!("more than {LABELS_MAX} labels"));
                }
                labels.push((key, value));
            } else if name.is_empty() {
                *name = key;
            } else {
                return Err(format!("the label `{}` has no value", quoted(&key)));
            }
            if !self.skip(",") && !self.0.starts_with('}') {
                return Err("the labels do not end".into());
            }
        }
        Ok(())
    }

    /// Takes the next word.
    fn word(&mut self) -> Option<&'a str> {
        self.blank();
        let word = self.take(|c| c != ' ' && c != '\t');
        self.blank();
        (!word.is_empty()).then_some(word)
    }

    /// Takes the next word, if it does not begin so.
    fn word_unless(&mut self, begins: &str) -> Option<&'a str> {
        if self.0.starts_with(begins) { None } else { self.word() }
    }

    /// Passes over an exemplar, once its number sign is past.
    fn exemplar(&mut self) -> Result<(), String> {
        if !self.skip("{") {
            return Err("an exemplar without labels".into());
        }
        let (mut none, mut labels) = (Cow::Borrowed("exemplar"), Vec::new());
        self.labels(&mut none, &mut labels, true)?;
        number(self.word().ok_or("an exemplar without a value")?)?;
        self.word().map_or(Ok(()), |stamp| time(stamp).map(drop))
    }
}

#[cfg(test)]
mod tests;
