//! An interface that has grown: a later minor version, with one entry more behind the frozen ones.

#![allow(missing_docs, non_camel_case_types, non_local_definitions, unreachable_pub, reason = "what abi_stable's derives generate")]
#![allow(dead_code, reason = "a test uses the type, the library uses its functions")]

use abi_stable::{StableAbi, library::RootModule, package_version_strings, sabi_types::VersionStrings};
use watchpost_plugin_api::abi::{FfiResult, RErr, RStr, RString, RawAgentBox};
use watchpost_plugin_api::{AgentError, LibraryDescriptor};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginMod_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginMod {
    pub panic_unwind: bool,
    pub describe: extern "C" fn() -> FfiResult<RString>,
    pub examine: extern "C" fn(RStr<'_>, RStr<'_>) -> FfiResult<RString>,
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(RStr<'_>, RStr<'_>) -> FfiResult<RawAgentBox>,
    #[sabi(missing_field(option))]
    pub pause: extern "C" fn() -> u32,
}

impl RootModule for PluginMod_Ref {
    abi_stable::declare_root_module_statics! {PluginMod_Ref}
    const BASE_NAME: &'static str = "watchpost_plugin";
    const NAME: &'static str = "watchpost plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

extern "C" fn describe() -> FfiResult<RString> {
    let described = LibraryDescriptor { package: "grown".into(), about: "Nothing".into(), ..LibraryDescriptor::default() };
    serde_json::to_string(&described).map(RString::from).map_err(|error| AgentError::local(error.to_string()).into()).into()
}

extern "C" fn examine(_agent: RStr<'_>, _config: RStr<'_>) -> FfiResult<RString> {
    RErr(AgentError::local("nothing to examine").into())
}

extern "C" fn create(_agent: RStr<'_>, _config: RStr<'_>) -> FfiResult<RawAgentBox> {
    RErr(AgentError::local("nothing to make").into())
}

extern "C" fn pause() -> u32 {
    7
}

/// The library's side of it.
pub fn module() -> PluginMod {
    PluginMod { panic_unwind: true, describe, examine, create, pause }
}
