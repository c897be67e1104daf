//! Names that tables declare, whatever else is wrong with those tables: what is named elsewhere is held against them all the same.

use std::collections::BTreeSet;

use super::{
    At,
    text::{Data, Table},
};

/// The names that tables of one kind declare.
#[derive(Debug, Default)]
pub(super) struct Declared {
    names: BTreeSet<String>,
    /// Whether every table has a name that can be read; otherwise one that is not known may be there.
    whole: bool,
}

impl Declared {
    pub(super) fn by(tables: &[At<Table>]) -> Self {
        let names: Vec<Option<String>> = tables.iter().map(|table| name_of(&table.value)).collect();
        let whole = names.iter().all(Option::is_some);
        Self { names: names.into_iter().flatten().collect(), whole }
    }

    /// Whether nothing is called so.
    pub(super) fn lacks(&self, name: &str) -> bool {
        self.whole && !self.names.contains(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(String::as_str)
    }
}

fn name_of(table: &Table) -> Option<String> {
    if let Data::Text(name) = &table.get("name")?.value { Some(name.clone()) } else { None }
}
