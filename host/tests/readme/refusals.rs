//! What the README says of refusals, against refusals.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use crate::{
    harness::{House, install},
    page::{Page, workspace},
};

/// A job that is refused for nothing but `config`, or the agent's name.
const JOB: &str = "[[job]]\nname = \"mx1\"\nevery = \"30s\"\n";

#[test]
fn each_refusal_that_the_readme_quotes_is_said() {
    let page = Page::read();
    let said =
        [lab_elsewhere(), port_taken(), password_open_to_others(), library_open_to_others(), no_library(), no_configuration(), no_daemon()];
    let quotes: Vec<&str> = page.first_cells("| you read |").map(|cell| cell.split(" /").next().unwrap_or(cell)).collect();
    assert_eq!(quotes.len(), said.len(), "{quotes:?}");
    for (quote, said) in quotes.iter().zip(said) {
        assert!(said.contains(quote), "no {quote:?} in {said:?}");
    }
}

/// It takes a clone that servers cannot reach; the words stand here.
fn lab_elsewhere() -> String {
    fs::read_to_string(workspace().join("xtask/src/place.rs")).unwrap()
}

fn port_taken() -> String {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let house = House::new(&format!("{JOB}agent = \"smtp\"\nconfig = {{ host = \"127.0.0.1\" }}\n"));
    rewrite(&house, "127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    refused(&house, "run", 1)
}

fn password_open_to_others() -> String {
    let config = "config = { host = \"127.0.0.1\", user = \"alice\", password = { file = \"secret\" } }";
    let house = House::new(&format!("{JOB}agent = \"smtp\"\n{config}\n"));
    fs::write(house.folder().join("secret"), "geheim\n").unwrap();
    fs::set_permissions(house.folder().join("secret"), Permissions::from_mode(0o644)).unwrap();
    refused(&house, "check", 2)
}

fn library_open_to_others() -> String {
    let house = House::new(&format!("{JOB}agent = \"smtp\"\nconfig = {{ host = \"127.0.0.1\" }}\n"));
    let open = house.folder().join("open");
    fs::create_dir(&open).unwrap();
    install(&open, &open);
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let main = "plugins = [\"open\"]\nschedules = [\"jobs.toml\"]\n";
    fs::write(house.folder().join("watchpost.toml"), main).unwrap();
    refused(&house, "check", 2)
}

fn no_library() -> String {
    refused(&House::new(&format!("{JOB}agent = \"spool\"\nconfig = {{ path = \"/var/tmp\" }}\n")), "check", 2)
}

fn no_configuration() -> String {
    let empty = tempfile::tempdir().unwrap();
    let system_wide = Path::new("/etc/watchpost/watchpost.toml");
    assert!(!system_wide.exists(), "{} is taken by whoever names no configuration", system_wide.display());
    let output = Command::new(env!("CARGO_BIN_EXE_watchpost")).arg("check").current_dir(&empty).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

fn no_daemon() -> String {
    let house = House::new(&format!("{JOB}agent = \"smtp\"\nconfig = {{ host = \"127.0.0.1\" }}\n"));
    refused(&house, "reload", 1)
}

fn refused(house: &House, word: &str, code: i32) -> String {
    let said = house.run(&[word]);
    assert_eq!(said.code, Some(code), "{said:?}");
    said.err
}

fn rewrite(house: &House, from: &str, to: &str) {
    let file = house.folder().join("watchpost.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(file, text.replace(from, to)).unwrap();
}
