//! `watchpost opcmsg`: OpenView's own command line, for scripts that have it.
//!
//! Source: opcmsg(1) of HP Operations Manager.

use std::ffi::OsString;

use hyper::Method;
use serde::Deserialize;

use super::{
    Context,
    client::query,
    failure::{Failure, Outcome},
    print_json,
};

pub(super) const EXAMPLES: &str =
    "A message of the same application, object, group and node is the same alarm: it is counted, not raised anew. One with \
severity=normal clears it. Keys may be shortened as long as they are told apart.

Examples:
  watchpost opcmsg app=backup obj=tape1 severity=major msg_text=\"it is full\" -id
  watchpost opcmsg a=backup o=tape1 sev=normal msg_t=\"a new tape\" -id";

const CANNOT: &str = "cannot send the message";
/// The keys of a message.
const KEYS: [&str; 7] = ["application", "object", "msg_text", "severity", "msg_grp", "node", "service_id"];
/// Those that have to be there.
const NEEDED: [&str; 3] = ["application", "object", "msg_text"];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// application= object= msg_text= [severity=] [msg_grp=] [node=] [service_id=]
    #[arg(required = true, value_name = "KEY=VALUE")]
    words: Vec<String>,
    /// A label of the alarm; also written -option.
    #[arg(long, value_name = "VAR=VALUE")]
    option: Vec<String>,
    /// Tells the number of the alarm; also written -id.
    #[arg(long)]
    id: bool,
}

/// The flags of OpenView's program have one dash, though they are words.
pub(super) fn with_long_flags(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let (mut is_ours, mut before) = (None, OsString::new());
    words.enumerate().map(move |(at, word)| {
        // The command is the first word that is neither an option of all commands nor the value of one.
        let is_command = at > 0 && before != "--config" && !word.as_encoded_bytes().starts_with(b"-");
        if is_command && is_ours.is_none() {
            is_ours = Some(word == "opcmsg");
        }
        before.clone_from(&word);
        match word.to_str() {
            Some("-option") if is_ours == Some(true) => "--option".into(),
            Some("-id") if is_ours == Some(true) => "--id".into(),
            _ => word,
        }
    })
}

/// What became of a message.
#[derive(Deserialize, serde::Serialize)]
struct Sent {
    alarm: Option<u64>,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Outcome {
    let Arguments { words, option, id } = arguments;
    let pairs = parsed(words, option).map_err(|why| Failure::wrong(CANNOT, why))?;
    let answer = context.ask(CANNOT, Method::POST, &format!("/api/v1/messages?{}", query(&pairs)))?;
    let sent: Sent = answer.read()?;
    if context.json {
        return print_json(&sent);
    }
    if *id {
        println!("{}", sent.alarm.map_or_else(|| "-".to_owned(), |alarm| alarm.to_string()));
    }
    Ok(())
}

/// Reads a message.
fn parsed(words: &[String], options: &[String]) -> Result<Vec<(&'static str, String)>, String> {
    let mut pairs = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no key=value; the keys are {}", KEYS.join(", ")))?;
        pairs.push((key(name)?, value.to_owned()));
    }
    if let Some(missing) = NEEDED.iter().find(|needed| !pairs.iter().any(|(key, _)| key == *needed)) {
        return Err(format!("`{missing}` is missing"));
    }
    for option in options {
        if option.split_once('=').is_none_or(|(name, _)| name.is_empty()) {
            return Err(format!("-option: `{option}` is no var=value"));
        }
        pairs.push(("option", option.clone()));
    }
    Ok(pairs)
}

/// The key that a prefix stands for.
fn key(prefix: &str) -> Result<&'static str, String> {
    let meant: Vec<&str> = KEYS.into_iter().filter(|key| key.starts_with(prefix) && !prefix.is_empty()).collect();
    match meant[..] {
        [key] => KEYS.into_iter().find(|known| *known == key).ok_or_else(String::new),
        [] => Err(format!("`{prefix}` is no key; there are {}", KEYS.join(", "))),
        _ => Err(format!("`{prefix}` may be {}", meant.join(" or "))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn check(words: &[&str], options: &[&str], expected: Result<&[(&'static str, &str)], &str>) {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let expected = expected.map(|pairs| pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect::<Vec<_>>());
        assert_eq!(parsed(&owned(words), &owned(options)), expected.map_err(str::to_owned), "{words:?}");
    }

    #[test]
    fn words_are_read_as_openview_reads_them() {
        let message = [("application", "backup"), ("object", "tape1"), ("msg_text", "a = b")];
        check(&["application=backup", "object=tape1", "msg_text=a = b"], &[], Ok(&message));
        check(&["a=backup", "o=tape1", "msg_t=a = b"], &[], Ok(&message));
        let more = [message.as_slice(), &[("severity", "major"), ("option", "a=b")]].concat();
        check(&["app=backup", "obj=tape1", "msg_text=a = b", "sev=major"], &["a=b"], Ok(&more));
        check(&["a=backup", "o=tape1"], &[], Err("`msg_text` is missing"));
        check(&["a=backup", "m=x"], &[], Err("`m` may be msg_text or msg_grp"));
        check(
            &["a=backup", "x=x"],
            &[],
            Err("`x` is no key; there are application, object, msg_text, severity, msg_grp, node, service_id"),
        );
        check(&["a=a", "o=o", "msg_t=t"], &["x"], Err("-option: `x` is no var=value"));
    }

    #[test]
    fn flags_of_one_dash_are_words_of_this_command_alone() {
        let read = |words: &[&str]| with_long_flags(words.iter().map(OsString::from)).collect::<Vec<_>>();
        assert_eq!(read(&["w", "opcmsg", "a=b", "-option", "c=d", "-id"]), ["w", "opcmsg", "a=b", "--option", "c=d", "--id"]);
        for before in [&["--config", "opcmsg"][..], &["--config=w.toml", "--json"], &["--json", "--config", "w.toml"]] {
            let said = |rest: &[&'static str]| [&["w"], before, rest].concat();
            let ours = read(&said(&["opcmsg", "a=b", "-id"]));
            assert_eq!(ours, said(&["opcmsg", "a=b", "--id"]));
            assert!(crate::cli::Arguments::try_parse_from(ours).is_ok());
            assert_eq!(read(&said(&["jobs", "opcmsg", "-id"])), said(&["jobs", "opcmsg", "-id"]));
        }
        assert_eq!(read(&["w", "jobs", "-id"]), ["w", "jobs", "-id"]);
    }
}
