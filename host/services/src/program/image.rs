//! A program as the kernel is told of it: made before a fork, for nothing can be made between that and exec.

#![expect(unsafe_code, reason = "the kernel takes pointers to texts")]

use std::{
    collections::BTreeMap,
    ffi::{CString, NulError, c_char},
    io, iter,
    os::unix::ffi::OsStrExt,
    ptr,
};

use watchpost_plugin_api::Program;

/// A program, its arguments and its environment.
pub(super) struct Image {
    path: CString,
    arguments: Texts,
    environment: Texts,
}

/// Texts and the list of pointers to them that ends with none.
struct Texts {
    list: Vec<*const c_char>,
    /// What the list points to.
    _held: Vec<CString>,
}

// SAFETY: what the list points to is held beside it, never changed, and dropped with it.
unsafe impl Send for Texts {}
// SAFETY: as above.
unsafe impl Sync for Texts {}

impl Texts {
    fn of(texts: impl Iterator<Item = Result<CString, NulError>>) -> Result<Self, NulError> {
        let held = texts.collect::<Result<Vec<CString>, _>>()?;
        let list = held.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { list, _held: held })
    }
}

impl Image {
    /// That of a program; its own environment goes before what every program has.
    ///
    /// Errors: a NUL is in one of the texts.
    pub(super) fn of(program: &Program, everybodys: [(&str, &str); 2]) -> Result<Self, NulError> {
        let path = CString::new(program.path.as_os_str().as_bytes())?;
        let arguments = program.arguments.iter().map(|argument| CString::new(argument.as_str()));
        let its_own = program.environment.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let environment: BTreeMap<&str, &str> = everybodys.into_iter().chain(its_own).collect();
        Ok(Self {
            arguments: Texts::of(iter::once(Ok(path.clone())).chain(arguments))?,
            environment: Texts::of(environment.into_iter().map(|(key, value)| CString::new(format!("{key}={value}"))))?,
            path,
        })
    }

    /// Has this process become it; for what runs between fork and exec: one system call.
    ///
    /// Errors: why it did not.
    pub(super) fn replace_us(&self) -> io::Error {
        // SAFETY: the path and both lists end as execve wants it, and what they point to is held.
        unsafe { libc::execve(self.path.as_ptr(), self.arguments.list.as_ptr(), self.environment.list.as_ptr()) };
        io::Error::last_os_error()
    }
}
