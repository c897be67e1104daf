//! Embeds the source of the agents' interface and of its test kit: `watchpost new-agent` writes it beside what it makes, for it is in no
//! registry.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

/// The crates that an agent is built and tested with, as folders of the repository.
const CRATES: [&str; 3] = ["plugin-api", "plugin-api/testkit", "host/services"];

fn main() -> Result<(), Box<dyn Error>> {
    let own = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let house = own.parent().ok_or("the host's folder has one above it")?;
    let mut files: Vec<PathBuf> = ["Cargo.toml", "Cargo.lock"].map(PathBuf::from).into();
    for folder in CRATES {
        files.push(Path::new(folder).join("Cargo.toml"));
        sources(house, &Path::new(folder).join("src"), &mut files)?;
    }
    files.sort();
    let mut table = format!("pub(super) const SOURCES: [(&str, &str); {}] = [\n", files.len());
    for file in files {
        writeln!(table, "    ({file:?}, include_str!({:?})),", house.join(&file))?;
    }
    table.push_str("];\n");
    Ok(fs::write(Path::new(&env::var("OUT_DIR")?).join("interface.rs"), table)?)
}

/// Finds the sources of a folder, and has cargo look for new ones.
fn sources(house: &Path, folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo:rerun-if-changed={}", house.join(folder).display());
    for entry in fs::read_dir(house.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            sources(house, &path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}
