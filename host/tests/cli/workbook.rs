//! `fetch --format xlsx`: what a spreadsheet opens holds what the table holds.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{
    harness::{House, until},
    job, refused, willing,
};

/// Days between day 0 of spreadsheets and 1970, and seconds of one.
const DAYS_TO_1970: f64 = 25_569.0;
const DAY_S: f64 = 86_400.0;

/// One part of a workbook.
fn part(file: &Path, name: &str) -> String {
    let mut archive = zip::ZipArchive::new(File::open(file).unwrap()).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}")).read_to_string(&mut text).unwrap();
    text
}

/// What stands between each `<tag …>` and its end, and the head of the tag.
fn elements<'a>(xml: &'a str, tag: &str) -> Vec<(&'a str, &'a str)> {
    let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
    let whole = xml.split(&open).skip(1).filter(|rest| rest.starts_with([' ', '>', '/']));
    whole.map(|rest| rest.split(&close).next().unwrap().split_once('>').unwrap()).collect()
}

/// The cells of the first sheet by place; texts as they are shown.
fn cells(file: &Path) -> BTreeMap<String, String> {
    let shared = part(file, "xl/sharedStrings.xml");
    let unescaped = |text: &str| text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let texts: Vec<String> = elements(&shared, "t").into_iter().map(|(_, text)| unescaped(text)).collect();
    let sheet = part(file, "xl/worksheets/sheet1.xml");
    let cell = |(head, body): (&str, &str)| {
        let place = head.split("r=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let value = elements(body, "v")[0].1;
        let value = if head.contains("t=\"s\"") { texts[value.parse::<usize>().unwrap()].clone() } else { value.to_owned() };
        (place, value)
    };
    elements(&sheet, "c").into_iter().map(cell).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workbook_holds_what_the_table_holds() {
    let server = willing().await;
    let house = House::new(&job("often", "every = \"1s\"\nlabels = { site = \"a<b\" }", server.port()));
    let daemon = house.start();
    let ran = || crate::json(&house, &["jobs"])[0]["ok"].as_u64() > Some(3);
    assert!(until(Duration::from_secs(30), || ran().then_some(())).is_some(), "{}", daemon.log_text());
    let last = crate::json(&house, &["jobs"])[0]["last_run"].as_f64().unwrap() as i64;
    let range = ["--from", &(last - 20).to_string(), "--to", &(last - 1).to_string()];
    let fetch = |more: &[&str]| house.run(&[&["fetch", "total_time", "up"], &range as &[&str], more].concat()).ok();
    let table = fetch(&[]);
    let file = house.folder().join("own.xlsx");
    assert_eq!(fetch(&["-o", &file.display().to_string()]), "", "the file has it all");
    check(&table, &file);
    assert!(daemon.stop().status.success());
    // The same without a daemon, and to a program that reads on.
    let mut piped = Command::new("sh");
    let line = format!("'{}' fetch total_time up {} --format xlsx > piped.xlsx", house.bare(&[]).get_program().display(), range.join(" "));
    assert!(piped.args(["-c", &line]).current_dir(house.folder()).stdin(Stdio::null()).status().unwrap().success());
    check(&table, &house.folder().join("piped.xlsx"));
    let csv = house.folder().join("own.CSV");
    assert_eq!(fetch(&["-o", &csv.display().to_string()]), "");
    assert_eq!(std::fs::read_to_string(csv).unwrap(), table);
    let none = house.folder().join("none/own.xlsx").display().to_string();
    refused(&house.run(&["fetch", "up", "-o", &none]), 1, &["error: cannot write ", "none/own.xlsx: No such file or directory"]);
}

fn check(table: &str, file: &Path) {
    let cells = cells(file);
    let cell = |column: &str, row: usize| cells.get(&format!("{column}{row}")).cloned().unwrap_or_default();
    let mut lines = table.lines();
    let head: Vec<String> = ["A", "B", "C"].map(|column| cell(column, 1)).into();
    let titles = [head[1].clone(), head[2].clone()].map(|title| format!("\"{}\"", title.replace('"', "\"\"")));
    assert_eq!((head[0].as_str(), format!("time,{}", titles.join(","))), ("time (UTC)", lines.next().unwrap().to_owned()));
    assert!(head[1].contains("site=\"a<b\""), "{head:?}");
    let (mut known, mut rows) = (0, 0);
    for (row, line) in (2..).zip(lines) {
        let fields: Vec<&str> = line.split(',').collect();
        let time = chrono::DateTime::parse_from_rfc3339(fields[0]).unwrap().timestamp();
        let date = cell("A", row).parse::<f64>().unwrap();
        assert!(((date - DAYS_TO_1970) * DAY_S - time as f64).abs() < 0.01, "{line}: {date}");
        let values = [cell("B", row), cell("C", row)];
        let number = |text: &str| text.parse::<f64>().ok();
        assert_eq!(values.each_ref().map(|value| number(value)), [number(fields[1]), number(fields[2])], "{line}");
        known += usize::from(!fields[1].is_empty());
        rows = row;
    }
    assert!(known > 2 && known < rows - 1, "some values and some gaps: {table}");
    assert!(!cells.contains_key(&format!("A{}", rows + 1)));
    let chart = part(file, "xl/charts/chart1.xml");
    for range in [format!("Data!$B$2:$B${rows}"), format!("Data!$C$2:$C${rows}"), format!("Data!$A$2:$A${rows}"), "Data!$B$1".to_owned()] {
        assert!(chart.contains(&range), "no {range} in the chart");
    }
    assert!(chart.contains("<c:dispBlanksAs val=\"gap\"/>") || !chart.contains("dispBlanksAs"), "unknown is a gap");
}
