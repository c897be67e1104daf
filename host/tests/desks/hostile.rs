//! Hostile texts are texts in a ticket, and on the page that a browser shows of it.

use crate::{
    desk::{CHANNEL, Desk, on_each},
    watched::Watched,
};

on_each!(templates_markup_and_lines_are_inert, a_message_of_great_length_is_cut_and_inert);

/// Would be 49 if anybody reckoned, and a program if a browser read it.
const HOSTILE: &str = "{{ 7 * 7 }}<script>alert(1)</script><img src=x onerror=alert(2)>'\"}],%0d%0aBcc: x@evil.test";

fn templates_markup_and_lines_are_inert<D: Desk>() {
    let texts = (format!("site = {HOSTILE:?}"), format!("instruction = {HOSTILE:?}"));
    let Some(watched) = Watched::<D>::start(&texts.0, &texts.1, "") else { return };
    watched.dies();
    let ticket = watched.ticket("made", |_| true);
    let made = watched.desk.texts(&ticket.id).concat();
    assert_eq!(made.matches(HOSTILE).count(), 2, "label and instruction, as they are: {made}");

    let said = format!("first\r\nBcc: x@evil.test\r\n\r\n{HOSTILE} last");
    watched.annotate(&said);
    let told = watched.ticket_text(&ticket.id, "first");
    let line = told.lines().find(|line| line.contains("first")).unwrap();
    assert!(line.contains("Bcc: x@evil.test") && line.ends_with(&format!("{HOSTILE} last")), "lines are one line: {told:?}");

    // The other way round it is a note of a bounded length, in one line.
    watched.desk.write(&ticket.id, &format!("{}\r\n\u{1b}[2Jgone", long()));
    let note = watched.step_by("annotated", &format!("alice@{CHANNEL}"));
    let note = note["comment"].as_str().unwrap();
    assert!(note.contains("{{ 7 * 7 }}") && note.chars().count() <= 2_000 && !note.contains(|c: char| c.is_control()), "{note:?}");

    nothing_lives_on(&watched.desk.page(&ticket.id));
    watched.comes_back();
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    watched.ends();
}

fn a_message_of_great_length_is_cut_and_inert<D: Desk>() {
    let route = format!("[[route]]\nchannels = [\"{CHANNEL}\"]\nmatch = '{{rule=\"opcmsg\"}}'");
    let Some(watched) = Watched::<D>::start("", "", &route) else { return };
    let message = |severity: &str| {
        let (severity, text) = (format!("severity={severity}"), format!("msg_text={}", long()));
        watched.house.run(&["opcmsg", "application=backup", "object=tape", &severity, &text]).ok();
    };
    message("critical");
    let ticket = watched.ticket("made", |_| true);
    let made = watched.desk.texts(&ticket.id).concat();
    assert!(made.contains(HOSTILE) && made.lines().all(|line| line.chars().count() < 1_200) && !made.contains("end-of-it"), "{made}");
    nothing_lives_on(&watched.desk.page(&ticket.id));
    message("normal");
    watched.ticket("resolved", |ticket| ticket.status == D::RESOLVED);
    watched.ends();
}

/// Ten thousand characters.
fn long() -> String {
    format!("{HOSTILE} {} end-of-it", "long ".repeat(2_000))
}

/// What was written is on the page, and is nothing but written there.
fn nothing_lives_on(page: &str) {
    assert!(page.contains("{{ 7 * 7 }}") && page.contains("&lt;script&gt;"), "what was written is on the page:\n{page}");
    for live in ["<script>alert(1)", "<img src=x", "onerror=alert(2)>"] {
        assert!(!page.contains(live), "{live} is on the page:\n{page}");
    }
    assert!(!page.contains("49<script") && !page.contains("49&lt;script"), "somebody reckoned:\n{page}");
}
