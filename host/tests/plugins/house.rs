//! A house with the zoo in its plugin folder, and what `status` tells of it.

use std::fs;

use serde_json::Value;

use crate::{harness::House, zoo::example};

/// A house whose plugin folder holds these, `name` → bytes of a file, and the good examples.
pub(crate) fn house(schedule: &str, bad: &[(&str, &[u8])]) -> House {
    let house = House::new(schedule);
    let plugins = house.folder().join("plugins");
    fs::create_dir(&plugins).unwrap();
    for name in ["tame", "zoo"] {
        fs::copy(example(name), plugins.join(format!("lib{name}.so"))).unwrap();
    }
    for (name, bytes) in bad {
        fs::write(plugins.join(name), bytes).unwrap();
    }
    fs::write(house.folder().join("watchpost.toml"), "listen = \"127.0.0.1:0\"\nplugins = [\"plugins\"]\nschedules = [\"jobs.toml\"]\n")
        .unwrap();
    house
}

/// What `status` tells.
pub(crate) fn status(house: &House) -> Value {
    serde_json::from_str(&house.run(&["status", "--json"]).ok()).unwrap()
}

/// A plugin's worker, as told.
pub(crate) fn worker<'a>(status: &'a Value, plugin: &str) -> &'a Value {
    status["workers"].as_array().unwrap().iter().find(|worker| worker["plugin"] == plugin).unwrap()
}

/// A job, as told.
pub(crate) fn job<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["jobs"].as_array().unwrap().iter().find(|job| job["name"] == name).unwrap()
}
