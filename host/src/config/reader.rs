//! Asks a table for its keys: what has the wrong shape becomes a fault, and so does every key nobody asked for.

use super::{
    fault::{At, Fault, Faults, Place, did_you_mean},
    text::{Data, Table},
};

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

    pub(super) fn given(self) -> Option<At<T>> {
        match self {
            Self::Given(at) => Some(at),
            _ => None,
        }
    }

    /// Tells of a key that must be there.
    pub(super) fn required(self, key: &str, place: &Place, hint: &str, faults: &mut Faults) -> Option<At<T>> {
        if self.is_absent() {
            faults.push(Fault::new(place, format!("`{key}`: missing")).hint(hint));
        }
        self.given()
    }
}

/// Walks one table.
pub(super) struct Reader<'t> {
    /// How messages name the table.
    what: &'static str,
    table: &'t Table,
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(what: &'static str, table: &'t Table) -> Self {
        Self { what, table, asked: Vec::new(), refused: Vec::new() }
    }

    /// Asks for a key of any shape.
    pub(super) fn any(&mut self, key: &'static str) -> Option<&'t At<Data>> {
        self.asked.push(key);
        self.table.get(key)
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

    pub(super) fn table(&mut self, key: &'static str, faults: &mut Faults) -> Field<Table> {
        self.shaped(key, "a table", faults, |data| match data {
            Data::Table(table) => Some(table.clone()),
            _ => None,
        })
    }

    pub(super) fn list(&mut self, key: &'static str, faults: &mut Faults) -> Field<Vec<At<Data>>> {
        self.shaped(key, "a list", faults, |data| match data {
            Data::List(list) => Some(list.clone()),
            _ => None,
        })
    }

    /// Asks for a list of texts; items of another shape are told of and left out.
    pub(super) fn texts(&mut self, key: &'static str, faults: &mut Faults) -> Field<Vec<At<String>>> {
        let Field::Given(At { value: list, place }) = self.list(key, faults) else {
            return if self.table.get(key).is_some() { Field::Broken } else { Field::Absent };
        };
        let texts = list.into_iter().filter_map(|item| match item.value {
            Data::Text(text) => Some(At { value: text, place: item.place }),
            other => {
                faults.push(misshapen(key, "a text", &other, &item.place));
                None
            }
        });
        Field::Given(At { value: texts.collect(), place })
    }

    /// Asks for the tables of `[[key]]`; items of another shape are told of and left out.
    pub(super) fn tables(&mut self, key: &'static str, faults: &mut Faults) -> Vec<At<&'t Table>> {
        match self.any(key) {
            None => Vec::new(),
            Some(At { value: Data::List(items), .. }) => items.iter().filter_map(|item| as_table(key, item, faults)).collect(),
            Some(other) => {
                let fault = misshapen(key, "a list of tables", &other.value, &other.place);
                faults.push(fault.hint(format!("write `[[{key}]]`")));
                Vec::new()
            }
        }
    }

    /// Refuses a key that has its place in the plan and is not there yet, or belongs elsewhere.
    pub(super) fn refuse(&mut self, key: &'static str, why: &str, faults: &mut Faults) {
        self.refused.push(key);
        if let Some(entry) = self.table.0.get(key) {
            faults.push(Fault::new(&entry.key, format!("`{key}`: {why}")));
        }
    }

    /// Tells of every key nobody asked for.
    pub(super) fn finish(self, faults: &mut Faults) {
        for (key, entry) in &self.table.0 {
            if !self.asked.contains(&key.as_str()) && !self.refused.contains(&key.as_str()) {
                let hint = did_you_mean(key, &format!("keys of {}", self.what), self.asked.iter().copied());
                faults.push(Fault::new(&entry.key, format!("`{}`: unknown key in {}", key.escape_debug(), self.what)).hint(hint));
            }
        }
    }

    fn shaped<T>(&mut self, key: &'static str, wanted: &str, faults: &mut Faults, take: impl FnOnce(&Data) -> Option<T>) -> Field<T> {
        let Some(at) = self.any(key) else { return Field::Absent };
        match take(&at.value) {
            Some(value) => Field::Given(At { value, place: at.place.clone() }),
            None => {
                faults.push(misshapen(key, wanted, &at.value, &at.place));
                Field::Broken
            }
        }
    }
}

fn as_table<'t>(key: &str, item: &'t At<Data>, faults: &mut Faults) -> Option<At<&'t Table>> {
    match &item.value {
        Data::Table(table) => Some(At { value: table, place: item.place.clone() }),
        other => {
            faults.push(misshapen(key, "a table", other, &item.place));
            None
        }
    }
}

/// The fault of a value of the wrong shape.
pub(super) fn misshapen(key: &str, wanted: &str, found: &Data, place: &Place) -> Fault {
    Fault::new(place, format!("`{key}`: {} where {wanted} belongs", found.shape()))
}
