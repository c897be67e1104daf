//! Files in the plugin folder that cannot be loaded: `check` and a start name each with its reason, and the others run.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use crate::harness::{DEBUG_RUN, House, http::ask, until};

/// A job of the library that is well.
const TAME: &str = "[[job]]\nname = \"tame\"\nagent = \"tame\"\nevery = \"1s\"\nconfig = {}\n";
/// ELF's number of another machine (e_machine: EM_S390), and where it stands.
const ANOTHER_MACHINE: [u8; 2] = [22, 0];
const MACHINE: std::ops::Range<usize> = 18..20;

/// A file of the plugin folder: how it is made of the library that is well, and why it is refused, where `PATH` stands for its path.
struct Refused {
    name: &'static str,
    make: fn(&Path, &[u8]),
    why: &'static str,
}

impl Refused {
    /// What is told of it in this folder, up to where it may vary.
    fn told(&self, plugins: &Path) -> (String, String) {
        let path = plugins.join(self.name).display().to_string();
        let why = self.why.replace("PATH", &path);
        (path, why)
    }
}

const REFUSED: [Refused; 7] = [
    Refused { name: "libempty.so", make: |path, _| write(path, b""), why: "it is no shared library (no ELF header)" },
    Refused { name: "libtext.so", make: |path, _| write(path, b"agents\n"), why: "it is no shared library (no ELF header)" },
    Refused { name: "libhalf.so", make: |path, whole| write(path, &whole[..whole.len() / 2]), why: "it is cut off: " },
    Refused { name: "libforeign.so", make: foreign, why: "it was built for another kind of machine" },
    Refused { name: "libplain.so", make: plain, why: "it carries no agents (no `export_agents!` in it)" },
    Refused {
        name: "libmajor.so",
        make: |path, _| write(path, &fs::read(example("major")).unwrap()),
        why: "it was built for another version of the agent interface: ",
    },
    Refused { name: "libshared.so", make: writable, why: "it is not trusted: PATH may be written by others (mode 0777); `chmod go-w` it" },
];

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

fn foreign(path: &Path, whole: &[u8]) {
    let mut bytes = whole.to_vec();
    bytes[MACHINE].copy_from_slice(&ANOTHER_MACHINE);
    write(path, &bytes);
}

fn plain(path: &Path, _: &[u8]) {
    let source = path.with_extension("c");
    write(&source, b"int answer(void) { return 42; }");
    assert!(Command::new("gcc").args(["-shared", "-fPIC", "-o"]).args([path, &source]).status().unwrap().success());
    fs::remove_file(source).unwrap();
}

fn writable(path: &Path, whole: &[u8]) {
    write(path, whole);
    fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
}

/// A library that cargo built as an example of the worker's crate.
fn example(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples");
    let library = folder.join(format!("lib{name}.so"));
    assert!(library.is_file(), "{}: {}", library.display(), DEBUG_RUN);
    library
}

/// A house whose plugin folder is its own, with the library that is well and all the others.
fn house() -> (House, PathBuf) {
    let house = House::ordinary(TAME);
    let plugins = house.folder().join("plugins");
    fs::create_dir(&plugins).unwrap();
    house.give(&plugins);
    let main = "listen = \"127.0.0.1:0\"\nplugins = [\"plugins\"]\nschedules = [\"jobs.toml\"]\n";
    fs::write(house.folder().join("watchpost.toml"), main).unwrap();
    let whole = fs::read(example("tame")).unwrap();
    write(&plugins.join("libtame.so"), &whole);
    for refused in REFUSED {
        (refused.make)(&plugins.join(refused.name), &whole);
    }
    (house, plugins)
}

/// Each is told once, with its path and its reason, and nothing else is.
fn check_told(told: &[(String, String)], plugins: &Path) {
    assert_eq!(told.len(), REFUSED.len(), "{told:?}");
    for refused in REFUSED {
        let (path, expected) = refused.told(plugins);
        let why = &told.iter().find(|(known, _)| *known == path).unwrap_or_else(|| panic!("{path}: {told:?}")).1;
        assert!(why.starts_with(&expected) && !why.contains('\n'), "{path}: {why}");
    }
}

#[test]
fn libraries_that_cannot_be_loaded_are_named_by_check_and_by_a_start_and_the_others_run() {
    let (house, plugins) = house();
    let said = house.run(&["check"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let warned = said.err.lines().filter_map(|line| line.strip_prefix("warning: `plugins`: ")?.split_once(" is not loaded: "));
    check_told(&warned.map(|(path, why)| (path.to_owned(), why.to_owned())).collect::<Vec<_>>(), &plugins);
    assert!(!said.err.contains("error: "), "{said:?}");

    let daemon = house.start();
    let of_line =
        |line: &Value| Some((line["path"].as_str()?.to_owned(), line["message"].as_str()?.strip_prefix("not loaded: ")?.to_owned()));
    check_told(&daemon.log().iter().filter_map(of_line).collect::<Vec<_>>(), &plugins);
    let status = || serde_json::from_str::<Value>(&ask(&house.socket(), "GET", "/api/v1/status").unwrap().body).unwrap();
    let of_status = |refused: &Value| Some((refused[0].as_str()?.to_owned(), refused[1].as_str()?.to_owned()));
    let told = status()["host"]["refused_libraries"].as_array().unwrap().iter().filter_map(of_status).collect::<Vec<_>>();
    check_told(&told, &plugins);
    let ran = until(Duration::from_secs(10), || (status()["jobs"][0]["ok"].as_u64()? >= 2).then_some(()));
    assert!(ran.is_some(), "{}", status());
    assert!(daemon.stop().status.success());
}

#[test]
fn a_job_of_a_library_that_cannot_be_loaded_is_refused_with_the_reason() {
    let (house, plugins) = house();
    house.schedule(&TAME.replace("agent = \"tame\"", "agent = \"major\""));
    for command in ["check", "run"] {
        let said = house.run(&[command]);
        assert_eq!(said.code, Some(2), "{said:?}");
        let place = format!("  --> {}:3:9", house.folder().join("jobs.toml").display());
        assert!(said.err.contains("error: `agent`: no library carries \"major\"\n") && said.err.contains(&place), "{}", said.err);
        for refused in REFUSED {
            let (path, why) = refused.told(&plugins);
            assert!(said.err.contains(&format!("{path}: {why}")), "{path}: {why}: {}", said.err);
        }
    }
}

#[test]
fn a_plugin_folder_that_others_may_write_is_named_and_nothing_in_it_is_loaded() {
    let (house, plugins) = house();
    fs::set_permissions(&plugins, Permissions::from_mode(0o777)).unwrap();
    let (folder, libraries) = (plugins.display(), fs::read_dir(&plugins).unwrap().count());
    // One of them is open itself, and told of for that.
    let libraries = libraries - 1;
    let why =
        format!("{folder}: none of its {libraries} libraries is trusted: {folder} may be written by others (mode 0777); `chmod go-w` it");
    for command in ["check", "run"] {
        let said = house.run(&[command]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("error: `agent`: no library carries \"tame\"\n"), "{}", said.err);
        assert!(said.err.contains(&why), "{}\n{why}", said.err);
        assert_eq!(said.err.matches(&format!("{folder} may be written by others")).count(), 1, "told once: {}", said.err);
    }
}
