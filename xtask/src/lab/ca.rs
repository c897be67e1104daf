//! The lab's certificate authority, and certificates good and bad.

use super::Lab;
use crate::error::{Error, Outcome, doing};
use crate::{place, process, programs};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Names the good certificate is valid for.
const GOOD_NAMES: &str = "DNS:mail.lab.test,DNS:localhost,DNS:*.lab.test,IP:127.0.0.1";
/// A name no server of the lab has.
const WRONG_NAMES: &str = "DNS:wrong.example";
/// Who vouches for the lab's servers, and who for the one that nobody is told to trust.
const CA_SUBJECTS: [(&str, &str); 2] = [("ca", "/O=Watchpost lab/CN=Lab CA"), ("other-ca", "/O=Somebody else/CN=Other CA")];
const CA_DAYS: &str = "3650";
const GOOD_DAYS: &str = "365";
/// A span that has passed, as openssl-ca(1) writes times.
const EXPIRED: [&str; 4] = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
/// What openssl-ca(1), the only command that takes a start date, wants to be told.
const AUTHORITY: &str = "\
[ca]
default_ca = lab
[lab]
database = work/index
new_certs_dir = work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = supplied
";
/// A certificate that ends within this many seconds is made anew.
const RENEW_BEFORE_SECONDS: &str = "86400";

/// Makes the authority and all certificates unless good ones are there.
///
/// Files below `ca/`: `ca.pem`; `server.pem`, the chain servers present; `wrong-name.pem`,
/// `expired.pem`, `unknown-ca.pem`, those of faulty doors; for each a `.key` of mode 0600.
pub(crate) fn make(lab: &Lab) -> Outcome {
    let folder = lab.made("ca")?;
    if is_good(&folder) {
        return Ok(());
    }
    if programs::find("openssl").is_none() {
        return Err(Error::Refused("there is no openssl to make certificates with".into()));
    }
    for (name, subject) in CA_SUBJECTS {
        authority(&folder, name, subject)?;
    }
    signed(&folder, "ca", "server", GOOD_NAMES, &["-days", GOOD_DAYS])?;
    signed(&folder, "ca", "wrong-name", WRONG_NAMES, &["-days", GOOD_DAYS])?;
    signed(&folder, "ca", "expired", GOOD_NAMES, &EXPIRED)?;
    signed(&folder, "other-ca", "unknown-ca", GOOD_NAMES, &["-days", GOOD_DAYS])
}

fn is_good(folder: &Path) -> bool {
    let last = folder.join("unknown-ca.pem"); // made last: the others are there
    let mut check = Command::new("openssl");
    check.args(["x509", "-noout", "-checkend", RENEW_BEFORE_SECONDS, "-in"]);
    last.exists() && process::output(check.arg(folder.join("server.pem"))).is_ok()
}

fn authority(folder: &Path, name: &str, subject: &str) -> Outcome {
    let mut request = new_key(folder, name, subject);
    request.args(["-x509", "-days", CA_DAYS, "-out", &format!("{name}.pem")]);
    process::output(&mut request)?;
    close(folder, name)
}

fn signed(folder: &Path, by: &str, name: &str, names: &str, span: &[&str]) -> Outcome {
    let work = folder.join("work");
    fs::create_dir_all(&work).map_err(doing("make a folder for requests"))?;
    let extensions = format!(
        "subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n\
         keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
    );
    for (file, text) in [("authority", AUTHORITY), ("extensions", &extensions), ("index", "")] {
        fs::write(work.join(file), text).map_err(doing("write a certificate request"))?;
    }
    let subject = "/O=Watchpost lab/CN=mail.lab.test";
    process::output(new_key(folder, name, subject).args(["-out", "work/request"]))?;
    let mut sign = Command::new("openssl");
    sign.current_dir(folder).args(["ca", "-batch", "-notext", "-config", "work/authority"]);
    let (issuer, issuer_key) = (format!("{by}.pem"), format!("{by}.key"));
    sign.args(["-cert", &issuer, "-keyfile", &issuer_key]);
    sign.args(["-outdir", "work", "-in", "work/request", "-extfile", "work/extensions"]);
    process::output(sign.args(span).args(["-out", "work/leaf"]))?;
    let read = |file: &str| fs::read(folder.join(file)).map_err(doing("read a certificate"));
    let chain = [read("work/leaf")?, read(&issuer)?].concat();
    fs::write(folder.join(format!("{name}.pem")), chain).map_err(doing("write a chain"))?;
    fs::remove_dir_all(&work).map_err(doing("tidy the certificates"))?;
    close(folder, name)
}

fn new_key(folder: &Path, name: &str, subject: &str) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
    command.args(["-nodes", "-subj", subject, "-keyout", &format!("{name}.key")]);
    command
}

fn close(folder: &Path, name: &str) -> Outcome {
    place::set_mode(&folder.join(format!("{name}.key")), 0o600)?;
    place::set_mode(&folder.join(format!("{name}.pem")), 0o644)
}
