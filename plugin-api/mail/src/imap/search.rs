//! What a search found, told number by number (RFC 9051 7.3.4) or as a figure (RFC 4731).

use watchpost_plugin_api::{AgentError, quoted};

use super::{mailbox::number_of, wire::Bounds};

/// A mailbox of a million messages, told number by number.
pub(crate) const FOUND: Bounds = Bounds { line_bytes: 8 * 1024 * 1024, ..super::wire::SMALL };

/// Counts the messages of an answer to the search with that tag; `None` if the data is something else.
///
/// Errors: kind `protocol` for an answer that cannot be read, or that leaves out the figure it was asked for.
pub(crate) fn count(data: &str, tag: &str, figure_asked: bool) -> Result<Option<u64>, AgentError> {
    let (word, rest) = data.split_once(' ').unwrap_or((data, ""));
    let counted = match word {
        _ if word.eq_ignore_ascii_case("SEARCH") => numbers(rest),
        _ if word.eq_ignore_ascii_case("ESEARCH") => match of_another(rest, tag) {
            true => return Ok(None),
            // RFC 9051 7.3.4: where nothing was found and no figure asked for, there need be neither figure nor set.
            false => figure(rest).and_then(|figure| figure.or((!figure_asked).then_some(0))),
        },
        _ => return Ok(None),
    };
    counted.map(Some).ok_or_else(|| AgentError::protocol(format!("no search result: \"{}\"", quoted(data))))
}

/// Lists the numbers of an answer to the search with that tag; `None` if the data is something else.
///
/// Errors: kind `protocol` for an answer that cannot be read, or that names more than twice `numbers_max` in its ranges.
pub(crate) fn uids(data: &str, tag: &str, numbers_max: usize) -> Result<Option<Vec<u32>>, AgentError> {
    let (word, rest) = data.split_once(' ').unwrap_or((data, ""));
    let listed = match word {
        _ if word.eq_ignore_ascii_case("SEARCH") => {
            let list = rest.split_once('(').map_or(rest, |(list, _)| list);
            list.split_ascii_whitespace().map(number_of).collect()
        }
        _ if word.eq_ignore_ascii_case("ESEARCH") && !of_another(rest, tag) => {
            let results = correlator(rest).map_or(rest, |(_, rest)| rest);
            let mut words = results.split_ascii_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("ALL"));
            words.nth(1).map_or(Some(Vec::new()), |set| members(set, numbers_max))
        }
        _ => return Ok(None),
    };
    listed.map(Some).ok_or_else(|| AgentError::protocol(format!("no search result: \"{}\"", quoted(data))))
}

/// The members of a set like `2,10:11`, if it has no more than twice `max`.
fn members(text: &str, max: usize) -> Option<Vec<u32>> {
    set(text).filter(|length| *length <= 2 * max as u64)?;
    let ranges = text.split(',').map(|range| {
        let (from, to) = range.split_once(':').unwrap_or((range, range));
        let (from, to) = (number_of(from)?, number_of(to)?);
        Some(from.min(to)..=from.max(to))
    });
    ranges.collect::<Option<Vec<_>>>().map(|ranges| ranges.into_iter().flatten().collect())
}

/// RFC 7162 3.1.5: after the numbers a MODSEQ may stand in parentheses.
fn numbers(list: &str) -> Option<u64> {
    let list = list.split_once('(').map_or(list, |(list, _)| list);
    list.split_ascii_whitespace().try_fold(0, |count, word| number_of(word).map(|_| count + 1))
}

/// Whether the answer says that it answers another command.
fn of_another(rest: &str, tag: &str) -> bool {
    correlator(rest).is_some_and(|(named, _)| named != tag)
}

/// The tag that an answer names, and what follows it.
fn correlator(rest: &str) -> Option<(&str, &str)> {
    let (inner, rest) = rest.strip_prefix('(')?.split_once(')')?;
    let (word, tag) = inner.split_once(' ')?;
    word.eq_ignore_ascii_case("TAG").then(|| (tag.trim_matches('"'), rest))
}

/// The figure after COUNT, or the length of the set after ALL, if there is one of them; `None` if it is no such answer.
fn figure(rest: &str) -> Option<Option<u64>> {
    let results = correlator(rest).map_or(rest, |(_, rest)| rest);
    let mut words = results.split_ascii_whitespace().skip_while(|word| word.eq_ignore_ascii_case("UID"));
    let (mut count, mut listed) = (None, None);
    while let Some(name) = words.next() {
        let value = words.next()?;
        match name {
            _ if name.eq_ignore_ascii_case("COUNT") => count = Some(u64::from(number_of(value)?)),
            _ if name.eq_ignore_ascii_case("ALL") => listed = Some(set(value)?),
            _ => {}
        }
    }
    Some(count.or(listed))
}

/// The length of a set like `2,10:11`.
fn set(set: &str) -> Option<u64> {
    set.split(',').try_fold(0_u64, |count, range| {
        let (from, to) = range.split_once(':').unwrap_or((range, range));
        let (from, to) = (number_of(from)?, number_of(to)?);
        count.checked_add(u64::from(from.abs_diff(to)) + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, expected: Result<Option<u64>, ()>) {
        let nonsense = AgentError::protocol(format!("no search result: \"{data}\""));
        assert_eq!(count(data, "w5", false), expected.map_err(|()| nonsense), "{data}");
    }

    #[test]
    fn a_list_of_numbers_is_counted() {
        check("SEARCH", Ok(Some(0)));
        check("SEARCH ", Ok(Some(0)));
        check("search 2 84 882", Ok(Some(3)));
        check("SEARCH 2 5 (MODSEQ 917162500)", Ok(Some(2)));
        check("3 EXISTS", Ok(None));
        check("SEARCHES 2", Ok(None));
    }

    #[test]
    fn a_figure_is_taken_or_reckoned() {
        check("ESEARCH (TAG \"w5\") COUNT 17", Ok(Some(17)));
        check("ESEARCH (TAG \"w5\") UID COUNT 17 ALL 4:18,21", Ok(Some(17)));
        check("ESEARCH (TAG \"w5\") ALL 2,10:11", Ok(Some(3)));
        check("ESEARCH (TAG w5) ALL 11:10", Ok(Some(2)));
        check("ESEARCH (TAG \"w5\")", Ok(Some(0)));
        check("ESEARCH COUNT 5", Ok(Some(5)));
        check("ESEARCH (TAG \"w4\") COUNT 17", Ok(None));
    }

    #[test]
    fn a_figure_that_was_asked_for_and_is_not_there_is_not_0() {
        assert_eq!(count("ESEARCH (TAG \"w5\") COUNT 0", "w5", true), Ok(Some(0)));
        assert_eq!(count("ESEARCH (TAG \"w5\") ALL 7", "w5", true), Ok(Some(1)));
        let nonsense = "no search result: \"ESEARCH (TAG \"w5\")\"";
        assert_eq!(count("ESEARCH (TAG \"w5\")", "w5", true), Err(AgentError::protocol(nonsense)));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for data in [
            "SEARCH x",
            "SEARCH 2 -5",
            "SEARCH 4294967296",
            "ESEARCH COUNT",
            "ESEARCH COUNT x",
            "ESEARCH ALL 2:",
            "ESEARCH ALL *",
            "ESEARCH ALL 2,,3",
        ] {
            check(data, Err(()));
        }
    }

    #[test]
    fn numbers_are_listed_in_either_form() {
        let check = |data: &str, expected: Result<Option<&[u32]>, ()>| {
            let nonsense = AgentError::protocol(format!("no search result: \"{data}\""));
            let expected = expected.map(|listed| listed.map(<[u32]>::to_vec)).map_err(|()| nonsense);
            assert_eq!(uids(data, "w5", 10), expected, "{data}");
        };
        check("SEARCH", Ok(Some(&[])));
        check("SEARCH 2 84", Ok(Some(&[2, 84])));
        check("SEARCH 2 5 (MODSEQ 917162500)", Ok(Some(&[2, 5])));
        check("ESEARCH (TAG \"w5\") UID ALL 2,11:10", Ok(Some(&[2, 10, 11])));
        check("ESEARCH (TAG \"w5\") UID", Ok(Some(&[])));
        check("ESEARCH (TAG \"w4\") UID ALL 2", Ok(None));
        check("3 EXISTS", Ok(None));
        check("SEARCH x", Err(()));
        check("ESEARCH (TAG \"w5\") UID ALL 1:4294967295", Err(()));
        check("ESEARCH (TAG \"w5\") UID ALL x", Err(()));
    }
}
