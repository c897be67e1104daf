//! A library of another major version of the interface than ours.

#![allow(missing_docs, non_camel_case_types, non_local_definitions, reason = "what abi_stable's derives generate")]
#![expect(unsafe_code, reason = "exports the header by hand, with another version in it")]

use abi_stable::{
    StableAbi,
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult},
    prefix_type::PrefixTypeTrait,
    sabi_types::VersionStrings,
    std_types::RStr,
};

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginMod_Ref)))]
pub struct PluginMod {
    #[sabi(last_prefix_field)]
    pub panic_unwind: bool,
}

impl RootModule for PluginMod_Ref {
    abi_stable::declare_root_module_statics! {PluginMod_Ref}
    const BASE_NAME: &'static str = "watchpost_plugin";
    const NAME: &'static str = "watchpost plugin";
    const VERSION_STRINGS: VersionStrings = VersionStrings { version: RStr::from_str("2.0.0") };
}

extern "C" fn erased() -> RootModuleResult {
    __call_root_module_loader(|| PluginMod { panic_unwind: true }.leak_into_prefix())
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static WATCHPOST_PLUGIN: LibHeader = unsafe { LibHeader::from_constructor::<PluginMod_Ref>(erased, CheckTypeLayout::Yes) };
