//! Libraries and hosts of different versions of the interface meet.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::PathBuf;

use watchpost_worker::load::{Library, Refusal, module};

#[path = "../examples/changed/module.rs"]
mod changed;
#[path = "../examples/grown/module.rs"]
mod grown;

fn example(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("examples");
    folder.join(format!("lib{name}.so"))
}

#[test]
fn a_library_of_a_later_minor_version_loads() {
    let library = Library::load(&example("grown")).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert_eq!(library.descriptor().package, "grown");
}

#[test]
fn a_library_of_an_earlier_minor_version_loads_and_lacks_what_came_later() {
    let newer: grown::PluginMod_Ref = module(&example("grown")).unwrap();
    assert_eq!(newer.pause().map(|pause| pause()), Some(7));
    // This library was built against the interface of today; seen from a host that has grown, it is the older one.
    let older: grown::PluginMod_Ref = module(&example("plain")).unwrap_or_else(|refusal| panic!("{refusal}"));
    assert!(older.panic_unwind());
    assert!(older.pause().is_none());
    assert!(older.describe()().into_result().unwrap().contains("plain"));
}

#[test]
fn a_library_of_another_layout_is_refused_in_both_directions() {
    let theirs = Library::load(&example("changed")).err();
    let ours = module::<changed::PluginMod_Ref>(&example("plain")).err();
    for refusal in [theirs, ours] {
        let Some(refusal @ Refusal::Layout(_)) = refusal else { panic!("{refusal:?}") };
        let text = refusal.to_string();
        assert!(text.starts_with("it was built for another version of the agent interface: "), "{text}");
        assert!(text.len() < 1000, "{text}");
    }
}

#[test]
fn a_library_whose_panics_abort_is_refused() {
    let refusal = Library::load(&example("aborts")).err().map(|refusal| refusal.to_string());
    assert_eq!(refusal.as_deref(), Some("it was built with panic = \"abort\"; build it with panic = \"unwind\""));
}
