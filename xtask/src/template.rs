//! Configuration files with `{{holes}}`.

use crate::error::{Error, Outcome};

/// Fills every `{{name}}` of a template.
///
/// Errors: [`Error::Refused`] if a hole stays open or a value has no hole.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> Outcome<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        let hole = format!("{{{{{name}}}}}");
        if !text.contains(&hole) {
            return Err(Error::Refused(format!("the template has no hole {hole}")));
        }
        text = text.replace(&hole, value);
    }
    match text.split_once("{{") {
        None => Ok(text),
        Some((_, rest)) => {
            let name = rest.split("}}").next().unwrap_or_default();
            Err(Error::Refused(format!("nothing fills the hole {{{{{name}}}}}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hole_is_filled_wherever_it_stands() {
        let text = fill("a={{x}} b={{y}} c={{x}}", &[("x", "1"), ("y", "{2}")]).unwrap();
        assert_eq!(text, "a=1 b={2} c=1");
    }

    #[test]
    fn an_open_hole_and_a_value_without_a_hole_are_refused() {
        let open = fill("a={{x}}", &[]).unwrap_err();
        assert_eq!(open.to_string(), "nothing fills the hole {{x}}");
        let spare = fill("a", &[("x", "1")]).unwrap_err();
        assert_eq!(spare.to_string(), "the template has no hole {{x}}");
    }
}
