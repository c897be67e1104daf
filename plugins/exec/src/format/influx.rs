//! InfluxDB's line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! Source: InfluxDB v2, "Line protocol". Each field that is a number or a truth is a point, named by measurement and field (`mail_size`;
//! the field `value` is named by the measurement alone), labelled by the tags. Texts are no measurements and are passed over. The form
//! knows no units and no counters; the key `counters` of the configuration does.

use watchpost_plugin_api::quoted;

use crate::point::{Point, Said};

/// The field that needs no name of its own.
const VALUE: &str = "value";

/// A value of a field.
#[derive(Debug, PartialEq)]
enum Field {
    Number(f64),
    Text,
}

/// Reads a line; a comment or an empty one tells nothing.
///
/// Errors: what is wrong, in words.
pub(crate) fn line(line: &str) -> Result<Vec<Said>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Vec::new());
    }
    let (measurement, mut rest) = name(line, &[',', ' ']);
    if measurement.is_empty() {
        return Err("no measurement".into());
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    while let Some(after) = rest.strip_prefix(',') {
        let (key, after) = name(after, &['=', ',', ' ']);
        let after = after.strip_prefix('=').ok_or("a tag without a value")?;
        let (value, after) = name(after, &[',', ' ']);
        if key.is_empty() || value.is_empty() {
            return Err("a tag without a name or a value".into());
        }
        labels.push((key, value));
        rest = after;
    }
    rest = rest.strip_prefix(' ').ok_or("no fields")?.trim_start_matches(' ');
    let mut points = Vec::new();
    loop {
        let (key, after) = name(rest, &['=', ',', ' ']);
        let after = after.strip_prefix('=').ok_or("a field without a value")?;
        if key.is_empty() {
            return Err("a field without a name".into());
        }
        let (value, after) = field(after)?;
        if let Field::Number(value) = value {
            let name = if key == VALUE { measurement.clone() } else { format!("{measurement}_{key}") };
            points.push(Point { labels: labels.clone(), ..Point::new(name, Some(value)) });
        }
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => {
                rest = after;
                break;
            }
        }
    }
    let time = time(rest)?;
    Ok(points.into_iter().map(|point| Said::Point(Point { time, ..point })).collect())
}

/// Takes a name up to one of these; a backslash takes their meaning from them, and stands for itself before anything else.
fn name<'a>(text: &'a str, ends: &[char]) -> (String, &'a str) {
    let mut name = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let escaped = letters.peek().map(|(_, next)| *next).filter(|next| letter == '\\' && matches!(next, ',' | '=' | ' '));
        match escaped {
            Some(escaped) => {
                name.push(escaped);
                letters.next();
            }
            None if ends.contains(&letter) => return (name, &text[at..]),
            None => name.push(letter),
        }
    }
    (name, "")
}

/// Takes the value of a field.
fn field(text: &str) -> Result<(Field, &str), String> {
    if let Some(inner) = text.strip_prefix('"') {
        let mut is_escaped = false;
        let end = inner.find(|letter| {
            let ends = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            ends
        });
        let end = end.ok_or("the quotes of a field do not end")?;
        return Ok((Field::Text, &inner[end + 1..]));
    }
    let (word, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
    let wrong = || format!("`{}` is no value of a field", quoted(word));
    let value = match word {
        "t" | "T" | "true" | "True" | "TRUE" => 1.0,
        "f" | "F" | "false" | "False" | "FALSE" => 0.0,
        _ => match (word.strip_suffix('i'), word.strip_suffix('u')) {
            #[expect(clippy::cast_precision_loss, reason = "a double is what is stored")]
            (Some(digits), _) => digits.parse::<i64>().map_err(|_| wrong())? as f64,
            #[expect(clippy::cast_precision_loss, reason = "a double is what is stored")]
            (_, Some(digits)) => digits.parse::<u64>().map_err(|_| wrong())? as f64,
            _ if word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => word.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        },
    };
    if f64::is_finite(value) { Ok((Field::Number(value), rest)) } else { Err(wrong()) }
}

/// Reads the time, nanoseconds since 1970, if there is one.
fn time(text: &str) -> Result<Option<f64>, String> {
    match text.trim() {
        "" => Ok(None),
        #[expect(clippy::cast_precision_loss, reason = "a millisecond is near enough to tell what is old")]
        digits => digits.parse::<i64>().map(|nanos| Some(nanos as f64 / 1e9)).map_err(|_| format!("`{}` is no time", quoted(digits))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each point as `name{tags} value`.
    fn said(text: &str) -> Result<Vec<String>, String> {
        let shown = |said: Said| match said {
            Said::Point(point) => {
                let labels: Vec<String> = point.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let time = point.time.map_or(String::new(), |time| format!(" @{time}"));
                format!("{}{{{}}} {}{time}", point.name, labels.join(";"), point.value.unwrap_or(f64::NAN))
            }
            other => format!("{other:?}"),
        };
        Ok(line(text)?.into_iter().map(shown).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(said(text), Ok(expected.iter().map(|&line| line.into()).collect()), "{text}");
    }

    #[test]
    fn every_number_of_a_line_is_a_point_with_its_tags() {
        check("mail value=1", &["mail{} 1"]);
        check(
            "mail,queue=in,host=a size=3i,age=1.5 1700000000500000000",
            &["mail_size{queue=in;host=a} 3 @1700000000.5", "mail_age{queue=in;host=a} 1.5 @1700000000.5"],
        );
        check("m a=1u,b=t,c=F,d=\"text, \\\" = more\",e=-1e3", &["m_a{} 1", "m_b{} 1", "m_c{} 0", "m_e{} -1000"]);
        check("m text=\"only\"", &[]);
        check("# a comment", &[]);
        check("", &[]);
        check("m  value=1  \r", &["m{} 1"]);
    }

    #[test]
    fn a_backslash_takes_the_meaning_from_a_sign_and_stands_for_itself_elsewhere() {
        check("my\\ mail\\,x,t\\=g=a\\ b\\,c\\=d f\\ 1=2", &["my mail,x_f 1{t=g=a b,c=d} 2"]);
        check("m,path=C:\\dir value=1", &["m{path=C:\\dir} 1"]);
        check("m a=\"x\\\\\",b=1", &["m_b{} 1"]);
    }

    #[test]
    fn what_is_no_line_is_refused_with_why() {
        let refused = |text: &str, why: &str| assert_eq!(said(text), Err(why.to_owned()), "{text}");
        refused("mail", "no fields");
        refused(",a=b value=1", "no measurement");
        refused("m, value=1", "a tag without a value");
        refused("m,a= value=1", "a tag without a name or a value");
        refused("m =1", "a field without a name");
        refused("m value", "a field without a value");
        refused("m value=", "`` is no value of a field");
        refused("m value=one", "`one` is no value of a field");
        refused("m value=NaN", "`NaN` is no value of a field");
        refused("m value=1e999", "`1e999` is no value of a field");
        refused("m value=99999999999999999999i", "`99999999999999999999i` is no value of a field");
        refused("m value=-1u", "`-1u` is no value of a field");
        refused("m value=\"open", "the quotes of a field do not end");
        refused("m value=1 now", "`now` is no time");
    }

    proptest! {
        #[test]
        fn no_line_whatsoever_panics(text in "[ -~äé\\\\\"]{0,200}") {
            let _ = line(&text);
        }
    }
}
