//! The form of Nagios, Icinga and all who came after: a state as exit code, a line of text, more text, performance data after a bar.
//!
//! Source: the Monitoring Plugins' development guidelines, "Plugin output"; Nagios Core, "Plugin API": the bar of the first line begins
//! its performance data, the first bar of the later lines those of all that follow.

use watchpost_plugin_api::{AgentError, Exit, Severity, quoted};

/// What a program's exit code says of what it checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    /// What it says by its end; whatever is none of the four is unknown.
    pub(crate) fn of(exit: Exit) -> Self {
        match exit.code {
            Some(0) => Self::Ok,
            Some(1) => Self::Warning,
            Some(2) => Self::Critical,
            _ => Self::Unknown,
        }
    }

    /// The number that everybody knows it by.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// How bad it is, and the code of its event; nothing for what is well.
    pub(crate) fn event(self) -> Option<(Severity, &'static str)> {
        match self {
            Self::Ok => None,
            Self::Warning => Some((Severity::Warning, "warning")),
            Self::Critical => Some((Severity::Critical, "critical")),
            Self::Unknown => Some((Severity::Indeterminate, "unknown")),
        }
    }

    /// How a run ends that found it so: a warning has reached its target, a program that does not know says nothing of it.
    pub(crate) fn outcome(self, exit: Exit, text: &str) -> Result<(), AgentError> {
        let text = quoted(text);
        match self {
            Self::Ok | Self::Warning => Ok(()),
            Self::Critical => Err(AgentError::protocol(or(&text, "critical, and not a word"))),
            Self::Unknown if exit.code == Some(3) => Err(AgentError::local(or(&text, "unknown, and not a word"))),
            Self::Unknown if text.is_empty() => Err(AgentError::local(format!("the program {exit}"))),
            Self::Unknown => Err(AgentError::local(format!("the program {exit}: {text}"))),
        }
    }
}

fn or(text: &str, otherwise: &str) -> String {
    if text.is_empty() { otherwise.into() } else { text.into() }
}

/// A program's output, in its parts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Parts {
    /// The first line, without performance data.
    pub(crate) text: String,
    /// The lines after it, without performance data.
    pub(crate) long_text: String,
    /// All performance data.
    pub(crate) perfdata: String,
}

impl Parts {
    /// Takes an output apart.
    pub(crate) fn of(output: &str) -> Self {
        let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
        let (text, perfdata) = first.split_once('|').unwrap_or((first, ""));
        let (long_text, more) = rest.split_once('|').unwrap_or((rest, ""));
        Self { text: text.trim().into(), long_text: long_text.trim().into(), perfdata: format!("{perfdata} {more}").trim().into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(output: &str, text: &str, long_text: &str, perfdata: &str) {
        let expected = Parts { text: text.into(), long_text: long_text.into(), perfdata: perfdata.into() };
        assert_eq!(Parts::of(output), expected, "{output:?}");
    }

    #[test]
    fn an_output_falls_into_text_more_text_and_performance_data() {
        check("OK\n", "OK", "", "");
        check("OK - 3 | a=1 b=2\n", "OK - 3", "", "a=1 b=2");
        check("OK|a=1\nlong\nlonger | b=2\nc=3 d=4\n", "OK", "long\nlonger", "a=1  b=2\nc=3 d=4");
        check("OK\nlong | b=2 | c=3\n", "OK", "long", "b=2 | c=3");
        check("\r\nOK\r\n", "", "OK", "");
        check("", "", "", "");
        check("|a=1", "", "", "a=1");
    }

    fn outcome(code: Option<i32>, signal: Option<i32>, text: &str, expected: Result<(), (&str, &str)>) {
        let exit = Exit { code, signal };
        let outcome = State::of(exit).outcome(exit, text);
        assert_eq!(outcome.as_ref().map(|_| ()).map_err(|error| (error.kind().name(), error.message())), expected, "{exit}");
    }

    #[test]
    fn a_warning_has_reached_its_target_and_one_that_does_not_know_says_nothing_of_it() {
        outcome(Some(0), None, "OK", Ok(()));
        outcome(Some(1), None, "slow", Ok(()));
        outcome(Some(2), None, "down", Err(("protocol", "down")));
        outcome(Some(2), None, "", Err(("protocol", "critical, and not a word")));
        outcome(Some(3), None, "usage", Err(("local", "usage")));
        outcome(Some(4), None, "what", Err(("local", "the program ended with 4: what")));
        outcome(Some(127), None, "", Err(("local", "the program ended with 127")));
        outcome(None, Some(9), "", Err(("local", "the program ended by signal 9")));
    }

    proptest! {
        #[test]
        fn no_output_whatsoever_panics(output in "[ -~|\n\u{e9}]{0,200}") {
            let parts = Parts::of(&output);
            prop_assert!(!parts.text.contains('|'));
        }
    }
}
