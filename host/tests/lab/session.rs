//! What `measure` shows of a real session, and what it never shows.

use std::{fs, path::Path};

use crate::{demo::Demo, programs};

#[test]
fn an_explained_login_shows_every_step_and_nowhere_the_password() {
    let Some(demo) = Demo::shared() else { return };
    let (password, bob) = (demo.lab.password("alice"), demo.lab.password("bob"));
    let plain = programs::fed("base64", &["-w0"], &format!("\0alice@lab.test\0{password}")).0;
    let login = programs::fed("base64", &["-w0"], &password).0;
    assert!(plain.len() > 40 && login.len() > 20, "{plain} {login}");
    let secrets = [password, plain, login, bob];

    let text = demo.house.run(&["measure", "submission", "--explain"]);
    assert!(text.code == Some(0) && text.err.is_empty(), "{text:?}");
    let steps = ["<-- 220 mail.lab.test", "--> EHLO", "--> STARTTLS", " *  TLSv1.3", "--> AUTH PLAIN", "--> MAIL FROM:<alice@lab.test>"];
    let steps = steps.into_iter().chain(["--> RCPT TO:<bob@lab.test>", "--> RSET", "--> QUIT", "status: ok", "nothing was stored"]);
    let mut rest = text.out.as_str();
    for step in steps {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} at its place in:\n{}", text.out)).1;
    }
    let json = demo.house.run(&["measure", "submission", "--json"]);
    let parsed: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(parsed["dialogue"].as_array().is_some_and(|said| said.len() > 20), "{}", json.out);
    for secret in &secrets {
        for said in [&text.out, &json.out, &json.err] {
            assert!(!said.contains(secret), "a password is shown:\n{said}");
        }
        assert_eq!(file_with(demo.house.folder(), secret.as_bytes()), None, "a password is written down");
    }
}

/// A file below a folder that holds these bytes: journal, series, catalogue, log.
fn file_with(folder: &Path, bytes: &[u8]) -> Option<std::path::PathBuf> {
    let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.find_map(|path| {
        let kind = fs::symlink_metadata(&path).ok()?.file_type();
        if kind.is_dir() {
            return file_with(&path, bytes);
        }
        let held = if kind.is_file() { fs::read(&path).ok()? } else { return None };
        held.windows(bytes.len()).any(|window| window == bytes).then_some(path)
    })
}
