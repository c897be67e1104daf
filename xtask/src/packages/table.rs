//! Debian's packages, what each is for, and how to see that it is there.

use super::{roundup, unpack};
use crate::error::Outcome;
use crate::programs;
use std::fs;
use std::path::Path;

/// A piece of work that needs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Build,
    Lab,
    Tests,
    /// What benches compare with.
    Bench,
}

impl Use {
    /// Reads the word of the command line.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Use::Build, Use::Lab, Use::Tests, Use::Bench].into_iter().find(|it| it.word() == word)
    }

    /// Gives the word of the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Use::Build => "build",
            Use::Lab => "lab",
            Use::Tests => "tests",
            Use::Bench => "bench",
        }
    }
}

/// What shows that a package's content is there, whoever installed it.
#[derive(Debug)]
enum Sign {
    /// A program of this name.
    Program(&'static str),
    /// A file.
    File(&'static str),
    /// A shared library whose file name begins so, in one of the [`LIBRARY_FOLDERS`].
    Library(&'static str),
    /// The tree of a mail server that is never installed, for it would remove the machine's own ([`unpack::exim`]).
    Exim,
    /// The tree of a program that Debian has no package of ([`roundup::tree`]).
    Roundup,
}

/// A Debian package, or what stands in for one.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    sign: Sign,
    uses: &'static [Use],
}

/// Where shared libraries are; `*` stands for any one folder.
const LIBRARY_FOLDERS: [&str; 7] =
    ["/usr/lib", "/usr/lib64", "/usr/lib/*", "/usr/lib/*/lib", "/usr/lib/*/rsyslog", "/usr/lib/php/*", "/usr/local/lib"];

use Sign::{Exim, File, Library, Program, Roundup};
use Use::{Bench, Build, Lab, Tests};

/// All packages. The compiler and the headers of librrd and libclang (bindgen reads the former
/// with the latter) build the product; servers make the lab; the rest are instruments of tests,
/// and servers that a newcomer's demo does not wait for: PHP and Roundcube take half a minute to
/// install. Of what may run PHP pages, which Roundcube insists on, php-cgi is no server.
pub(crate) const PACKAGES: &[Package] = &[
    Package { name: "gcc", sign: Program("cc"), uses: &[Build] },
    Package { name: "libc6-dev", sign: File("/usr/include/stdio.h"), uses: &[Build] },
    Package { name: "pkg-config", sign: Program("pkg-config"), uses: &[Build] },
    Package { name: "librrd-dev", sign: File("/usr/include/rrd.h"), uses: &[Build] },
    Package { name: "libclang-dev", sign: Library("libclang"), uses: &[Build] },
    Package { name: "openssl", sign: Program("openssl"), uses: &[Lab, Tests] },
    Package { name: "postfix", sign: Program("postfix"), uses: &[Lab] },
    Package { name: unpack::EXIM, sign: Exim, uses: &[Lab] },
    Package { name: "dovecot-imapd", sign: File("/usr/lib/dovecot/imap"), uses: &[Lab] },
    Package { name: "dovecot-pop3d", sign: File("/usr/lib/dovecot/pop3"), uses: &[Lab] },
    Package { name: "dovecot-lmtpd", sign: File("/usr/lib/dovecot/lmtp"), uses: &[Lab] },
    Package { name: "dovecot-submissiond", sign: File("/usr/lib/dovecot/submission"), uses: &[Lab] },
    Package { name: "dovecot-ldap", sign: File("/usr/lib/dovecot/modules/auth/libauthdb_ldap.so"), uses: &[Lab] },
    Package { name: "bind9", sign: Program("named"), uses: &[Lab] },
    Package { name: "bind9-utils", sign: Program("named-checkzone"), uses: &[Tests] },
    Package { name: "bind9-dnsutils", sign: Program("dig"), uses: &[Tests] },
    Package { name: "rrdtool", sign: Program("rrdtool"), uses: &[Tests, Bench] },
    Package { name: "rrdcached", sign: Program("rrdcached"), uses: &[Tests, Bench] },
    Package { name: "collectd-core", sign: Program("collectd"), uses: &[Tests, Bench] },
    Package { name: "prometheus", sign: Program("promtool"), uses: &[Tests, Bench] },
    Package { name: "prometheus-alertmanager", sign: Program("prometheus-alertmanager"), uses: &[Tests] },
    Package { name: "icinga2-bin", sign: Program("icinga2"), uses: &[Tests] },
    Package { name: "snmptrapd", sign: Program("snmptrapd"), uses: &[Tests] },
    Package { name: "smitools", sign: Program("smilint"), uses: &[Tests] },
    Package { name: "rsyslog", sign: Program("rsyslogd"), uses: &[Tests] },
    Package { name: "rsyslog-gnutls", sign: Library("lmnsd_gtls"), uses: &[Tests] },
    Package { name: "swaks", sign: Program("swaks"), uses: &[Tests] },
    Package { name: "curl", sign: Program("curl"), uses: &[Tests] },
    Package { name: "pflogsumm", sign: Program("pflogsumm"), uses: &[Tests, Bench] },
    Package { name: "faketime", sign: Program("faketime"), uses: &[Tests] },
    Package { name: "slapd", sign: Program("slapd"), uses: &[Lab] },
    Package { name: "php-cli", sign: Program("php"), uses: &[Tests] },
    Package { name: "php-cgi", sign: Program("php-cgi"), uses: &[Tests] },
    Package { name: "roundcube-core", sign: File("/var/lib/roundcube/public_html/index.php"), uses: &[Tests] },
    Package { name: "roundcube-sqlite3", sign: Library("pdo_sqlite"), uses: &[Tests] },
    Package { name: "ldap-utils", sign: Program("ldapsearch"), uses: &[Tests] },
    Package { name: "iproute2", sign: Program("ss"), uses: &[Tests] },
    Package { name: "mtail", sign: Program("mtail"), uses: &[Bench] },
    Package { name: "monitoring-plugins-basic", sign: File("/usr/lib/nagios/plugins/check_imap"), uses: &[Tests, Bench] },
    Package { name: "monitoring-plugins-standard", sign: File("/usr/lib/nagios/plugins/check_dig"), uses: &[Tests] },
    Package { name: "prometheus-blackbox-exporter", sign: Program("prometheus-blackbox-exporter"), uses: &[Bench] },
    Package { name: "python3", sign: File(roundup::PYTHON), uses: &[Tests] },
    Package { name: "python3-pip", sign: File("/usr/lib/python3/dist-packages/pip/__init__.py"), uses: &[Tests] },
    Package { name: roundup::ROUNDUP, sign: Roundup, uses: &[Tests] },
    Package { name: "request-tracker5", sign: File("/usr/share/request-tracker5/libexec/rt-server"), uses: &[Tests] },
    Package { name: "rt5-db-sqlite", sign: File("/usr/share/doc/rt5-db-sqlite/copyright"), uses: &[Tests] },
    Package { name: "rt5-standalone", sign: File("/usr/share/perl5/Plack/Handler/Starlet.pm"), uses: &[Tests] },
    Package { name: "mandoc", sign: Program("mandoc"), uses: &[Tests] },
    Package { name: "zsh", sign: Program("zsh"), uses: &[Tests] },
    Package { name: "fish", sign: Program("fish"), uses: &[Tests] },
    Package { name: "systemd-journal-remote", sign: File("/usr/lib/systemd/systemd-journal-remote"), uses: &[Tests] },
    Package { name: "systemd", sign: Program("systemd-analyze"), uses: &[Tests] },
];

impl Package {
    /// Tells whether a piece of work needs it.
    pub(crate) fn serves(&self, use_: Use) -> bool {
        self.uses.contains(&use_)
    }

    /// Tells whether it is only unpacked, never installed.
    pub(crate) fn is_unpacked(&self) -> bool {
        matches!(self.sign, Exim | Roundup)
    }

    /// Unpacks it, if it is one that is only unpacked.
    pub(crate) fn unpack(&self, log: &Path) -> Outcome {
        match self.sign {
            Exim => unpack::fetch_exim(log),
            Roundup => roundup::fetch(log),
            Program(_) | File(_) | Library(_) => Ok(()),
        }
    }

    /// Tells whether its content is on this machine.
    pub(crate) fn is_there(&self) -> bool {
        match self.sign {
            Program(name) => programs::find(name).is_some(),
            File(path) => Path::new(path).exists(),
            Library(name) => LIBRARY_FOLDERS.iter().any(|folder| holds_library(folder, name)),
            Exim => unpack::exim().is_some(),
            Roundup => roundup::tree().is_some(),
        }
    }
}

fn holds_library(folder: &str, name: &str) -> bool {
    let Some((parent, below)) = folder.split_once("/*") else {
        return holds(Path::new(folder), name);
    };
    let Ok(entries) = fs::read_dir(parent) else {
        return false;
    };
    let below = below.trim_start_matches('/');
    entries.flatten().any(|entry| holds(&entry.path().join(below), name))
}

fn holds(folder: &Path, name: &str) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| is_library(&entry.file_name().to_string_lossy(), name))
}

/// Tells whether a file name is `<name>.so…` or `<name>-<version>.so…`: `libclang-cpp.so.14` is another library.
fn is_library(file: &str, name: &str) -> bool {
    let Some(rest) = file.strip_prefix(name) else { return false };
    let version = rest.strip_prefix('-').is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()));
    rest.starts_with(".so") || version && rest.contains(".so")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::SERVERS;

    #[test]
    fn every_package_is_named_once_and_for_some_work() {
        for (index, package) in PACKAGES.iter().enumerate() {
            assert!(!package.uses.is_empty(), "{}", package.name);
            let again = PACKAGES[index + 1..].iter().any(|other| other.name == package.name);
            assert!(!again, "{}", package.name);
        }
    }

    #[test]
    fn every_server_of_the_lab_has_its_packages_in_the_table() {
        for name in SERVERS.iter().flat_map(|server| server.packages()) {
            let listed = PACKAGES.iter().any(|it| it.name == *name && (it.serves(Use::Lab) || it.serves(Use::Tests)));
            assert!(listed, "{name}");
        }
    }

    #[test]
    fn a_librarys_versions_count_and_its_relatives_do_not() {
        for file in ["libclang.so", "libclang-14.so.1", "libclang.so.14"] {
            assert!(is_library(file, "libclang"), "{file}");
        }
        for file in ["libclangBasic.a", "libclang-cpp.so.14", "libclangd.so", "libclan.so"] {
            assert!(!is_library(file, "libclang"), "{file}");
        }
    }

    #[test]
    fn a_library_is_found_below_a_versioned_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("llvm-14/lib")).unwrap();
        let pattern = format!("{}/*/lib", folder.path().display());
        assert!(!holds_library(&pattern, "libclang"));
        fs::write(folder.path().join("llvm-14/lib/libclang.so.1"), "").unwrap();
        assert!(holds_library(&pattern, "libclang"));
    }
}
