//! An interface that has grown: a later minor version, with one entry more behind the frozen ones.

#![expect(unsafe_code, reason = "exports the header by hand, as `export_agents!` does")]

mod module;

use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult},
    prefix_type::PrefixTypeTrait,
};
use module::PluginMod_Ref;

extern "C" fn erased() -> RootModuleResult {
    __call_root_module_loader(|| module::module().leak_into_prefix())
}

/// What a worker looks for.
#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static WATCHPOST_PLUGIN: LibHeader =
    // SAFETY: the constructor gives the very module whose type is named here.
    unsafe { LibHeader::from_constructor::<PluginMod_Ref>(erased, CheckTypeLayout::Yes) };
