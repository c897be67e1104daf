//! Texts of a script with words in braces that are filled in as it runs: `?_task=mail&_uid={uid}`.

use std::collections::BTreeMap;

/// What is known, by its word.
pub(crate) type Words = BTreeMap<String, String>;

/// A text with words to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Word(String),
}

impl Template {
    /// Takes a text apart. `{word}` is to be filled in; every other brace stands for itself.
    pub(crate) fn parse(text: &str) -> Self {
        let (mut parts, mut rest, mut from) = (Vec::new(), text, 0);
        while let Some(open) = rest[from..].find('{').map(|at| at + from) {
            let word = rest[open + 1..].split_once('}').map(|(word, _)| word).filter(|word| is_word(word));
            let Some(word) = word else {
                from = open + 1;
                continue;
            };
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            parts.push(Part::Word(word.to_owned()));
            (rest, from) = (&rest[open + word.len() + 2..], 0);
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Self(parts)
    }

    /// The words that are to be filled in.
    pub(crate) fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Word(word) => Some(word.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The word that is all of it.
    pub(crate) fn only_word(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Word(word)] => Some(word),
            _ => None,
        }
    }

    /// Fills in each word.
    pub(crate) fn fill(&self, words: &Words) -> String {
        self.fill_with(words, str::to_owned)
    }

    /// Fills in each word in another spelling.
    pub(crate) fn fill_with(&self, words: &Words, spell: impl Fn(&str) -> String) -> String {
        let filled = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            // A script with a word that nothing gives is no script: it was refused.
            Part::Word(word) => words.get(word).map_or(String::new(), |value| spell(value)),
        };
        self.0.iter().map(filled).collect()
    }
}

/// Whether a text can be the name of something to be filled in.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces_are_filled_in_and_other_braces_stay() {
        let check = |text: &str, words: &[&str], filled: &str| {
            let known = [("a", "1"), ("user_2", "x y"), ("b", "{a}")];
            let known: Words = known.map(|(word, value)| (word.to_owned(), value.to_owned())).into();
            let template = Template::parse(text);
            assert_eq!(template.words().collect::<Vec<_>>(), words, "{text}");
            assert_eq!(template.fill(&known), filled, "{text}");
        };
        check("", &[], "");
        check("?task=mail", &[], "?task=mail");
        check("{a}", &["a"], "1");
        check("x{a}y{user_2}z", &["a", "user_2"], "x1yx yz");
        check("{b}", &["b"], "{a}");
        check("{{a}}", &["a"], "{1}");
        check("set({\"a\":{}, {A}, {1}, { a }, {a", &[], "set({\"a\":{}, {A}, {1}, { a }, {a");
        check("ä{a}ö", &["a"], "ä1ö");
    }

    #[test]
    fn a_text_that_is_one_word_is_known_as_such() {
        assert_eq!(Template::parse("{link}").only_word(), Some("link"));
        for text in ["", "link", "{link}x", "/{link}", "{a}{b}"] {
            assert_eq!(Template::parse(text).only_word(), None, "{text}");
        }
    }
}
