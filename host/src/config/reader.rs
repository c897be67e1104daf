//! Asks a table for its keys: what has the wrong shape becomes a fault, and so does every key nobody asked for.

use super::{
    At, Fault, Faults, Place, Rule,
    near::{did_you_mean, nearest},
    secret,
    text::{Data, Table},
};

/// What would be right where a text was wanted.
pub(super) const IN_QUOTES: &str = "put it in quotes";

/// A key's value, if there is one.
///
/// `Broken` was written and already told of: nothing more may be concluded from its absence.
#[derive(Clone, Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Broken,
    Given(At<T>),
}

impl<T> Field<T> {
    /// Takes the other where this one is absent.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::Absent => other,
            given => given,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    pub(super) fn given(self) -> Option<At<T>> {
        match self {
            Self::Given(at) => Some(at),
            _ => None,
        }
    }

    /// Tells of a key that must be there.
    pub(super) fn required(self, key: &str, place: &Place, hint: &str, faults: &mut Faults) -> Option<At<T>> {
        if self.is_absent() {
            faults.push(Fault::new(Rule::KeyMissing, place, format!("`{key}`: missing")).hint(hint));
        }
        self.given()
    }
}

/// A list of texts.
#[derive(Clone, Debug)]
pub(super) struct Texts {
    pub(super) items: Vec<At<String>>,
    /// Whether nothing had to be left out.
    pub(super) whole: bool,
}

/// Walks one table.
pub(super) struct Reader<'t> {
    /// How messages name the table.
    what: &'static str,
    /// Keys it may have.
    keys: &'static [&'static str],
    table: &'t Table,
    refused: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    /// Walks a table of these keys and no others; those to be refused come first, so that none is taken for a misspelt one.
    pub(super) fn new(what: &'static str, keys: &'static [&'static str], table: &'t Table) -> Self {
        Self { what, keys, table, refused: Vec::new() }
    }

    /// Walks a table in which any other key may stand too.
    pub(super) fn open(table: &'t Table) -> Self {
        Self::new("a table", &[], table)
    }

    pub(super) fn text(&mut self, key: &'static str, faults: &mut Faults) -> Field<String> {
        self.shaped(key, "a text", faults, |data| match data {
            Data::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn whole(&mut self, key: &'static str, faults: &mut Faults) -> Field<i64> {
        self.shaped(key, "a whole number", faults, |data| match data {
            Data::Whole(number) => Some(*number),
            _ => None,
        })
    }

    pub(super) fn flag(&mut self, key: &'static str, faults: &mut Faults) -> Field<bool> {
        self.shaped(key, "true or false", faults, |data| match data {
            Data::Flag(flag) => Some(*flag),
            _ => None,
        })
    }

    pub(super) fn whole_or_text(&mut self, key: &'static str, faults: &mut Faults) -> Field<Data> {
        self.shaped(key, "a whole number or a text", faults, |data| match data {
            Data::Whole(_) | Data::Text(_) => Some(data.clone()),
            _ => None,
        })
    }

    pub(super) fn table(&mut self, key: &'static str, faults: &mut Faults) -> Field<Table> {
        self.shaped(key, "a table", faults, |data| match data {
            Data::Table(table) => Some(table.clone()),
            _ => None,
        })
    }

    /// Asks for a value of any shape.
    pub(super) fn any(&mut self, key: &'static str, faults: &mut Faults) -> Field<Data> {
        self.shaped(key, "a value", faults, |data| Some(data.clone()).filter(|data| *data != Data::Broken))
    }

    pub(super) fn list(&mut self, key: &'static str, faults: &mut Faults) -> Field<Vec<At<Data>>> {
        self.shaped(key, "a list", faults, |data| match data {
            Data::List(list) => Some(list.clone()),
            _ => None,
        })
    }

    /// Asks for a list of texts; items of another shape are told of and left out.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut Faults) -> Field<Texts> {
        let At { value: list, place } = match self.list(key, faults) {
            Field::Given(list) => list,
            Field::Absent => return Field::Absent,
            Field::Broken => return Field::Broken,
        };
        let written = list.len();
        let items: Vec<_> = list
            .into_iter()
            .filter_map(|item| match item.value {
                Data::Text(text) => Some(At { value: text, place: item.place }),
                other => {
                    faults.extend(misshapen(key, "a text", &other, &item.place));
                    None
                }
            })
            .collect();
        let whole = items.len() == written;
        Field::Given(At { value: Texts { items, whole }, place })
    }

    /// Asks for one text or a list of them; items of another shape are told of and left out.
    pub(super) fn text_or_texts(&mut self, key: &'static str, faults: &mut Faults) -> Field<Texts> {
        match self.table.get(key) {
            Some(At { value: Data::Text(text), place }) => {
                let items = vec![At { value: text.clone(), place: place.clone() }];
                Field::Given(At { value: Texts { items, whole: true }, place: place.clone() })
            }
            Some(At { value: Data::List(_), .. }) | None => self.texts(key, faults),
            Some(other) => {
                faults.extend(misshapen(key, "a text or a list of texts", &other.value, &other.place));
                Field::Broken
            }
        }
    }

    /// Asks for the tables of `[[key]]`; items of another shape are told of and left out.
    pub(super) fn tables(&mut self, key: &'static str, faults: &mut Faults) -> Vec<At<&'t Table>> {
        match self.table.get(key) {
            None => Vec::new(),
            Some(At { value: Data::List(items), .. }) => items.iter().filter_map(|item| as_table(key, item, faults)).collect(),
            Some(other) => {
                let fault = misshapen(key, "a list of tables", &other.value, &other.place);
                faults.extend(fault.map(|fault| fault.hint(format!("write `[[{key}]]`"))));
                Vec::new()
            }
        }
    }

    /// Refuses a key that belongs elsewhere.
    pub(super) fn refuse_here(&mut self, key: &'static str, why: &str, faults: &mut Faults) {
        faults.extend(self.refuse(key, Rule::KeyElsewhere, why));
    }

    fn refuse(&mut self, key: &'static str, rule: Rule, why: &str) -> Option<Fault> {
        self.refused.push(key);
        self.table.0.get(key).map(|entry| Fault::new(rule, &entry.key, format!("`{key}`: {why}")))
    }

    /// Tells of every key that the table may not have.
    pub(super) fn finish(self, faults: &mut Faults) {
        for key in self.unknown() {
            let hint = did_you_mean(key, &format!("keys of {}", self.what), self.keys.iter().copied());
            let fault =
                Fault::new(Rule::KeyUnknown, &self.table.0[key].key, format!("`{}`: unknown key in {}", key.escape_debug(), self.what));
            faults.push(fault.hint(hint));
        }
    }

    fn unknown(&self) -> impl Iterator<Item = &'t str> {
        let unknown = |key: &&str| !self.keys.contains(key) && !self.refused.contains(key);
        self.table.0.keys().map(String::as_str).filter(unknown)
    }

    fn shaped<T>(&mut self, key: &'static str, wanted: &str, faults: &mut Faults, take: impl FnOnce(&Data) -> Option<T>) -> Field<T> {
        let Some(at) = self.table.get(key) else {
            // A misspelt key is told of as such; that its right spelling is missing is the same fault.
            let misspelt = self.unknown().any(|unknown| nearest(unknown, self.keys.iter().copied()) == Some(key));
            return if misspelt { Field::Broken } else { Field::Absent };
        };
        match take(&at.value) {
            Some(value) => Field::Given(At { value, place: at.place.clone() }),
            None => {
                faults.extend(misshapen(key, wanted, &at.value, &at.place));
                Field::Broken
            }
        }
    }
}

fn as_table<'t>(key: &str, item: &'t At<Data>, faults: &mut Faults) -> Option<At<&'t Table>> {
    match &item.value {
        Data::Table(table) => Some(At { value: table, place: item.place.clone() }),
        other => {
            faults.extend(misshapen(key, "a table", other, &item.place));
            None
        }
    }
}

/// The fault of a value of the wrong shape; none if it was told of already.
pub(super) fn misshapen(key: &str, wanted: &str, found: &Data, place: &Place) -> Option<Fault> {
    match found {
        Data::Broken => None,
        Data::Table(table) if secret::is_reference(table) => Some(secret::misplaced(&format!("`{key}`"), place)),
        _ => {
            let fault = Fault::new(Rule::TypeWrong, place, format!("`{key}`: {} where {wanted} belongs", found.shape()));
            Some(fault.maybe_hint(as_text(key, wanted, found)))
        }
    }
}

/// What would be right where a text was wanted, and its quotes were forgotten.
fn as_text(key: &str, wanted: &str, found: &Data) -> Option<String> {
    match found {
        Data::Text(_) if key.ends_with("_bytes_max") => Some("write bytes, as a number without quotes, e.g. 4294967296 for 4 GiB".into()),
        Data::Whole(number) if matches!(key, "every" | "timeout") => Some(format!("write \"{number}s\" for seconds, or m, h, d")),
        _ => (wanted == "a text" && found.is_bare()).then(|| IN_QUOTES.into()),
    }
}
