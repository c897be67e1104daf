//! What a file must be before it is loaded: a truncated library kills its loader with SIGBUS, a foreign one wastes its time.

use object::{
    Endianness,
    elf::{ELFCLASS64, ELFDATA2LSB, ET_DYN, FileHeader64, PT_LOAD, SHT_DYNSYM},
    read::elf::{FileHeader, ProgramHeader},
};

/// The symbol by which a library carries agents.
pub const ROOT_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

/// Why a file cannot be a library of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Not ELF at all.
    #[error("it is no shared library (no ELF header)")]
    NotElf,
    /// ELF, of another class, byte order or processor.
    #[error("it was built for another kind of machine")]
    OtherMachine,
    /// An executable or object file.
    #[error("it is an ELF file, but no shared library")]
    NotShared,
    /// Ends before what its headers promise.
    #[error("it is cut off: {has} bytes of at least {promised}")]
    CutOff {
        /// Its length.
        has: u64,
        /// What the headers promise.
        promised: u64,
    },
    /// Headers that contradict themselves.
    #[error("its ELF headers are damaged")]
    Damaged,
    /// A library of something else.
    #[error("it carries no agents (no `export_agents!` in it)")]
    NoAgents,
}

#[cfg(target_arch = "x86_64")]
const MACHINE: object::elf::Machine = object::elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: object::elf::Machine = object::elf::EM_AARCH64;

/// Checks a library's bytes without running any of them.
pub fn precheck(bytes: &[u8]) -> Result<(), Unfit> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Unfit::NotElf);
    }
    if bytes.len() < 64 {
        return Err(Unfit::CutOff { has: bytes.len() as u64, promised: 64 });
    }
    if (bytes[4], bytes[5]) != (ELFCLASS64.0, ELFDATA2LSB.0) {
        return Err(Unfit::OtherMachine);
    }
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(|_| Unfit::Damaged)?;
    let endian = header.endian().map_err(|_| Unfit::OtherMachine)?;
    if header.e_machine(endian) != MACHINE {
        return Err(Unfit::OtherMachine);
    }
    if header.e_type(endian) != ET_DYN {
        return Err(Unfit::NotShared);
    }
    whole(header, endian, bytes)?;
    exports_agents(header, endian, bytes)
}

/// Everything the headers promise must be in the file.
fn whole(header: &FileHeader64<Endianness>, endian: Endianness, bytes: &[u8]) -> Result<(), Unfit> {
    let has = bytes.len() as u64;
    let tables = [
        (header.e_phoff(endian), u64::from(header.e_phentsize(endian)) * u64::from(header.e_phnum(endian))),
        (header.e_shoff(endian), u64::from(header.e_shentsize(endian)) * u64::from(header.e_shnum(endian))),
    ];
    let mut promised = 0;
    for (offset, size) in tables {
        promised = promised.max(offset.checked_add(size).ok_or(Unfit::Damaged)?);
    }
    if promised > has {
        return Err(Unfit::CutOff { has, promised });
    }
    for segment in header.program_headers(endian, bytes).map_err(|_| Unfit::Damaged)? {
        if segment.p_type(endian) == PT_LOAD {
            let end = segment.p_offset(endian).checked_add(segment.p_filesz(endian)).ok_or(Unfit::Damaged)?;
            promised = promised.max(end);
        }
    }
    if promised > has { Err(Unfit::CutOff { has, promised }) } else { Ok(()) }
}

fn exports_agents(header: &FileHeader64<Endianness>, endian: Endianness, bytes: &[u8]) -> Result<(), Unfit> {
    let sections = header.sections(endian, bytes).map_err(|_| Unfit::Damaged)?;
    let symbols = sections.symbols(endian, bytes, SHT_DYNSYM).map_err(|_| Unfit::Damaged)?;
    let found = symbols.iter().any(|symbol| symbols.symbol_name(endian, symbol).is_ok_and(|name| name == ROOT_SYMBOL.as_bytes()));
    if found { Ok(()) } else { Err(Unfit::NoAgents) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_of_agents_is_told_apart() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let other_machine: Vec<u8> = program.iter().enumerate().map(|(at, &byte)| if at == 18 { 8 } else { byte }).collect();
        assert_eq!(
            precheck(
                b"# agents
"
            ),
            Err(Unfit::NotElf)
        );
        assert_eq!(precheck(b""), Err(Unfit::NotElf));
        assert_eq!(precheck(&program[..40]), Err(Unfit::CutOff { has: 40, promised: 64 }));
        assert!(matches!(precheck(&program[..4096]), Err(Unfit::CutOff { .. })));
        assert!(matches!(precheck(&program[..program.len() - 1]), Err(Unfit::CutOff { .. })));
        assert_eq!(precheck(&other_machine), Err(Unfit::OtherMachine));
        assert_eq!(precheck(&program), Err(Unfit::NoAgents));
    }

    #[test]
    fn no_damage_makes_the_check_panic() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let head = &program[..program.len().min(1 << 16)];
        for at in 0..512 {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = head.to_vec();
                damaged[at] = value;
                let _ = precheck(&damaged);
            }
        }
    }
}
