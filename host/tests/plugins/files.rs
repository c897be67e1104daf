//! Files in a plugin folder that are no libraries of agents, or none to be trusted: refused with the reason, and nothing else changes.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use watchpost::plugin::{Plugins, Sandboxes};

use crate::zoo::{LONG, Zoo, does, example, job};

/// A plugin folder with the well-behaved library in it.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let plugins = temp.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::copy(example("tame"), plugins.join("libtame.so")).unwrap();
    (temp, plugins)
}

/// Each file is refused for its reason; the well-behaved library beside them loads.
async fn check(plugins: &Path, refused: &[(&str, &str)]) {
    let loaded = Plugins::load(&[plugins.to_owned()], &Sandboxes::default()).await;
    let names: Vec<&str> = loaded.agent_names().collect();
    assert_eq!(names, ["tame"], "{:?}", loaded.problems());
    let seen: Vec<_> =
        loaded.problems().iter().map(|problem| (problem.path.file_name().unwrap().to_str().unwrap(), &problem.reason)).collect();
    assert_eq!(seen.len(), refused.len(), "{seen:?}");
    for (file, reason) in refused {
        let found = seen.iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("{file} is not refused: {seen:?}"));
        assert!(found.1.contains(reason), "{file}: {}", found.1);
        assert!(found.1.len() < 1000 && !found.1.contains('\n'), "{file}: {}", found.1);
    }
}

fn compile(code: &str, flags: &[&str], to: &Path) {
    let source = to.with_extension("c");
    fs::write(&source, code).unwrap();
    let status = Command::new("gcc").args(flags).arg(&source).arg("-o").arg(to).status().unwrap();
    assert!(status.success());
    fs::remove_file(source).unwrap();
}

#[tokio::test]
async fn what_is_no_library_of_agents_is_refused_with_its_reason() {
    let (_temp, plugins) = folder();
    let write = |name: &str, bytes: &[u8]| fs::write(plugins.join(name), bytes).unwrap();
    let whole = fs::read(example("tame")).unwrap();
    write("libtext.so", b"not a library\n");
    write("libempty.so", b"");
    for (name, length) in
        [("libcut100.so", 100), ("libcut4k.so", 4096), ("libcuthalf.so", whole.len() / 2), ("libcut1.so", whole.len() - 1)]
    {
        write(name, &whole[..length]);
    }
    let mut foreign = whole.clone();
    // e_machine: EM_S390.
    foreign[18..20].copy_from_slice(&22_u16.to_le_bytes());
    write("libforeign.so", &foreign);
    write("README", b"is not looked at");
    fs::create_dir(plugins.join("libfolder.so")).unwrap();
    compile("int answer(void) { return 42; }", &["-shared", "-fPIC"], &plugins.join("libplain.so"));
    compile("int main(void) { return 0; }", &["-no-pie"], &plugins.join("libprogram.so"));
    // The symbol is there, and what it names is no header.
    let symbol = "char _1as_0lib_1header_0root_bmodule_bloader[512] = \"no header\";";
    compile(symbol, &["-shared", "-fPIC"], &plugins.join("libposes.so"));
    // It needs what no library has.
    let missing = "extern int nowhere(void); char _1as_0lib_1header_0root_bmodule_bloader[512]; int go(void) { return nowhere(); }";
    compile(missing, &["-shared", "-fPIC"], &plugins.join("libneeds.so"));
    // It dies while it is loaded.
    let dies =
        "#include <stdlib.h>\nchar _1as_0lib_1header_0root_bmodule_bloader[512]; __attribute__((constructor)) void die(void) { abort(); }";
    compile(dies, &["-shared", "-fPIC"], &plugins.join("libdies.so"));
    let refused = [
        ("libtext.so", "it is no shared library (no ELF header)"),
        ("libempty.so", "it is no shared library (no ELF header)"),
        ("libcut100.so", "it is cut off: 100 bytes of at least "),
        ("libcut4k.so", "it is cut off: 4096 bytes of at least "),
        ("libcuthalf.so", "it is cut off: "),
        ("libcut1.so", "it is cut off: "),
        ("libforeign.so", "it was built for another kind of machine"),
        ("libfolder.so", "is no regular file"),
        ("libplain.so", "it carries no agents (no `export_agents!` in it)"),
        ("libprogram.so", "it is an ELF file, but no shared library"),
        ("libposes.so", "it was built for another version of the agent interface: "),
        ("libneeds.so", "it does not load: "),
        ("libdies.so", "its worker died of signal 6 (SIGABRT: abort) while it loaded it"),
    ];
    check(&plugins, &refused).await;
}

#[tokio::test]
async fn a_library_of_another_major_version_is_refused_and_both_versions_are_named() {
    let (_temp, plugins) = folder();
    fs::copy(example("major"), plugins.join("libmajor.so")).unwrap();
    let loaded = Plugins::load(std::slice::from_ref(&plugins), &Sandboxes::default()).await;
    let [problem] = loaded.problems() else { panic!("{:?}", loaded.problems()) };
    assert!(problem.reason.contains("2.0.0") && problem.reason.contains("1.0.0"), "{}", problem.reason);
    check(&plugins, &[("libmajor.so", "it was built for another version of the agent interface: ")]).await;
}

#[tokio::test]
async fn a_library_that_others_may_write_or_own_is_refused() {
    let (_temp, plugins) = folder();
    let copy = |name: &str| {
        fs::copy(example("zoo"), plugins.join(name)).unwrap();
        plugins.join(name)
    };
    fs::set_permissions(copy("libwritable.so"), Permissions::from_mode(0o777)).unwrap();
    let mut refused = vec![("libwritable.so", "may be written by others (mode 0777); `chmod go-w` it")];
    // Only root gives files away.
    match chown(copy("libforeign.so"), Some(65534), None) {
        Ok(()) => refused.push(("libforeign.so", "belongs to user 65534; it must belong to root or to the user who runs watchpost")),
        Err(_) => fs::remove_file(plugins.join("libforeign.so")).unwrap(),
    }
    check(&plugins, &refused).await;
    fs::set_permissions(&plugins, Permissions::from_mode(0o777)).unwrap();
    let loaded = Plugins::load(std::slice::from_ref(&plugins), &Sandboxes::default()).await;
    let library = loaded.problems().iter().find(|problem| problem.path.ends_with("libtame.so"));
    assert!(loaded.all().is_empty() && library.is_some_and(|problem| problem.reason.contains("plugins may be written by others")));
    // Sticky, as the temporary folder is: nobody else replaces what is ours in it.
    fs::set_permissions(&plugins, Permissions::from_mode(0o1777)).unwrap();
    check(&plugins, &refused).await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_a_problem_of_its_own() {
    let (temp, plugins) = folder();
    let loaded = Plugins::load(&[plugins, temp.path().join("nowhere")], &Sandboxes::default()).await;
    assert_eq!(loaded.agent_names().collect::<Vec<_>>(), ["tame"]);
    let [problem] = loaded.problems() else { panic!("{:?}", loaded.problems()) };
    assert!(problem.path.ends_with("nowhere") && problem.reason.starts_with("cannot read the plugin folder: "), "{problem:?}");
}

/// A worker runs a sealed copy: what happens to the file does not reach it.
#[tokio::test]
async fn a_library_replaced_or_cut_off_under_its_workers_feet_runs_on() {
    let temp = tempfile::tempdir().unwrap();
    let library = temp.path().join("libzoo.so");
    fs::copy(example("zoo"), &library).unwrap();
    let zoo = Zoo::of(&library).await;
    let config = does("well");
    zoo.0.open(job(1, "well", &config));
    assert_eq!(zoo.said(1, LONG).await.0, "ok");
    fs::write(&library, "not a library any more").unwrap();
    assert_eq!(zoo.said(1, LONG).await.0, "ok");
    fs::OpenOptions::new().write(true).open(&library).unwrap().set_len(0).unwrap();
    // A part of it that was not touched so far.
    assert_eq!(zoo.0.examine("beast", &config).await.unwrap().target, "well");
    assert_eq!((zoo.said(1, LONG).await.0, zoo.0.report().crashes), ("ok", 0));
}
