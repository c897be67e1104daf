//! What each piece of work needs from the system, and how it comes to be there.

mod apt;
mod policy;
pub(crate) mod roundup;
mod table;
pub(crate) mod unpack;

pub(crate) use table::{Package, Use};

use crate::arguments::Arguments;
use crate::error::{Error, Outcome};
use crate::privilege::{self, Root};
use crate::{place, process, programs};
use std::process::ExitCode;

/// Runs `packages build|lab|tests|bench [--check]`.
pub(crate) fn run(words: &[String]) -> Outcome<ExitCode> {
    let arguments = Arguments::parse(words, &["check"], &[])?;
    let parsed: Option<Vec<Use>> = arguments.words.iter().map(|word| Use::parse(word)).collect();
    let uses = parsed.filter(|uses| !uses.is_empty());
    let uses = uses.ok_or_else(|| Error::Usage("packages for what? build, lab, tests, bench".into()))?;
    let missing = if arguments.has("check") { missing(&uses) } else { ensure(&uses)? };
    for package in &missing {
        println!("missing: {}", package.name);
    }
    Ok(ExitCode::from(u8::from(!missing.is_empty())))
}

/// Installs what these pieces of work need and the system lacks; gives what is still missing.
///
/// What stays missing has been named on standard error, with the reason.
/// Errors: installation began and failed, or was interrupted.
pub(crate) fn ensure(uses: &[Use]) -> Outcome<Vec<&'static Package>> {
    let wanted = missing(uses);
    if wanted.is_empty() {
        return Ok(wanted);
    }
    let names: Vec<&str> = wanted.iter().map(|package| package.name).collect();
    if programs::find("apt-get").is_none() {
        eprintln!("missing, and there is no apt to install it with: {}", names.join(" "));
        return Ok(wanted);
    }
    let (unpacked, installed): (Vec<&Package>, Vec<&Package>) = wanted.into_iter().partition(|package| package.is_unpacked());
    if !installed.is_empty() {
        install(&installed, uses)?;
    }
    for package in unpacked {
        unpack_or_tell(package)?;
    }
    let left = missing(uses);
    for package in &left {
        eprintln!("still missing: {}", package.name);
    }
    Ok(left)
}

/// Installs packages, or says why that cannot be.
fn install(wanted: &[&Package], uses: &[Use]) -> Outcome {
    let names: Vec<&str> = wanted.iter().map(|package| package.name).collect();
    match privilege::root(&format!("installing {}", names.join(" "))) {
        Ok(Root::Already) => apt::install(&names, &place::built("packages.log")?)?,
        Ok(Root::Sudo) => {
            let mut arguments = vec!["packages".into()];
            arguments.extend(uses.iter().map(|it| it.word().into()));
            process::attend(&mut Root::Sudo.xtask(&arguments)?)?; // what is missing then is told below
        }
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(why) => eprintln!("{why}"),
    }
    Ok(())
}

/// Unpacks a server that is never installed; the lab has all others without it.
fn unpack_or_tell(package: &Package) -> Outcome {
    match package.unpack(&place::built("packages.log")?) {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(why) => {
            eprintln!("{} is not unpacked: {why}", package.name);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Checks that nothing is missing that the build needs.
///
/// Errors: [`Error::Refused`] naming what is.
pub(crate) fn check_build(missing: &[&'static Package]) -> Outcome {
    let build: Vec<&str> = missing.iter().filter(|package| package.serves(Use::Build)).map(|it| it.name).collect();
    if build.is_empty() {
        return Ok(());
    }
    Err(Error::Refused(format!("cannot build without {} (names of Debian)", build.join(", "))))
}

fn missing(uses: &[Use]) -> Vec<&'static Package> {
    let wanted = table::PACKAGES.iter().filter(|package| uses.iter().any(|&it| package.serves(it)));
    let absent = wanted.filter(|package| !package.is_there());
    // A Postfix that would replace the machine's own mail server is unpacked by the lab instead.
    absent.filter(|package| package.name != "postfix" || !unpack::is_wanted()).collect()
}
