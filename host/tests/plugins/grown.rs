//! An interface that has grown, by what is allowed: a method more in two traits, a field more in the module. Libraries and workers of before
//! and after meet in both directions.
//!
//! The interface of tomorrow is a copy of today's with a few lines more; the worker of tomorrow uses them, and so does a library. `tomorrow`
//! builds both, with the dependencies that are built already.

use std::fs;

use crate::{
    heirloom::{Story, library},
    tomorrow::{Change, Tomorrow},
};

/// The interface: two methods with default bodies and a field, each at its end.
const INTERFACE: [Change; 6] = [
    Change {
        file: "src/abi.rs",
        at: "    fn spawn(&self, program: RStr<'_>) -> FfiFuture<FfiResult<FfiChild>>;\n",
        more: "    fn attempt(&self) -> u32 {\n        7\n    }\n",
    },
    Change { file: "src/abi.rs", at: "    fn needs(&self) -> RString;\n", more: "    fn pause(&self) -> u64 {\n        11\n    }\n" },
    Change {
        file: "src/abi.rs",
        at: "    pub create: extern \"C\" fn(RStr<'_>, RStr<'_>) -> FfiResult<RawAgentBox>,\n",
        more: "    #[sabi(missing_field(option))]\n    pub motto: extern \"C\" fn() -> RString,\n",
    },
    Change {
        file: "src/cx.rs",
        at: "impl Cx {\n",
        more: "    /// New.\n    pub fn attempt(&self) -> u32 {\n        self.host.attempt()\n    }\n\n",
    },
    Change {
        file: "src/agent.rs",
        at: "            fn module() -> PluginMod_Ref {\n",
        more: "                extern \"C\" fn motto() -> RString {\n                    \"onwards\".into()\n                }\n",
    },
    Change { file: "src/agent.rs", at: "describe, examine, create", more: ", motto" },
];
/// The host's services: they answer what is asked anew, and ask the agent.
const SERVICES: [Change; 2] = [
    Change { file: "src/run.rs", at: "impl HostCx for Handle {\n", more: "    fn attempt(&self) -> u32 {\n        42\n    }\n\n" },
    Change {
        file: "src/run.rs",
        at: "        run.tell_of_dropped_lines();\n",
        more: "        let mut outcome = outcome;\n        let (severity, text) = (watchpost_plugin_api::Severity::Minor, agent.pause().to_string());\n        \
               outcome.events.push(crate::outcome::Event { severity, code: \"pause\".into(), text });\n",
    },
];
/// The worker: it asks the module for its new field, and shows it where everybody sees it.
const WORKER: [Change; 1] = [Change {
    file: "src/load.rs",
    at: "        let descriptor = serde_json::from_str(&descriptor).map_err(|error| Refusal::Silent(error.to_string()))?;\n",
    more: "        let mut descriptor: LibraryDescriptor = descriptor;\n        descriptor.about = module.motto().map_or_else(|| \
           \"no motto\".to_owned(), |motto| motto().into_string());\n",
}];
/// The library: it records what it could not ask for before.
const LIBRARY: [Change; 1] = [Change { file: "src/lib.rs", at: "cx.record(SEEN, said.stdout.len()", more: " * cx.attempt() as usize" }];

#[tokio::test(flavor = "multi_thread")]
async fn libraries_and_workers_of_before_and_after_the_interface_grew_meet_in_both_directions() {
    let tomorrow = Tomorrow::new();
    let api = tomorrow.library("watchpost_plugin_api", "plugin-api", &INTERFACE, "1.1.0", &[]);
    let agent = tomorrow.plugin("heirloom", "plugin-api/frozen", &LIBRARY, &[&api]);
    let services = tomorrow.library("watchpost_services", "host/services", &SERVICES, "0.1.0", &[&api]);
    let loads = tomorrow.library("watchpost_worker", "host/worker", &WORKER, "0.1.0", &[&api, &services]);
    let worker = tomorrow.program("host/worker", &[&api, &services, &loads]);

    // Before and after: the method that this worker lacks does what its default body says.
    let newer_library = Story::new(&agent, None).await;
    newer_library.holds(7.0).await;
    assert_eq!(newer_library.paused(), None);

    // After and before: the library lacks method and field, and is what it always was.
    if let Some(library) = library() {
        let newer_worker = Story::new(&library, Some(&worker)).await;
        newer_worker.holds(1.0).await;
        assert_eq!(newer_worker.paused().as_deref(), Some("11"));
        assert_eq!(newer_worker.about(), "no motto");
    }

    // After and after.
    let both = Story::new(&agent, Some(&worker)).await;
    both.holds(42.0).await;
    assert_eq!((both.paused().as_deref(), both.about().as_str()), (Some("11"), "onwards"));
    fs::remove_dir_all(tomorrow.folder()).unwrap();
}
