//! A template that is faulty: which line of its file is at fault.

use crate::config::{Fault, Place, Rule, Spot};

/// Quotes of texts of several lines.
const OF_LINES: [&str; 2] = ["'''", "\"\"\""];

/// A fault of a template: at its line, where a text of several lines stands in the file as it is, else where the text begins.
pub(in crate::config) fn template_faulty(key: &str, place: &Place, why: &str) -> Fault {
    let (place, why) = within(place, why).unwrap_or_else(|| (place.clone(), why));
    Fault::new(Rule::ChannelTemplateFaulty, &place, format!("`{key}`: the template is faulty: {why}"))
}

/// The place in the file of a line of a text, and what is wrong there without the line.
fn within<'w>(place: &Place, why: &'w str) -> Option<(Place, &'w str)> {
    let (number, why) = why.strip_prefix("line ")?.split_once(": ")?;
    let (number, spot) = (number.parse::<u32>().ok()?.checked_sub(1)?, place.spot?);
    let file = std::fs::read_to_string(&place.file).ok()?;
    let mut lines = file.lines().skip(usize::try_from(spot.line).ok()?.checked_sub(1)?);
    let first: String = lines.next()?.chars().skip(usize::try_from(spot.column).ok()?.checked_sub(1)?).collect();
    let text = OF_LINES.iter().find_map(|quotes| first.strip_prefix(quotes))?;
    // The line end after the quotes is none of the text (TOML, "String"); what is escaped may be several lines.
    let begins = u32::from(text.is_empty());
    let escapes = text.contains('\\') || lines.take(usize::try_from(number + begins).ok()?).any(|line| line.contains('\\'));
    if escapes || number + begins == 0 {
        return None;
    }
    let spot = Spot { line: spot.line + number + begins, column: 1 };
    Some((Place { spot: Some(spot), ..place.clone() }, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_text_of_several_lines_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, (line, column): (u32, u32), why: &str| {
            let file = folder.path().join("w.toml");
            std::fs::write(&file, text).unwrap();
            let fault = template_faulty("text", &Place::at(&*file, line, column), why);
            (fault.place.spot.map(|spot| (spot.line, spot.column)).unwrap(), fault.message)
        };
        let faulty = |why: &str| format!("`text`: the template is faulty: {why}");
        let why = "line 2: `txt` is undefined";
        assert_eq!(check("\ntext = '''\na\n{{ txt }}'''\n", (2, 8), why), ((4, 1), faulty("`txt` is undefined")));
        assert_eq!(check("text = \"\"\"a\n{{ txt }}\"\"\"\n", (1, 8), why), ((2, 1), faulty("`txt` is undefined")));
        assert_eq!(check("text = \"a\\n{{ txt }}\"\n", (1, 8), why), ((1, 8), faulty(why)));
        assert_eq!(check("text = \"\"\"a\\n{{ txt }}\nb\"\"\"\n", (1, 8), why), ((1, 8), faulty(why)));
    }
}
