//! The part of XML that statistics are written in: elements, attributes, text. No entities are opened, and nothing outside is looked at.

use watchpost_plugin_api::quoted;

/// Elements within one another; BIND writes six.
const DEPTH_MAX: usize = 64;

/// An element's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// What stands after its name.
    attributes: &'a str,
}

impl<'a> Element<'a> {
    /// The value of an attribute, as it is written.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.attributes;
        while let Some((key, after)) = rest.split_once('=') {
            let mark = after.trim_start().chars().next().filter(|mark| matches!(mark, '"' | '\''))?;
            let (value, after) = after.trim_start()[1..].split_once(mark)?;
            if key.trim() == name {
                return Some(value);
            }
            rest = after;
        }
        None
    }
}

/// Reads a page; tells each element with the names on the way to it, itself the last, and the text before the next tag.
///
/// Errors: what is wrong, in words.
pub(crate) fn read<'a>(page: &'a str, mut tell: impl FnMut(&[&'a str], Element<'a>, &'a str) -> Result<(), String>) -> Result<(), String> {
    let mut path: Vec<&str> = Vec::new();
    let mut rest = page;
    let mut seen = false;
    while let Some((_, from_tag)) = rest.split_once('<') {
        let ends = if from_tag.starts_with("!--") { "-->" } else { ">" };
        let (tag, after) = from_tag.split_once(ends).ok_or("the page breaks off")?;
        rest = after;
        if tag.starts_with(['!', '?']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            match path.pop() {
                Some(open) if open == name.trim() => continue,
                _ => return Err(format!("`{}` ends without having begun", quoted(name))),
            }
        }
        if seen && path.is_empty() {
            return Err("there is more after the end".into());
        }
        seen = true;
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_at(tag.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tag.len()));
        if path.len() == DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} elements are within one another"));
        }
        path.push(name);
        let text = if is_empty { "" } else { after.split('<').next().unwrap_or_default() };
        tell(&path, Element { attributes }, text)?;
        if is_empty {
            path.pop();
        }
    }
    match path.is_empty() && seen {
        true => Ok(()),
        false => Err("the page breaks off".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(page: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        read(page, |path, element, text| {
            all.push(format!("{} {} {}", path.join("/"), element.attribute("n").unwrap_or("-"), text.trim()));
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn elements_are_told_with_the_way_to_them() {
        let page = "<?xml version='1.0'?><!-- <x> --><a m='1' n=\"2\">t<b n='3'/><c\nn = '4' ></c ></a>\n";
        assert_eq!(said(page), Ok(["a 2 t", "a/b 3 ", "a/c 4 "].map(str::to_owned).into()));
        assert_eq!(said("<a n>x</a>"), Ok(vec!["a - x".into()]));
    }

    #[test]
    fn what_is_no_page_says_why() {
        let check = |page: &str, why: &str| assert_eq!(said(page), Err(why.to_owned()), "{page}");
        for page in ["", "text", "<a", "<a>", "<a><b></b>", "<!-- "] {
            check(page, "the page breaks off");
        }
        check("<a></b>", "`b` ends without having begun");
        check("</a>", "`a` ends without having begun");
        check("<a/><b/>", "there is more after the end");
        check(&"<a>".repeat(65), "more than 64 elements are within one another");
    }

    proptest! {
        #[test]
        fn no_page_whatsoever_panics(page in "[<>/='\"a-c !?\\PC-]{0,120}") {
            let _ = said(&page);
        }
    }
}
