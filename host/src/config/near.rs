//! The name that was probably meant, and names in a row.

/// Finds the name that was probably meant.
pub(crate) fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1.max(written.chars().count().max(name.chars().count()) / 3))
        .min()
        .map(|(_, name)| name)
}

/// Says which name was probably meant, else lists those there are.
pub(super) fn did_you_mean<'a>(written: &str, all: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(written, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("{all}: {}", listed(known)),
    }
}

/// Lists names as messages do.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_taken_for_what_was_meant() {
        assert_eq!(nearest("evry", ["name", "every", "cron"]), Some("every"));
        assert_eq!(nearest("TimeOut", ["timezone", "timeout"]), Some("timeout"));
        assert_eq!(nearest("colour", ["name", "every", "cron"]), None);
    }
}
