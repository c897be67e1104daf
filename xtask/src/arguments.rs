//! The few shapes of command line used here: words, `--flag`, `--option VALUE`.

use crate::error::{Error, Outcome};

/// A command line taken apart.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    /// Words that are no option.
    pub(crate) words: Vec<String>,
    flags: Vec<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    /// Sorts `given` into words, known flags and known options.
    ///
    /// Errors: [`Error::Usage`] for an unknown option or one without its value.
    pub(crate) fn parse(given: &[String], flags: &[&str], options: &[&str]) -> Outcome<Self> {
        let mut sorted = Self::default();
        let mut rest = given.iter();
        while let Some(word) = rest.next() {
            let Some(option) = word.strip_prefix("--") else {
                sorted.words.push(word.clone());
                continue;
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            if flags.contains(&name) && value.is_none() {
                sorted.flags.push(name.to_owned());
            } else if options.contains(&name) {
                let value = value.or_else(|| rest.next().cloned());
                let value = value.ok_or_else(|| Error::Usage(format!("--{name} needs a value")))?;
                sorted.options.push((name.to_owned(), value));
            } else {
                return Err(Error::Usage(format!("no option `{word}` here")));
            }
        }
        Ok(sorted)
    }

    /// Tells whether `--name` was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// Gives the value of `--name`, the last one if it was given twice.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let of_name = self.options.iter().rev().find(|(option, _)| option == name);
        of_name.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Arguments> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words, &["keep"], &["dir"])
    }

    #[test]
    fn an_option_takes_its_value_in_both_spellings() {
        for line in ["up --dir /a postfix --keep", "up --dir=/a postfix --keep"] {
            let arguments = parse(line).unwrap();
            assert_eq!(arguments.words, ["up", "postfix"], "{line}");
            assert_eq!(arguments.value("dir"), Some("/a"), "{line}");
            assert!(arguments.has("keep"), "{line}");
        }
    }

    #[test]
    fn an_unknown_option_or_a_missing_value_is_wrong_usage() {
        for line in ["--dri /a", "--dir", "--keep=yes"] {
            assert!(matches!(parse(line), Err(Error::Usage(_))), "{line}");
        }
    }
}
