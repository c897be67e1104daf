//! `depends_on`: what silences the alarms of a job while it is in alarm itself.

use super::{
    At, Fault, Faults, Rule,
    name::JobName,
    reader::{Field, Texts},
};
use crate::series::{layout::UP, selector::Selector};

/// What a job depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct DependsOn {
    /// As it was written.
    pub said: String,
    /// The series whose alarms are meant; of a job that is only named its `up`.
    pub series: Selector,
}

impl DependsOn {
    /// Reads a job's name, or SERIES with braces.
    ///
    /// Errors: what is wrong with it, in words.
    pub fn parse(said: &str) -> Result<Self, String> {
        let named = || JobName::new(said).ok_or_else(|| "write a job's name, or SERIES as in loss{job=\"link\"}".to_owned());
        let text = if said.contains('{') { said.to_owned() } else { format!("{UP}{{job=\"{}\"}}", named()?.as_str()) };
        Ok(Self { said: said.to_owned(), series: Selector::parse(&text).map_err(|error| error.to_string())? })
    }
}

/// Checks all that a job depends on.
pub(super) fn check(field: &Field<Texts>, faults: &mut Faults) -> Option<Vec<At<DependsOn>>> {
    let texts = match field {
        Field::Absent => return Some(Vec::new()),
        Field::Broken => return None,
        Field::Given(texts) => texts,
    };
    let mut one = |text: &At<String>| match DependsOn::parse(text) {
        Ok(value) => Some(At { value, place: text.place.clone() }),
        Err(why) => {
            let message = format!("`depends_on`: \"{}\" is neither a job nor series", text.escape_debug());
            faults.push(Fault::new(Rule::DependsOnIllegal, &text.place, message).hint(why));
            None
        }
    };
    let found: Vec<_> = texts.items.iter().map(&mut one).collect();
    texts.whole.then(|| found.into_iter().collect()).flatten()
}
