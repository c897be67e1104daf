//! The source of the agents' interface and of its test kit, as this program was built with it.

/// Every file, by its path in the repository; `build.rs` lists them.
mod sources {
    include!(concat!(env!("OUT_DIR"), "/interface.rs"));
}

use sources::SOURCES;

/// Sections of a manifest that are for this repository only: what its own tests need.
const OWN: [&str; 2] = ["[dev-dependencies]", "[[example]]"];
/// What the workspace of the copy has of the whole one.
const SHARED: &str = "[workspace.dependencies]";

/// The versions that all was built and tested with: cargo takes what it needs of it, and drops the rest.
pub(super) fn lock() -> &'static str {
    text("Cargo.lock")
}

/// The files of a copy that builds outside the repository: three crates, and the manifest that they take their versions from.
pub(super) fn files() -> Vec<(&'static str, String)> {
    let of_crates = SOURCES.iter().filter(|(path, _)| path.contains('/'));
    let crates: Vec<(&str, String)> = of_crates
        .map(|&(path, text)| match path.ends_with("Cargo.toml") {
            true => (path, sections(text).filter(|section| !OWN.iter().any(|own| section.starts_with(own))).collect()),
            false => (path, text.to_owned()),
        })
        .collect();
    let manifests: Vec<&str> = crates.iter().filter(|(path, _)| path.ends_with("Cargo.toml")).map(|(_, text)| text.as_str()).collect();
    let main = workspace(text("Cargo.toml"), &manifests);
    crates.into_iter().chain([("Cargo.toml", main)]).collect()
}

fn text(path: &str) -> &'static str {
    SOURCES.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text)
}

/// The manifest of the copy's workspace: its three crates, and what they inherit.
fn workspace(whole: &str, manifests: &[&str]) -> String {
    let wanted = |line: &str| {
        let name = line.split([' ', '=']).next().unwrap_or_default();
        manifests.iter().any(|text| text.lines().any(|line| line.starts_with(&format!("{name}.")) || line.starts_with(&format!("{name} "))))
    };
    let mut text = "# The interface between Watchpost and its agents, with all that an agent is built and tested with.\n\n[workspace]\n\
         resolver = \"3\"\nmembers = [\"plugin-api\", \"plugin-api/testkit\", \"host/services\"]\n\n"
        .to_owned();
    for section in sections(whole) {
        if section.starts_with("[workspace.package]") || section.starts_with("[workspace.lints") {
            text.push_str(section);
        } else if let Some(lines) = section.strip_prefix(SHARED) {
            text.push_str(SHARED);
            text.push('\n');
            lines.lines().filter(|line| line.contains('=') && wanted(line)).for_each(|line| text.extend([line, "\n"]));
            text.push('\n');
        }
    }
    text
}

/// The sections of a manifest, each with its head.
fn sections(manifest: &str) -> impl Iterator<Item = &str> {
    let heads = manifest.match_indices("\n[").map(|(at, _)| at + 1);
    let mut starts: Vec<usize> = std::iter::once(0).chain(heads).chain([manifest.len()]).collect();
    starts.dedup();
    (1..starts.len()).map(move |at| &manifest[starts[at - 1]..starts[at]])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_manifest_is_the_sum_of_its_sections() {
        let manifest = "# a\n[b]\nc = [1]\n\n[[d]]\ne = 1\n";
        assert_eq!(sections(manifest).collect::<Vec<_>>(), ["# a\n", "[b]\nc = [1]\n\n", "[[d]]\ne = 1\n"]);
    }

    /// Whether it builds, a test of the command shows; this one is quicker to say what is missing.
    #[test]
    fn the_copy_has_every_dependency_that_its_crates_inherit_and_no_other() {
        let files = files();
        let manifest =
            |path: &str| files.iter().find(|(known, _)| *known == path).map(|(_, text)| text.parse::<toml::Table>().unwrap()).unwrap();
        let names = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        let main = manifest("Cargo.toml");
        let known = names(&main["workspace"]["dependencies"]);
        let crates = ["plugin-api", "plugin-api/testkit", "host/services"].map(|folder| manifest(&format!("{folder}/Cargo.toml")));
        let asked: BTreeSet<String> = crates.iter().flat_map(|manifest| names(&manifest["dependencies"])).collect();
        assert_eq!(known, asked);
        assert!(crates.iter().all(|manifest| manifest.get("dev-dependencies").is_none()));
        assert!(files.iter().any(|(path, _)| *path == "plugin-api/src/abi.rs"));
    }
}
