//! Reads an expression from left to right, a function for each line of the table, into steps that are done on a stack.

use watchpost_plugin_api::Unit;

use super::{Fold, FormulaError, Op, Step};
use crate::series::quantity;

/// Names of an expression, at most.
const NAMES_MAX: usize = 16;
/// Brackets within brackets, at most.
const DEPTH_MAX: usize = 32;
/// Signs that compare; the longer first, for one begins like another.
const COMPARISONS: [(&str, Op); 6] =
    [("<=", Op::AtMost), (">=", Op::AtLeast), ("==", Op::Equal), ("!=", Op::Unequal), ("<", Op::Below), (">", Op::Above)];
/// Functions of all series that a name stands for.
const FUNCTIONS: [(&str, Fold); 5] =
    [("sum", Fold::Sum), ("avg", Fold::Average), ("min", Fold::Least), ("max", Fold::Most), ("count", Fold::Count)];
/// Units whose suffixes numbers may have.
const UNITS: [Unit; 4] = [Unit::Seconds, Unit::Bytes, Unit::Ratio, Unit::Number];

/// Reads an expression; gives its names, and what is done with them.
///
/// Errors: the column of what cannot be read, and what would be right there.
pub(super) fn parse(text: &str) -> Result<(Vec<String>, Vec<Step>), FormulaError> {
    let mut parser = Parser { text, rest: text.trim_start(), names: Vec::new(), steps: Vec::new(), depth: 0 };
    parser.either()?;
    if !parser.rest.is_empty() {
        return Err(parser.unexpected("an operator or the end"));
    }
    if parser.names.is_empty() {
        return Err(FormulaError { column: 1, message: "it names no series".into() });
    }
    Ok((parser.names, parser.steps))
}

struct Parser<'t> {
    text: &'t str,
    rest: &'t str,
    names: Vec<String>,
    steps: Vec<Step>,
    depth: usize,
}

type Parsed = Result<(), FormulaError>;

impl<'t> Parser<'t> {
    fn either(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.fault(format!("more than {DEPTH_MAX} brackets within each other")));
        }
        self.chain(Self::both, |parser| parser.word("or").then_some(Op::Or))?;
        self.depth -= 1;
        Ok(())
    }

    fn both(&mut self) -> Parsed {
        self.chain(Self::denial, |parser| parser.word("and").then_some(Op::And))
    }

    fn denial(&mut self) -> Parsed {
        let mut times = 0;
        while self.word("not") {
            times += 1;
        }
        self.comparison()?;
        self.steps.extend(std::iter::repeat_n(Step::Not, times));
        Ok(())
    }

    fn comparison(&mut self) -> Parsed {
        self.sum()?;
        let Some(op) = self.sign(&COMPARISONS) else { return Ok(()) };
        self.sum()?;
        self.steps.push(Step::Both(op));
        // `a < b < c` means nothing that anybody would expect.
        if self.sign(&COMPARISONS).is_some() {
            Err(self.fault("one comparison after the other; write `and` between".into()))
        } else {
            Ok(())
        }
    }

    fn sum(&mut self) -> Parsed {
        self.chain(Self::product, |parser| parser.sign(&[("+", Op::Plus), ("-", Op::Minus)]))
    }

    fn product(&mut self) -> Parsed {
        self.chain(Self::factor, |parser| parser.sign(&[("*", Op::Times), ("/", Op::By)]))
    }

    fn chain(&mut self, part: fn(&mut Self) -> Parsed, op: fn(&mut Self) -> Option<Op>) -> Parsed {
        part(self)?;
        while let Some(op) = op(self) {
            part(self)?;
            self.steps.push(Step::Both(op));
        }
        Ok(())
    }

    fn factor(&mut self) -> Parsed {
        let mut is_negative = false;
        while self.take("-") {
            is_negative = !is_negative;
        }
        self.atom()?;
        self.steps.extend(is_negative.then_some(Step::Minus));
        Ok(())
    }

    fn atom(&mut self) -> Parsed {
        if self.take("(") {
            self.either()?;
            return self.close();
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let before = self.rest;
        let word = self.name().ok_or_else(|| self.unexpected("a name, a number or ("))?;
        if ["and", "or", "not"].contains(&word) {
            self.rest = before;
            return Err(self.unexpected("a name, a number or ("));
        }
        if !self.take("(") {
            let name = self.known(word)?;
            self.steps.push(Step::One(name));
            return Ok(());
        }
        if word == "abs" {
            self.either()?;
            self.steps.push(Step::Absolute);
            return self.close();
        }
        let Some((_, fold)) = FUNCTIONS.iter().find(|(known, _)| *known == word) else {
            self.rest = before;
            return Err(self.fault(format!("no function is called `{word}`; there are abs, sum, avg, min, max and count")));
        };
        let of = self.name().ok_or_else(|| self.unexpected("the name of some series"))?;
        let name = self.known(of)?;
        self.steps.push(Step::All(name, *fold));
        self.close()
    }

    fn number(&mut self) -> Parsed {
        let digits = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let suffix = self.rest[digits..].find(|c: char| !c.is_alphabetic() && c != '%').map_or(self.rest.len(), |end| digits + end);
        let (written, rest) = self.rest.split_at(suffix);
        let is_bare = digits == suffix;
        let read = UNITS.iter().find_map(|unit| Some((quantity::parse(written, *unit).ok()?, *unit)));
        let Some((number, unit)) = read else { return Err(self.fault(format!("`{written}` is no number with a unit"))) };
        self.steps.push(Step::Number(number, Some(unit).filter(|_| !is_bare)));
        self.rest = rest.trim_start();
        Ok(())
    }

    fn close(&mut self) -> Parsed {
        if self.take(")") { Ok(()) } else { Err(self.unexpected(")")) }
    }

    /// The number of a name.
    fn known(&mut self, name: &str) -> Result<usize, FormulaError> {
        if let Some(place) = self.names.iter().position(|known| known == name) {
            return Ok(place);
        }
        if self.names.len() == NAMES_MAX {
            return Err(self.fault(format!("more than {NAMES_MAX} names")));
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }

    fn name(&mut self) -> Option<&'t str> {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !self.rest.starts_with(is_first) {
            return None;
        }
        let end = self.rest.find(|c: char| !is_first(c) && !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        Some(name)
    }

    /// Takes a word if it comes next, alone.
    fn word(&mut self, word: &str) -> bool {
        let before = self.rest;
        let is_it = self.name() == Some(word);
        if !is_it {
            self.rest = before;
        }
        is_it
    }

    fn sign(&mut self, signs: &[(&str, Op)]) -> Option<Op> {
        signs.iter().find(|(sign, _)| self.take(sign)).map(|(_, op)| *op)
    }

    fn take(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }

    fn unexpected(&self, expected: &str) -> FormulaError {
        let found = self.rest.chars().next().map_or("the end".into(), |c| c.to_string());
        self.fault(format!("found {found}, expected {expected}"))
    }

    fn fault(&self, message: String) -> FormulaError {
        let read = self.text.len() - self.rest.len();
        FormulaError { column: self.text.get(..read).map_or(0, |read| read.chars().count()) + 1, message }
    }
}
