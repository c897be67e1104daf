//! What a test must know of a lab: where it is, its ports, its faulty addresses, its authority, its users.

use super::faulty::FAULTY;
use super::{Lab, SERVERS, accounts};
use crate::error::Outcome;
use std::fmt::Write;

/// The file in the lab's folder that holds the facts.
pub(crate) const FILE: &str = "lab.json";

/// Writes the facts into the lab's folder.
pub(crate) fn write(lab: &Lab) -> Outcome {
    lab.write(&lab.dir.join(FILE), &json(lab))
}

/// Gives the facts as one JSON object.
pub(crate) fn json(lab: &Lab) -> String {
    let ports = SERVERS.iter().flat_map(|server| server.ports());
    let ports = ports.map(|port| format!("    {}: {}", quoted(port.name), lab.port(port)));
    let users = accounts::MAILBOXES.map(|user| {
        let address = quoted(&format!("{user}@{}", accounts::DOMAIN));
        let file = quoted(&accounts::password_file(lab, user).display().to_string());
        format!("    {}: {{ \"address\": {address}, \"password_file\": {file} }}", quoted(user))
    });
    let faulty = FAULTY.map(|faulty| format!("    {}: \"{}\"", quoted(faulty.name), faulty.address));
    let path = |name: &str| quoted(&lab.dir.join(name).display().to_string());
    format!(
        "{{\n  \"dir\": {},\n  \"host\": \"127.0.0.1\",\n  \"server_name\": \"mail.lab.test\",\n  \
         \"domain\": {},\n  \"ca_file\": {},\n  \"certificates\": {},\n  \"doveadm_key_file\": {},\n  \"ports\": {{\n{}\n  }},\n  \
         \"faulty\": {{\n{}\n  }},\n  \"users\": {{\n{}\n  }}\n}}\n",
        quoted(&lab.dir.display().to_string()),
        quoted(accounts::DOMAIN),
        path("ca/ca.pem"),
        path("ca"),
        quoted(&accounts::password_file(lab, accounts::DOVEADM).display().to_string()),
        ports.collect::<Vec<_>>().join(",\n"),
        faulty.join(",\n"),
        users.join(",\n"),
    )
}

/// Gives the facts as lines of `KEY=VALUE`.
pub(crate) fn env(lab: &Lab) -> String {
    let dir = lab.dir.display();
    let mut lines = format!("WATCHPOST_LAB_DIR={dir}\nWATCHPOST_LAB_HOST=127.0.0.1\n");
    lines += &format!("WATCHPOST_LAB_DOMAIN={}\nWATCHPOST_LAB_CA_FILE={dir}/ca/ca.pem\n", accounts::DOMAIN);
    for port in SERVERS.iter().flat_map(|server| server.ports()) {
        lines += &format!("WATCHPOST_LAB_PORT_{}={}\n", port.name.to_uppercase(), lab.port(port));
    }
    for faulty in &FAULTY {
        lines += &format!("WATCHPOST_LAB_FAULTY_{}={}\n", faulty.name.to_uppercase(), faulty.address);
    }
    for user in accounts::MAILBOXES {
        let file = accounts::password_file(lab, user);
        lines += &format!("WATCHPOST_LAB_PASSWORD_FILE_{}={}\n", user.to_uppercase(), file.display());
    }
    lines += &format!("WATCHPOST_LAB_DOVEADM_KEY_FILE={}\n", accounts::password_file(lab, accounts::DOVEADM).display());
    lines
}

/// Writes a JSON string. Source: RFC 8259 7.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => {
                write!(out, "\\u{:04x}", u32::from(control)).ok(); // a String takes everything
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::ports::Ports;

    #[test]
    fn json_strings_escape_what_json_must() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\u000ad\"");
    }

    #[test]
    fn every_port_faulty_address_and_user_is_told_in_both_forms() {
        let lab = Lab { dir: "/srv/lab".into(), ports: Ports::at(20_000) };
        let (json, env) = (json(&lab), env(&lab));
        assert!(json.contains("\"smtp\": 20025") && env.contains("WATCHPOST_LAB_PORT_SMTP=20025\n"));
        assert!(json.contains("\"dir\": \"/srv/lab\""), "{json}");
        for faulty in &FAULTY {
            assert!(json.contains(&format!("\"{}\": \"{}\"", faulty.name, faulty.address)), "{json}");
            assert!(env.contains(&format!("FAULTY_{}={}\n", faulty.name.to_uppercase(), faulty.address)), "{env}");
        }
        for user in accounts::MAILBOXES {
            let file = format!("/srv/lab/secrets/{user}");
            assert!(json.contains(&file) && env.contains(&file), "{user}");
        }
        let key = "/srv/lab/secrets/doveadm";
        assert!(json.contains(&format!("\"doveadm_key_file\": \"{key}\"")) && env.contains(&format!("DOVEADM_KEY_FILE={key}\n")), "{env}");
    }
}
