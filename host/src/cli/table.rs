//! Tables for people: columns as wide as their widest cell.

pub(super) use crate::plain;

/// Prints a table; a head in capitals, cells separated by two spaces, no trailing blanks.
pub(super) fn print(head: &[&str], rows: &[Vec<String>]) {
    let head: Vec<String> = head.iter().map(|cell| cell.to_uppercase()).collect();
    let width = |column: usize| {
        let cells = std::iter::once(&head).chain(rows).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in std::iter::once(&head).chain(rows) {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{:<width$}", plain(cell))).collect();
        println!("{}", line.join("  ").trim_end());
    }
}

/// A number of things: `1 job`, `8 jobs`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
