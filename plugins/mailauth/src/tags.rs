//! Lists of tags, as DKIM, DMARC, MTA-STS and TLS reports write them: `v=DMARC1; p=none` (RFC 6376 3.2).

/// Tags of one record; records of use have a dozen.
const TAGS_MAX: usize = 100;

/// The tags of a record, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Takes a record apart.
    ///
    /// Errors: what is wrong with it, in words.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let parts = text.split(';').map(str::trim).collect::<Vec<_>>();
        for (at, part) in parts.iter().enumerate() {
            if part.is_empty() && at + 1 == parts.len() {
                break; // the last one may end in a semicolon
            }
            let (name, value) = part.split_once('=').ok_or_else(|| format!("`{}` is no tag", shown(part)))?;
            let (name, value) = (name.trim(), value.trim());
            let is_name =
                name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name {
                return Err(format!("`{}` is no name of a tag", shown(name)));
            }
            // RFC 6376 3.2: a list in which a tag comes twice is invalid as a whole.
            if tags.iter().any(|(known, _)| *known == name) {
                return Err(format!("the tag `{}` comes twice", shown(name)));
            }
            if tags.len() == TAGS_MAX {
                return Err(format!("it has more than {TAGS_MAX} tags"));
            }
            tags.push((name, value));
        }
        Ok(Self(tags))
    }

    /// The value of a tag.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// Says whether a record is of that version: its first tag is `v`, with just this value. Others are somebody else's.
pub(crate) fn is_version(text: &str, version: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first.split_once('=').is_some_and(|(name, value)| name.trim() == "v" && value.trim() == version)
}

/// A piece of a record as a message shows it.
pub(crate) fn shown(text: &str) -> String {
    watchpost_plugin_api::quoted(&text.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_of_tags_is_taken_apart() {
        let check = |text: &str, expected: &[(&str, &str)]| assert_eq!(Tags::parse(text), Ok(Tags(expected.to_vec())), "{text}");
        check("", &[]);
        check("v=DMARC1", &[("v", "DMARC1")]);
        check("v = DMARC1 ; p=none;", &[("v", "DMARC1"), ("p", "none")]);
        check("v=DKIM1; p=; n=a=b", &[("v", "DKIM1"), ("p", ""), ("n", "a=b")]);
    }

    #[test]
    fn what_is_no_list_is_told() {
        let check = |text: &str, expected: &str| assert_eq!(Tags::parse(text), Err(expected.to_owned()), "{text}");
        check("v=DMARC1; none", "`none` is no tag");
        check("v=DMARC1;; p=none", "`` is no tag");
        check("v=DMARC1; p=none; p=reject", "the tag `p` comes twice");
        check("=x", "`` is no name of a tag");
        check("v=1; p q=x", "`p q` is no name of a tag");
        let many: String = (0..200).map(|at| format!("t{at}=x;")).collect();
        check(&many, "it has more than 100 tags");
    }

    #[test]
    fn a_record_is_known_by_its_first_tag() {
        for (text, expected) in [
            ("v=DMARC1", true),
            ("v = DMARC1; p=none", true),
            ("v=DMARC10", false),
            ("p=none; v=DMARC1", false),
            ("v=dmarc1", false),
            ("", false),
        ] {
            assert_eq!(is_version(text, "DMARC1"), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_more_than_an_error(text in "[a-z0-9_=; \\\\\u{0}é]{0,200}") {
            let _ = Tags::parse(&text);
            let _ = is_version(&text, "STSv1");
        }
    }
}
