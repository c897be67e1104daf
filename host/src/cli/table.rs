//! Tables for people: columns as wide as their widest cell.

use super::terminal;
pub(super) use crate::plain;

/// Columns that running text has at least, however wide what stands before it.
const TEXT_COLUMNS_MIN: usize = 24;

/// Prints a table; a head in capitals, cells separated by two spaces, no trailing blanks.
///
/// At a terminal a row is one line: its end is cut. A file or a program gets it whole.
pub(super) fn print(head: &[&str], rows: &[Vec<String>]) {
    let columns = terminal::columns().unwrap_or(usize::MAX);
    for line in lines(head, rows) {
        println!("{}", terminal::cut(&line, columns));
    }
}

/// Prints a table whose last column is running text, set below itself where it is longer than the line.
pub(super) fn print_text(head: &[&str], rows: &[Vec<String>]) {
    for line in text_lines(head, rows, terminal::text_columns()) {
        println!("{line}");
    }
}

fn text_lines(head: &[&str], rows: &[Vec<String>], columns: usize) -> Vec<String> {
    let all = shown(head, rows);
    let before = head.len().saturating_sub(1);
    let widths: Vec<usize> = widths(&all).into_iter().take(before).collect();
    let begin: usize = widths.iter().map(|width| width + 2).sum();
    let set = |row: &Vec<String>| {
        let text = row.get(before).map(String::as_str).unwrap_or_default();
        let lines = terminal::wrapped(text, columns.saturating_sub(begin).max(TEXT_COLUMNS_MIN));
        let cells = padded(row, &widths).join("  ");
        let first = format!("{cells}  {}", lines.first().map(String::as_str).unwrap_or_default()).trim_end().to_owned();
        std::iter::once(first).chain(lines.into_iter().skip(1).map(|line| format!("{:begin$}{line}", ""))).collect::<Vec<_>>()
    };
    all.iter().flat_map(set).collect()
}

/// The lines of a table, whole.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let all = shown(head, rows);
    let widths = widths(&all);
    all.iter().map(|row| padded(row, &widths).join("  ").trim_end().to_owned()).collect()
}

/// Head and rows as they are shown: the head in capitals, nothing that a terminal would obey, no line breaks.
fn shown(head: &[&str], rows: &[Vec<String>]) -> Vec<Vec<String>> {
    let head: Vec<String> = head.iter().map(|cell| cell.to_uppercase()).collect();
    let rows = rows.iter().map(|row| row.iter().map(|cell| plain(&cell.replace('\n', " "))).collect());
    std::iter::once(head).chain(rows).collect()
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    (0..columns).map(width).collect()
}

/// The cells of a row, as wide as their columns; cells beyond those are left out.
fn padded(row: &[String], widths: &[usize]) -> Vec<String> {
    let padded = |cell: &String, width: usize| {
        let missing = width.saturating_sub(cell.chars().count());
        format!("{cell}{}", " ".repeat(missing))
    };
    row.iter().zip(widths).map(|(cell, &width)| padded(cell, width)).collect()
}

/// A number of things: `1 job`, `2,000 jobs`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    let ending = match noun {
        "library" if count != 1 => return format!("{} libraries", grouped(count)),
        _ if count == 1 => "",
        _ => "s",
    };
    format!("{} {noun}{ending}", grouped(count))
}

/// A whole number, its figures in groups of three.
pub(super) fn grouped(number: usize) -> String {
    let figures = number.to_string();
    let mut out = String::new();
    for (at, figure) in figures.chars().enumerate() {
        if at > 0 && (figures.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(figure);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_cells_obey_no_control() {
        let rows = [vec!["a\u{1b}[31m".into(), "x".into()], vec!["bb".into(), String::new()]];
        assert_eq!(lines(&["k", "value"], &rows), ["K       VALUE", "a\u{fffd}[31m  x", "bb"]);
    }

    #[test]
    fn text_that_is_longer_than_the_line_goes_on_below_itself() {
        let rows =
            [vec!["smtp".into(), String::new(), "Times every phase of a\nsession with a server".into()], vec!["dns".into(), "q".into()]];
        let expected =
            ["AGENT  LABELS  ABOUT", "smtp           Times every phase of a", "               session with a server", "dns    q"];
        assert_eq!(text_lines(&["agent", "labels", "about"], &rows, 40), expected);
    }

    #[test]
    fn things_are_counted_as_people_do() {
        let table = [(0, "job", "0 jobs"), (1, "job", "1 job"), (2000, "job", "2,000 jobs"), (2, "library", "2 libraries")];
        for (count, noun, expected) in table {
            assert_eq!(counted(count, noun), expected);
        }
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
