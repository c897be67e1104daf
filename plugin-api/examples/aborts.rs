//! A library that says of itself what `export_agents!` says in a build with panic = "abort".

#![expect(unsafe_code, reason = "exports the header by hand, as `export_agents!` does")]

use watchpost_plugin_api::{
    __private::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult, leak},
    AgentError,
    abi::{FfiResult, PluginMod, PluginMod_Ref, RErr, RStr, RString, RawAgentBox},
};

fn nothing<T>() -> FfiResult<T> {
    RErr(AgentError::local("this library is never asked").into())
}

extern "C" fn describe() -> FfiResult<RString> {
    nothing()
}

extern "C" fn examine(_agent: RStr<'_>, _config: RStr<'_>) -> FfiResult<RString> {
    nothing()
}

extern "C" fn create(_agent: RStr<'_>, _config: RStr<'_>) -> FfiResult<RawAgentBox> {
    nothing()
}

extern "C" fn erased() -> RootModuleResult {
    __call_root_module_loader(|| leak(PluginMod { panic_unwind: false, describe, examine, create }))
}

/// What a worker looks for.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static WATCHPOST_PLUGIN: LibHeader =
    // SAFETY: the constructor gives the very module whose type is named here.
    unsafe { LibHeader::from_constructor::<PluginMod_Ref>(erased, CheckTypeLayout::Yes) };
