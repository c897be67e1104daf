//! What is said of an alarm in words, and the templates that say it otherwise.

use std::{borrow::Cow, sync::Arc};

use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context, value::Serde};
use serde::Serialize;
use watchpost_plugin_api::Severity;

use super::language::{Line, Voice};
use crate::{
    alarm::notice::{Notice, Step},
    config::nearest,
    plain,
};

/// Characters of a line, at most: receivers cut what is longer, and not always where one would.
const LINE_CHARS_MAX: usize = 1_000;
/// Steps that a template takes, at most: one that loops for ever is refused.
const FUEL: u64 = 1_000_000;

/// Words of templates that name nothing.
const KEYWORDS: [&str; 11] = ["if", "elif", "else", "for", "in", "not", "and", "or", "is", "set", "recursive"];

/// A notice with what templates say in words.
#[derive(Serialize)]
pub struct Words<'n> {
    #[serde(flatten)]
    notice: Cow<'n, Notice>,
    /// The severity, or CLEARED.
    state: String,
    /// The whole in one line.
    title: String,
    /// When it happened.
    time: String,
    /// When this life of the alarm began.
    since: String,
}

impl<'n> Words<'n> {
    /// Puts a notice into words.
    pub fn of(notice: &'n Notice) -> Self {
        Self::said(notice, Voice::default())
    }

    /// Puts a notice into words of some language.
    pub fn said(notice: &'n Notice, voice: Voice) -> Self {
        let (time, since) = (voice.time(notice.time_ns), voice.time(notice.raised_ns));
        let (state, title, text) = (voice.state(notice), voice.title(notice), voice.sentence(notice));
        let notice = if text == notice.text { Cow::Borrowed(notice) } else { Cow::Owned(Notice { text, ..notice.clone() }) };
        Self { notice, state, title, time, since }
    }

    /// An instant, as RFC 3339 has it.
    pub fn time(at_ns: i64) -> String {
        Voice::default().time(at_ns)
    }
}

/// The severity in capitals, or what else became of it.
pub fn state(notice: &Notice) -> String {
    Voice::default().state(notice)
}

/// A notice in one line.
pub fn title(notice: &Notice) -> String {
    Voice::default().title(notice)
}

/// A notice in lines of words.
pub fn body(notice: &Notice) -> String {
    body_in(notice, Voice::default())
}

/// A notice in lines of words of some language.
pub fn body_in(notice: &Notice, voice: Voice) -> String {
    let mut lines = vec![plain_line(&voice.sentence(notice)), String::new()];
    let mut say = |what: Line, said: &str| {
        if !said.is_empty() {
            lines.push(format!("{:12} {}", voice.line(what), plain_line(said)));
        }
    };
    say(Line::State, &voice.state(notice));
    say(Line::Step, voice.step(notice.step));
    say(Line::By, notice.by.as_deref().unwrap_or_default());
    say(Line::Comment, notice.comment.as_deref().unwrap_or_default());
    say(Line::Job, &notice.job);
    say(Line::Agent, &notice.agent);
    say(Line::Target, &notice.target);
    say(Line::Series, &notice.series);
    say(Line::Value, notice.value.as_deref().unwrap_or_default());
    say(Line::Bound, notice.bound.as_deref().unwrap_or_default());
    say(Line::Rule, &notice.rule);
    say(Line::Kind, notice.event_type.name());
    say(Line::Cause, notice.cause.name());
    say(Line::Since, &voice.time(notice.raised_ns));
    say(Line::Now, &voice.time(notice.time_ns));
    say(Line::Seen, &voice.times(notice.count));
    say(Line::Owner, notice.owner.as_deref().unwrap_or_default());
    say(Line::Labels, &notice.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "));
    say(Line::Alarm, &notice.alarm.to_string());
    say(Line::ToDo, notice.instruction.as_deref().unwrap_or_default());
    say(Line::ReadMore, notice.link.as_deref().unwrap_or_default());
    lines.join("\n") + "\n"
}

/// A text in one line of what can be shown, cut where it gets too long.
pub fn plain_line(text: &str) -> String {
    let plain = plain(text);
    match plain.char_indices().nth(LINE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &plain[..at]),
        None => plain,
    }
}

/// The beginning of a text that fits into so many bytes, in whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= bytes).last().unwrap_or(0);
    &text[..end]
}

/// Bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a template's text is meant for, and what in it would do something there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Plain text of many lines.
    Text,
    /// One line: a subject.
    Line,
    /// HTML.
    Html,
    /// JSON.
    Json,
}

/// A template of the configuration.
#[derive(Clone, Debug)]
pub struct Template {
    source: Arc<str>,
    format: Format,
    environment: Arc<Environment<'static>>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.format) == (&other.source, other.format)
    }
}

impl Template {
    /// Reads a template, and tries it on an alarm of every step.
    ///
    /// Errors: what is wrong with it, and in which line.
    pub fn parse(source: &str, format: Format) -> Result<Self, String> {
        let mut environment = strict();
        environment.set_auto_escape_callback(move |_| match format {
            Format::Html => AutoEscape::Html,
            Format::Json => AutoEscape::Json,
            Format::Text | Format::Line => AutoEscape::None,
        });
        environment.add_template_owned("it", source.to_owned()).map_err(|error| said(&error))?;
        let template = Self { source: source.into(), format, environment: Arc::new(environment) };
        for step in Step::ALL {
            template.render(&[&sample(step)])?;
        }
        Ok(template)
    }

    /// Says what the template says of some notices: of the first one by its names, of all by `notices`.
    ///
    /// Errors: what is wrong with it.
    pub fn render(&self, notices: &[&Notice]) -> Result<String, String> {
        self.render_in(notices, Voice::default())
    }

    /// Says it with words of some language.
    ///
    /// Errors: what is wrong with it.
    pub fn render_in(&self, notices: &[&Notice], voice: Voice) -> Result<String, String> {
        let all: Vec<Words<'_>> = notices.iter().map(|notice| Words::said(notice, voice)).collect();
        let first = all.first().map(|first| Value::from(Serde(first))).unwrap_or_default();
        let all: Vec<Value> = all.iter().map(|notice| Value::from(Serde(notice))).collect();
        let template = self.environment.get_template("it").map_err(|error| said(&error))?;
        let known = context! { notices => all, ..first };
        let text = template.render(&known).map_err(|error| said_of(&error, &self.source, &known))?;
        match self.format {
            Format::Line => Ok(plain_line(text.trim())),
            Format::Json => match serde_json::from_str::<serde_json::Value>(&text) {
                Ok(_) => Ok(text),
                Err(error) => Err(format!("what it gives is no JSON: {error}")),
            },
            Format::Text => Ok(text.lines().map(plain).collect::<Vec<_>>().join("\n") + "\n"),
            Format::Html => Ok(text),
        }
    }
}

/// What templates run in: what is not there is an error, and none costs much.
pub(crate) fn strict() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

/// What a template's error says, its place first.
pub(crate) fn said(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    line + &detail
}

/// The same of what a template said of what it may use: where it says what is not there, that is named, and what was probably meant.
pub(crate) fn said_of(error: &minijinja::Error, source: &str, known: &Value) -> String {
    let named = error.range().filter(|_| error.kind() == ErrorKind::UndefinedError).and_then(|range| named_at(source, range));
    let Some(named) = named else { return said(error) };
    let place = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let unknown = paths(named).find_map(|path| Some((path, unknown_of(path, source, known)?)));
    let (named, near) = match &unknown {
        Some((path, (part, keys))) => (*path, nearest(part, keys.iter().map(String::as_str))),
        None => (named.trim(), None),
    };
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("{place}`{}` is undefined{near}", plain(named))
}

/// The names in an expression or a statement, each with its parts; what stands in quotes is none.
fn paths(named: &str) -> impl Iterator<Item = &str> {
    let bare = named.split(['\'', '"']).step_by(2);
    let is_its = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let words = bare.flat_map(move |text| text.split(move |c| !is_its(c)));
    words.filter(|word| word.starts_with(|c: char| c.is_alphabetic()) && !KEYWORDS.contains(word))
}

/// What stands at a place of a template; where that is a filter, what goes into it.
fn named_at(source: &str, at: std::ops::Range<usize>) -> Option<&str> {
    let Some(filtered) = source.get(..at.start)?.trim_end().strip_suffix('|') else { return source.get(at) };
    let is_its = |c: &char| c.is_alphanumeric() || "_.[]'\"".contains(*c);
    let filtered = filtered.trim_end();
    let bytes: usize = filtered.chars().rev().take_while(is_its).map(char::len_utf8).sum();
    filtered.get(filtered.len() - bytes..)
}

/// The first part of an expression that is not there, and what is in its place.
fn unknown_of(path: &str, source: &str, known: &Value) -> Option<(String, Vec<String>)> {
    let keys = |value: &serde_json::Value| value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default();
    let path = path.split('[').next().unwrap_or_default();
    let all = serde_json::to_value(known).ok()?;
    let mut within = &all;
    for (part, place) in path.split('.').zip(0..) {
        if let Some(next) = within.get(part) {
            within = next;
            continue;
        }
        // What a loop or the template itself names stands for one of the notices, most often.
        let is_own = place == 0 && [format!("for {part} in"), format!("set {part} ")].iter().any(|names| source.contains(names));
        let last = path.rsplit('.').next().unwrap_or_default();
        return Some(if is_own && last != part { (last.to_owned(), keys(&all)) } else { (part.to_owned(), keys(within)) });
    }
    None
}

/// An alarm that never was, to try channels and templates with.
pub fn sample(step: Step) -> Notice {
    Notice {
        seq: 0,
        again: 0,
        step,
        time_ns: 1_796_000_060_000_000_000,
        by: step_by(step),
        comment: None,
        alarm: 0,
        key: "test".into(),
        severity: Severity::Warning,
        active: !step.ends(),
        silenced: None,
        raised_ns: 1_796_000_000_000_000_000,
        count: 1,
        event_type: crate::alarm::x733::EventType::QualityOfService,
        cause: crate::alarm::x733::ProbableCause::ThresholdCrossed,
        rule: "test".into(),
        agent: String::new(),
        job: "test".into(),
        target: String::new(),
        series: "up".into(),
        labels: Vec::new(),
        value: None,
        bound: None,
        text: "this is a test: nothing is wrong".into(),
        instruction: None,
        link: None,
        owner: None,
        acknowledged: false,
        shelved: false,
        situation: None,
    }
}

fn step_by(step: Step) -> Option<String> {
    matches!(step, Step::Owned | Step::Acknowledged | Step::Annotated | Step::Shelved).then(|| "somebody".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> Notice {
        let text = "up of <script>alert(1)</script>\r\nBcc: all@lab.test\u{1b}[31m \"quoted\\\" is 0";
        Notice { text: text.into(), by: Some("a\r\nX-Evil: 1".into()), ..sample(Step::Owned) }
    }

    #[test]
    fn words_obey_nobody() {
        let (title, body) = (title(&hostile()), body(&hostile()));
        assert!(!title.contains(['\r', '\n', '\u{1b}']), "{title}");
        assert!(title.starts_with("[WARNING] owned by a��X-Evil: 1 up of <script>"), "{title}");
        assert!(!body.contains("\nBcc:") && !body.contains("\nX-Evil") && !body.contains('\u{1b}'), "{body}");
        let long = Notice { text: "x".repeat(20_000), ..sample(Step::Raised) };
        assert!(super::title(&long).chars().count() <= LINE_CHARS_MAX + 1);
    }

    #[test]
    fn templates_escape_for_what_they_are_meant() {
        let render = |source: &str, format| Template::parse(source, format).unwrap().render(&[&hostile()]).unwrap();
        let html = render("<b>{{ text }}</b>", Format::Html);
        assert!(html.starts_with("<b>up of &lt;script&gt;"), "{html}");
        let json = render(r#"{"text": {{ text }}, "severity": {{ severity }}, "n": {{ notices | length }}}"#, Format::Json);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (json["text"].as_str(), json["severity"].as_str(), json["n"].as_u64()),
            (Some(hostile().text.as_str()), Some("warning"), Some(1))
        );
        let line = render("{{ state }}: {{ text }}", Format::Line);
        assert!(line.starts_with("WARNING: up of <script>") && !line.contains(['\n', '\r']), "{line}");
        let text = render("{{ text }}\nsecond", Format::Text);
        assert!(text.ends_with("\nsecond\n") && !text.contains(['\r', '\u{1b}']), "{text:?}");
    }

    #[test]
    fn a_faulty_template_says_where_and_why() {
        let fault = |source: &str, format| Template::parse(source, format).unwrap_err();
        assert_eq!(fault("a\n{{ text", Format::Text), "line 2: syntax error: unexpected end of input, expected end of variable block");
        assert_eq!(fault("{{ txt }}", Format::Text), "line 1: `txt` is undefined; did you mean `text`?");
        assert_eq!(fault("a\n{{ quux }}", Format::Text), "line 2: `quux` is undefined");
        assert_eq!(fault("{{ notices[0].jobb | upper }}", Format::Line), "line 1: `notices[0].jobb` is undefined");
        assert_eq!(fault("{{ jub | upper | trim }}", Format::Text), "line 1: `jub` is undefined; did you mean `job`?");
        let each = "{% for one in notices %}\n{{ one.severty }}{% endfor %}";
        assert_eq!(fault(each, Format::Html), "line 2: `one.severty` is undefined; did you mean `severity`?");
        assert_eq!(fault("{% if stat == 'CLEARED' %}x{% endif %}", Format::Text), "line 1: `stat` is undefined; did you mean `state`?");
        assert!(fault("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}", Format::Text).contains("fuel"));
        assert!(fault("{\"a\": {{ text }}", Format::Json).starts_with("what it gives is no JSON"));
    }
}
