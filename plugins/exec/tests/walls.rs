//! A plugin knows the interface, serde, schemars and pure codecs, and nothing of the host.

#[test]
fn the_plugin_depends_on_the_interface_only() {
    let manifest: toml::Table = toml::from_str(include_str!("../Cargo.toml")).unwrap();
    let known: Vec<&str> = manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(known, ["schemars", "serde", "serde_json", "watchpost-exposition", "watchpost-plugin-api"]);
}
