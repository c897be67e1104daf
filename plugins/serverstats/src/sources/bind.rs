//! What BIND's statistics channel shows of the server, as JSON (version 1) or XML (version 3).
//!
//! Samples: one for each counter, named by its section (`opcodes`, `rcodes`, `qtypes`, `nsstats`, `sockstats`, `zonestats`, `resstats`)
//! with the label `name`. What it shows of views, zones, sockets and memory is passed over. JSON leaves out counters that are 0.
//! Source: BIND's Administrator Reference Manual, "statistics-channels"; versions 9.16 to 9.20.

use serde_json::Value;
use watchpost_exposition::Sample;

use super::xml;

/// Reads a page; gives each sample to `take`.
///
/// Errors: what is wrong, in words.
pub(crate) fn read(page: &str, take: impl FnMut(&Sample<'_>) -> Result<(), String>) -> Result<(), String> {
    match page.trim_start().starts_with('<') {
        true => read_xml(page, take),
        false => read_json(page, take),
    }
}

fn read_json(page: &str, mut take: impl FnMut(&Sample<'_>) -> Result<(), String>) -> Result<(), String> {
    let told: Value = serde_json::from_str(page).map_err(|error| format!("it is no JSON: {error}"))?;
    let told = told.as_object().filter(|told| told.contains_key("json-stats-version")).ok_or("it is no statistics of BIND")?;
    for (section, counters) in told {
        for (name, value) in counters.as_object().into_iter().flatten() {
            if let Some(value) = value.as_f64() {
                take(&Sample::of(section, [("name", name)], value))?;
            }
        }
    }
    Ok(())
}

fn read_xml(page: &str, mut take: impl FnMut(&Sample<'_>) -> Result<(), String>) -> Result<(), String> {
    let mut section: Option<String> = None;
    let mut is_ours = false;
    xml::read(page, |path, element, text| {
        is_ours |= path == ["statistics"];
        match path {
            ["statistics", "server", "counters"] => section = element.attribute("type").map(|kind| format!("{kind}s")),
            ["statistics", "server", "counters", "counter"] => {
                let (Some(section), Some(name)) = (&section, element.attribute("name")) else {
                    return Err("a counter without a name".into());
                };
                let value = text.trim().parse().ok().filter(|value: &f64| value.is_finite()).ok_or("a counter without a number")?;
                take(&Sample::of(section, [("name", name)], value))?;
            }
            _ => {}
        }
        Ok(())
    })?;
    match is_ours {
        true => Ok(()),
        false => Err("it is no statistics of BIND".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(page: &str) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        read(page, |sample| {
            all.push(format!("{} {} {}", sample.name, sample.label("name").unwrap(), sample.value));
            Ok(())
        })?;
        all.sort();
        Ok(all)
    }

    const JSON: &str = r#"{"json-stats-version":"1.7","boot-time":"2026-01-01T00:00:00Z","opcodes":{"QUERY":6,"NOTIFY":0},
        "rcodes":{"NOERROR":3,"17":0},"qtypes":{},"views":{"_default":{"resolver":{"stats":{"BucketSize":5}}}},"memory":{"TotalUse":12}}"#;
    const XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <?xml-stylesheet type="text/xsl" href="/bind9.xsl"?>
        <!-- by hand --><statistics version="3.13"><server><boot-time>2026</boot-time><counters type="opcode"><counter name="QUERY">6</counter>
        <counter name="NOTIFY">0</counter></counters><counters type="rcode"><counter name="NOERROR">3</counter><counter name="17">0</counter>
        </counters><counters type="qtype"/></server><views><view name="_default"><counters type="resqtype"><counter name="A">9</counter>
        </counters></view></views></statistics>"#;

    #[test]
    fn json_and_xml_say_the_same_of_the_server() {
        let mut expected = vec!["opcodes NOTIFY 0", "opcodes QUERY 6", "rcodes 17 0", "rcodes NOERROR 3"];
        assert_eq!(said(XML).unwrap(), expected);
        expected.insert(0, "memory TotalUse 12");
        assert_eq!(said(JSON).unwrap(), expected);
    }

    #[test]
    fn what_is_no_statistics_says_so() {
        for page in ["{}", "[]", "{\"opcodes\":{}}", "<html></html>", "<a/>"] {
            assert_eq!(said(page), Err("it is no statistics of BIND".into()), "{page}");
        }
        assert!(said("").unwrap_err().starts_with("it is no JSON: "));
        assert!(said(&JSON[..80]).unwrap_err().starts_with("it is no JSON: "));
        assert_eq!(said(&XML[..400]), Err("the page breaks off".into()));
        let odd = XML.replace("name=\"QUERY\">6", "name=\"QUERY\">six");
        assert_eq!(said(&odd), Err("a counter without a number".into()));
        let odd = XML.replace(" name=\"QUERY\"", "");
        assert_eq!(said(&odd), Err("a counter without a name".into()));
    }
}
