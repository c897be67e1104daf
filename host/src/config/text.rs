//! Text to a tree of values, each with its place.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::fault::{At, Fault, Faults, Place};

/// Bytes of one file, at most: some ten thousand jobs.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What can stand in a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
    Date(String),
    List(Vec<At<Data>>),
    Table(Table),
}

impl Data {
    /// Names the shape as messages do.
    pub(super) fn shape(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// One key of a table.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Where the key stands.
    pub(super) key: Place,
    /// What it is set to.
    pub(super) value: At<Data>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Keys and what they are set to.
///
/// Debug shows the keys alone: a value may be a secret.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Table(pub(super) BTreeMap<String, Entry>);

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&At<Data>> {
        self.0.get(key).map(|entry| &entry.value)
    }

    /// Takes over every key of another table, which wins.
    pub(super) fn overlay(&mut self, other: &Self) {
        self.0.extend(other.0.iter().map(|(key, entry)| (key.clone(), entry.clone())));
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads a file into its tree.
pub(super) fn read(file: &Path, named_at: &Place, faults: &mut Faults) -> Option<At<Table>> {
    match read_text(file) {
        Ok(bytes) => parse(file, &bytes, faults),
        Err(error) => {
            faults.push(Fault::new(named_at, format!("cannot read {}: {error}", file.display())));
            None
        }
    }
}

fn read_text(file: &Path) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a named pipe would wait for its other end.
    if !fs::metadata(file)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Parses the bytes of a file; every line that is no TOML is a fault of its own.
pub(super) fn parse(file: &Path, bytes: &[u8], faults: &mut Faults) -> Option<At<Table>> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let place = Lines::of(file, &good).place(good.len());
            faults.push(Fault::new(&place, "not a text in UTF-8").hint("save the file as UTF-8"));
            return None;
        }
    };
    let lines = Lines::of(file, text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let mut numbers = Faults::default();
        let tree = lines.table(tree.get_ref(), Place::start_of(file), &mut numbers);
        let whole = !numbers.stop();
        faults.extend(numbers);
        return whole.then_some(tree);
    }
    let mut last_line = 0;
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().map_or(0, |span| span.start), error.message())).collect();
    errors.sort();
    for (offset, message) in errors {
        let place = lines.place(offset);
        // The first error of a line is the cause, those behind it are its echo.
        if place.line != last_line {
            last_line = place.line;
            faults.push(Fault::new(&place, format!("not TOML: {}", message.trim_end_matches(", expected nothing"))));
        }
    }
    None
}

/// The lines of a text, to turn offsets into places.
struct Lines<'t> {
    file: Arc<Path>,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(file: &Path, text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: file.into(), text, starts }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.wrapping_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Place { file: self.file.clone(), line: to_u32(line), column: to_u32(before.chars().count() + 1) }
    }

    fn table(&self, table: &DeTable<'_>, place: Place, faults: &mut Faults) -> At<Table> {
        let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>), faults: &mut Faults| {
            let name = std::borrow::Cow::<str>::clone(key.get_ref()).into_owned();
            let entry = Entry { key: self.place(key.span().start), value: self.value(value, faults)? };
            Some((name, entry))
        };
        At { value: Table(table.iter().filter_map(|pair| entry(pair, faults)).collect()), place }
    }

    fn value(&self, value: &toml::Spanned<DeValue<'_>>, faults: &mut Faults) -> Option<At<Data>> {
        let place = self.place(value.span().start);
        let data = match value.get_ref() {
            DeValue::String(text) => Data::Text(text.clone().into_owned()),
            DeValue::Boolean(flag) => Data::Flag(*flag),
            DeValue::Datetime(date) => Data::Date(date.to_string()),
            DeValue::Array(list) => Data::List(list.iter().filter_map(|item| self.value(item, faults)).collect()),
            DeValue::Table(table) => Data::Table(self.table(table, place.clone(), faults).value),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Data::Whole(number),
                Err(_) => {
                    faults.push(Fault::new(&place, format!("{number}: no number of 64 bits holds it")));
                    return None;
                }
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Data::Real(number),
                Err(_) => {
                    faults.push(Fault::new(&place, format!("{number}: not a number")));
                    return None;
                }
            },
        };
        Some(At { value: data, place })
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &[u8]) -> Vec<(u32, u32)> {
        let mut faults = Faults::default();
        parse(Path::new("t"), text, &mut faults);
        faults.iter().map(|fault| (fault.place.line, fault.place.column)).collect()
    }

    #[test]
    fn every_line_that_is_no_toml_is_a_fault() {
        assert_eq!(places(b"a = 1\nb == 2\nc = [\n1,,2]\nd = 4 4\n"), [(2, 4), (4, 3), (5, 5)]);
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        assert_eq!(places("a = \"äöü\" x".as_bytes()), [(1, 11)]);
        assert_eq!(places(b"a = \"x\"\nb = \xff"), [(2, 5)]);
    }

    #[test]
    fn a_number_too_large_is_a_fault_where_it_stands() {
        assert_eq!(places(b"a = 1\nb = 99999999999999999999"), [(2, 5)]);
    }

    #[test]
    fn the_tree_knows_the_place_of_keys_and_values() {
        let tree = parse(Path::new("t"), b"[[job]]\nconfig.host = 'x'\n", &mut Faults::default()).unwrap();
        let Some(Data::List(jobs)) = tree.get("job").map(|at| &at.value) else { panic!("no list") };
        let Data::Table(job) = &jobs[0].value else { panic!("no table") };
        let Some(Data::Table(config)) = job.get("config").map(|at| &at.value) else { panic!("no config") };
        assert_eq!((jobs[0].place.line, jobs[0].place.column), (1, 1));
        assert_eq!(config.0["host"].key.column, 8);
        assert_eq!(config.0["host"].value.place.column, 15);
    }
}
