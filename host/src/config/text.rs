//! Text to a tree of values, each with its place.

use std::{collections::BTreeMap, fs, io, io::Read, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{At, Fault, Faults, Place, Rule};

/// Bytes of one file, at most: some ten thousand jobs.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What the parser says of a key that stands twice.
const DUPLICATE: &str = "duplicate key";

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
    /// Written, and told of already: nothing more may be said of it.
    Broken,
}

impl Data {
    /// Names the shape as messages do.
    pub(super) fn shape(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Whole(_) => "a whole number",
            Self::Real(_) => "a decimal number",
            Self::Flag(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Broken => "something broken",
        }
    }

    /// Says whether quotes would make a text of it.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self, Self::Whole(_) | Self::Real(_) | Self::Flag(_) | Self::Date(_))
    }

    /// Says whether any part of it was told of already.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            Self::Broken => true,
            Self::List(items) => items.iter().any(|item| item.value.is_broken()),
            Self::Table(table) => table.is_broken(),
            _ => false,
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

    /// Says whether any part of it was told of already.
    pub(super) fn is_broken(&self) -> bool {
        self.0.values().any(|entry| entry.value.value.is_broken())
    }

    /// Notes that a key's value was told of.
    pub(super) fn break_off(&mut self, key: &str) {
        if let Some(entry) = self.0.get_mut(key) {
            entry.value.value = Data::Broken;
        }
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

/// Reads the bytes of a file.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
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
            faults.push(Fault::new(Rule::FileNotUtf8, &place, "not a text in UTF-8").hint("save the file as UTF-8"));
            return None;
        }
    };
    let lines = Lines::of(file, text);
    let (tree, errors) = DeTable::parse_recoverable(text);
    // A key that stands twice leaves a whole tree with the first of the two; after anything else, what is left of the tree is a guess.
    let (twice, broken): (Vec<_>, Vec<_>) = errors.iter().partition(|error| error.message() == DUPLICATE);
    faults.extend(twice.iter().filter_map(|error| error.span()).map(|span| {
        let key = text.get(span.clone()).unwrap_or_default();
        Fault::new(Rule::KeyTwice, &lines.place(span.start), format!("`{}`: set twice", key.escape_debug())).hint("keep one of the two")
    }));
    if broken.is_empty() {
        return Some(lines.table(tree.get_ref(), lines.place(0), faults));
    }
    let mut broken: Vec<_> = broken.iter().map(|error| (error.span().map_or(0, |span| span.start), error.message())).collect();
    broken.sort_unstable();
    let mut last_line = None;
    for (offset, message) in broken {
        let place = lines.place(offset);
        let line = place.spot.map(|spot| spot.line);
        // The first error of a line is the cause, those behind it are its echo.
        if line != last_line {
            last_line = line;
            let message = message.trim_end_matches(", expected nothing");
            faults.push(Fault::new(Rule::FileNotToml, &place, format!("not TOML: {message}")));
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
        Place::at(self.file.clone(), to_u32(line), to_u32(before.chars().count() + 1))
    }

    fn table(&self, table: &DeTable<'_>, place: Place, faults: &mut Faults) -> At<Table> {
        let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let name = std::borrow::Cow::<str>::clone(key.get_ref()).into_owned();
            (name, Entry { key: self.place(key.span().start), value: self.value(value, faults) })
        };
        At { value: Table(table.iter().map(entry).collect()), place }
    }

    fn value(&self, value: &toml::Spanned<DeValue<'_>>, faults: &mut Faults) -> At<Data> {
        let place = self.place(value.span().start);
        let data = match value.get_ref() {
            DeValue::String(text) => Data::Text(text.clone().into_owned()),
            DeValue::Boolean(flag) => Data::Flag(*flag),
            DeValue::Datetime(date) => Data::Date(date.to_string()),
            DeValue::Array(list) => Data::List(list.iter().map(|item| self.value(item, faults)).collect()),
            DeValue::Table(table) => Data::Table(self.table(table, place.clone(), faults).value),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or(Data::Broken, Data::Whole),
            DeValue::Float(number) => number.as_str().parse().map_or(Data::Broken, Data::Real),
        };
        if data == Data::Broken {
            faults.push(
                Fault::new(Rule::NumberTooLarge, &place, "a number of more than 64 bits")
                    .hint("64 bits hold numbers up to 9223372036854775807"),
            );
        }
        At { value: data, place }
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(place: &Place) -> (u32, u32) {
        place.spot.map(|spot| (spot.line, spot.column)).unwrap()
    }

    fn places(text: &[u8]) -> Vec<(u32, u32)> {
        let mut faults = Faults::default();
        parse(Path::new("t"), text, &mut faults);
        faults.iter().map(|fault| spot(&fault.place)).collect()
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
    fn a_number_too_large_is_a_fault_where_it_stands_and_hides_nothing_else() {
        let mut faults = Faults::default();
        let tree = parse(Path::new("t"), b"a = 1\nb = [2, 99999999999999999999]", &mut faults).unwrap();
        assert_eq!(faults.iter().map(|fault| spot(&fault.place)).collect::<Vec<_>>(), [(2, 9)]);
        assert!(tree.value.is_broken() && tree.get("a").map(|at| &at.value) == Some(&Data::Whole(1)));
    }

    #[test]
    fn a_key_that_stands_twice_hides_nothing_else() {
        let mut faults = Faults::default();
        let tree = parse(Path::new("t"), b"a = 1\n\"a\" = 2\n[b]\nc = 1\n[b]\nd = 2\n", &mut faults).unwrap();
        let said: Vec<_> = faults.iter().map(|fault| (spot(&fault.place), fault.message.as_str())).collect();
        assert_eq!(said, [((2, 1), "`\\\"a\\\"`: set twice"), ((5, 2), "`b`: set twice")]);
        let Some(Data::Table(b)) = tree.get("b").map(|at| &at.value) else { panic!("no table") };
        assert_eq!((tree.get("a").map(|at| &at.value), b.0.len()), (Some(&Data::Whole(1)), 2));
    }

    #[test]
    fn the_tree_knows_the_place_of_keys_and_values() {
        let tree = parse(Path::new("t"), b"[[job]]\nconfig.host = 'x'\n", &mut Faults::default()).unwrap();
        let Some(Data::List(jobs)) = tree.get("job").map(|at| &at.value) else { panic!("no list") };
        let Data::Table(job) = &jobs[0].value else { panic!("no table") };
        let Some(Data::Table(config)) = job.get("config").map(|at| &at.value) else { panic!("no config") };
        assert_eq!(spot(&jobs[0].place), (1, 1));
        assert_eq!(spot(&config.0["host"].key), (2, 8));
        assert_eq!(spot(&config.0["host"].value.place), (2, 15));
    }
}
