//! The sentence of an alarm in the language of who reads it. It is stored in English; one that is made of an alarm's own parts, and no text of
//! a rule, an agent or a person, is known by them and said anew.

use super::Language;
use crate::alarm::{notice::Notice, record::OVER};

/// A sentence, in the order of the languages; `{job}` and the like are parts of the alarm, `{a}` to `{c}` whatever stands there.
type Sentence = [&'static str; 3];

/// What a series does.
const VERBS: [Sentence; 5] = [
    ["is", "ist", "vaut"],
    ["changed by", "änderte sich um", "a varié de"],
    ["rises by", "steigt um", "augmente de"],
    ["changes by", "ändert sich um", "varie de"],
    ["will be", "wird voraussichtlich", "sera sans doute"],
];

/// What rules find; the first that fits is it.
const OF_RULES: [Sentence; 13] = [
    ["{job} ({target}) is down: {a}", "{job} ({target}) ist ausgefallen: {a}", "{job} ({target}) est en panne : {a}"],
    ["{job} ({target}) is up again", "{job} ({target}) ist wieder da", "{job} ({target}) est de nouveau là"],
    ["no value of {a} of {job} for {b}", "kein Wert von {a} von {job} seit {b}", "aucune valeur de {a} de {job} depuis {b}"],
    ["{a} of {job} has a value again", "{a} von {job} hat wieder einen Wert", "{a} de {job} a de nouveau une valeur"],
    ["{a} of {job} {verb} {value}, no longer {b}", "{a} von {job} {verb} {value}, nicht mehr {b}", "{a} de {job} {verb} {value}, plus {b}"],
    [
        "{a} of {job} {verb} {value}, {bound}; usual now {b} to {c}",
        "{a} von {job} {verb} {value}, {bound}; üblich sind jetzt {b} bis {c}",
        "{a} de {job} {verb} {value}, {bound} ; d'habitude {b} à {c}",
    ],
    ["{a} of {job} {verb} {value}, {bound}{b}", "{a} von {job} {verb} {value}, {bound}{b}", "{a} de {job} {verb} {value}, {bound}{b}"],
    ["{a} of {job} is unknown, {bound}{b}", "{a} von {job} ist unbekannt, {bound}{b}", "{a} de {job} est inconnu, {bound}{b}"],
    ["{a} of {job} is well{b}", "{a} von {job} ist wieder gut{b}", "{a} de {job} va de nouveau bien{b}"],
    ["{a} of {job} {verb} {value}", "{a} von {job} {verb} {value}", "{a} de {job} {verb} {value}"],
    // Of what several jobs have a part in.
    ["{a} {verb} {value}, no longer {b}", "{a} {verb} {value}, nicht mehr {b}", "{a} {verb} {value}, plus {b}"],
    ["{a} {verb} {value}, {bound}{b}", "{a} {verb} {value}, {bound}{b}", "{a} {verb} {value}, {bound}{b}"],
    ["{a} {verb} {value}", "{a} {verb} {value}", "{a} {verb} {value}"],
];

/// How a sentence begins that is about no job.
const OF_SEVERAL: &str = "{a} {verb}";

/// What is wrong with the host itself.
const OF_THE_HOST: [Sentence; 8] = [
    ["channel {a} cannot be told: {b}", "der Kanal {a} ist nicht zu erreichen: {b}", "le canal {a} est injoignable : {b}"],
    [
        "job {a} is quarantined: it brings its worker down",
        "der Job {a} ist in Quarantäne: er bringt seinen Worker zu Fall",
        "le job {a} est en quarantaine : il fait tomber son worker",
    ],
    [
        "the worker of {a} has died {b} times in ten minutes{c}",
        "der Worker von {a} ist in zehn Minuten {b} Mal gestorben{c}",
        "le worker de {a} est mort {b} fois en dix minutes{c}",
    ],
    ["{a} is {b} records behind the journal", "{a} ist {b} Einträge hinter dem Journal", "{a} a {b} entrées de retard sur le journal"],
    ["{a} % of the disk of {b} are free", "{a} % der Platte von {b} sind frei", "{a} % du disque de {b} sont libres"],
    ["a reload was refused: {a}", "eine neue Konfiguration wurde abgelehnt: {a}", "une nouvelle configuration a été refusée : {a}"],
    ["{a} cannot be written: {b}", "{a} kann nicht geschrieben werden: {b}", "{a} ne peut pas être écrit : {b}"],
    ["the wall clock was turned {a} by {b} s", "die Uhr wurde um {b} s gestellt ({a})", "l'horloge a été décalée de {b} s ({a})"],
];

/// How a sentence begins about trouble that was and is over; what was follows.
const IS_OVER: Sentence = [OVER, "es ist vorbei: ", "c'est terminé : "];

/// What an alarm's text says, in a language; as it is where it is no sentence of ours.
pub(super) fn said(notice: &Notice, language: Language) -> String {
    let place = match language {
        Language::English => return notice.text.clone(),
        Language::German => 1,
        Language::French => 2,
    };
    // A message says in its own words that it is over.
    if let (Some(was), false) = (notice.text.strip_prefix(OVER), notice.key.starts_with("opcmsg/")) {
        let was = said(&Notice { text: was.to_owned(), ..notice.clone() }, language);
        return format!("{}{was}", IS_OVER.get(place).unwrap_or(&OVER));
    }
    let sentences: &[Sentence] = if notice.key.starts_with("host/") { &OF_THE_HOST } else { &OF_RULES };
    let is_meant = |sentence: &&Sentence| notice.job.is_empty() || !sentence[0].starts_with(OF_SEVERAL);
    let found = sentences.iter().filter(is_meant).find_map(|sentence| {
        let verbs: &[Sentence] = if sentence[0].contains("{verb}") { &VERBS } else { &VERBS[..1] };
        verbs.iter().find_map(|verb| {
            let free = matched(&pieces(sentence[0]), &notice.text, &|name| known(notice, verb[0], name))?;
            let value = |name: &str| known(notice, verb.get(place)?, name);
            Some(filled(&pieces(sentence.get(place)?), &free, &|name| value(name).map(|value| localised(name, value, language))))
        })
    });
    found.unwrap_or_else(|| notice.text.clone())
}

/// A piece of a sentence.
#[derive(Clone, Copy)]
enum Piece<'s> {
    Words(&'s str),
    Named(&'s str),
}

fn pieces(sentence: &str) -> Vec<Piece<'_>> {
    let mut all = Vec::new();
    for (at, part) in sentence.split('{').enumerate() {
        let words = match part.split_once('}').filter(|_| at > 0) {
            Some((name, words)) => {
                all.push(Piece::Named(name));
                words
            }
            None => part,
        };
        all.push(Piece::Words(words));
    }
    all
}

/// A part of an alarm by its name; nothing where it has none.
fn known<'n>(notice: &'n Notice, verb: &'static str, name: &str) -> Option<&'n str> {
    let part = match name {
        "job" => Some(notice.job.as_str()),
        "target" => Some(notice.target.as_str()),
        "value" => notice.value.as_deref(),
        "bound" => Some(notice.bound.as_deref().unwrap_or("too bad")),
        "verb" => Some(verb),
        _ => None,
    };
    part.filter(|part| !part.is_empty())
}

/// What stands in a text where a sentence leaves it free, by name; nothing where the text is another one.
fn matched<'t, 'k>(sentence: &[Piece<'_>], text: &'t str, known: &impl Fn(&str) -> Option<&'k str>) -> Option<Vec<(char, &'t str)>> {
    let (mut rest, mut open, mut free) = (text, None::<char>, Vec::new());
    let mut needle = String::new();
    let mut pass = |needle: &mut String, open: &mut Option<char>, rest: &mut &'t str, is_last: bool| -> Option<()> {
        let at = match *open {
            None => rest.starts_with(needle.as_str()).then_some(0)?,
            Some(_) if is_last => rest.ends_with(needle.as_str()).then(|| rest.len() - needle.len())?,
            Some(_) => rest.find(needle.as_str())?,
        };
        free.extend(open.take().map(|name| (name, &rest[..at])));
        *rest = &rest[at + needle.len()..];
        needle.clear();
        Some(())
    };
    for piece in sentence {
        match *piece {
            Piece::Words(words) => needle.push_str(words),
            Piece::Named("a" | "b" | "c") => {
                pass(&mut needle, &mut open, &mut rest, false)?;
                open = match *piece {
                    Piece::Named(name) => name.chars().next(),
                    Piece::Words(_) => None,
                };
            }
            Piece::Named(name) => needle.push_str(known(name)?),
        }
    }
    pass(&mut needle, &mut open, &mut rest, true)?;
    rest.is_empty().then_some(free)
}

fn filled(sentence: &[Piece<'_>], free: &[(char, &str)], known: &impl Fn(&str) -> Option<String>) -> String {
    let piece = |piece: &Piece<'_>| match *piece {
        Piece::Words(words) => words.to_owned(),
        Piece::Named(name) => known(name).unwrap_or_else(|| {
            let is_it = |(free, _): &&(char, &str)| name.starts_with(*free) && name.len() == 1;
            free.iter().find(is_it).map(|(_, text)| (*text).to_owned()).unwrap_or_default()
        }),
    };
    sentence.iter().map(piece).collect()
}

/// Words within a figure or a bound of ours: "+3 s in 5 min"; a bound stands as it was written.
fn localised(name: &str, value: &str, language: Language) -> String {
    match (name, value, language) {
        ("value", _, Language::French) => value.replace(" in ", " en "),
        ("bound", "too bad", Language::German) => "zu schlecht".to_owned(),
        ("bound", "too bad", Language::French) => "trop mauvais".to_owned(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alarm::notice::Step, notify::text::sample};

    fn check(text: &str, value: Option<&str>, bound: Option<&str>, expected: [&str; 2]) {
        check_of("pop", text, (value, bound), expected);
    }

    fn check_of(job: &str, text: &str, (value, bound): (Option<&str>, Option<&str>), expected: [&str; 2]) {
        let [value, bound] = [value, bound].map(|part| part.map(str::to_owned));
        let (job, target) = (job.to_owned(), "mx1:110".to_owned());
        let notice = Notice { text: text.into(), value, bound, job, target, ..sample(Step::Raised) };
        assert_eq!([Language::German, Language::French].map(|language| said(&notice, language)), expected);
        assert_eq!(said(&notice, Language::English), text);
    }

    #[test]
    fn a_sentence_of_ours_is_said_in_the_language_of_who_reads_it() {
        let down = ["pop (mx1:110) ist ausgefallen: connect: refused", "pop (mx1:110) est en panne : connect: refused"];
        check("pop (mx1:110) is down: connect: refused", Some("0"), Some("< 1"), down);
        check("pop (mx1:110) is up again", Some("1"), Some("< 1"), ["pop (mx1:110) ist wieder da", "pop (mx1:110) est de nouveau là"]);
        let slow = ["connect_time von pop ist 2.3 s, > 2s", "connect_time de pop vaut 2.3 s, > 2s"];
        check("connect_time of pop is 2.3 s, > 2s", Some("2.3 s"), Some("> 2s"), slow);
        let over = ["connect_time von pop ist 0.1 s, nicht mehr > 2s", "connect_time de pop vaut 0.1 s, plus > 2s"];
        check("connect_time of pop is 0.1 s, no longer > 2s", Some("0.1 s"), Some("> 2s"), over);
        let usual = [
            "connect_time von pop ist 2.3 s, > 3 deviations; üblich sind jetzt 1 s bis 2 s",
            "connect_time de pop vaut 2.3 s, > 3 deviations ; d'habitude 1 s à 2 s",
        ];
        check("connect_time of pop is 2.3 s, > 3 deviations; usual now 1 s to 2 s", Some("2.3 s"), Some("> 3 deviations"), usual);
        let grown = ["size von pop änderte sich um +3 in 5 min, change > 1 in 5m", "size de pop a varié de +3 en 5 min, change > 1 in 5m"];
        check("size of pop changed by +3 in 5 min, change > 1 in 5m", Some("+3 in 5 min"), Some("change > 1 in 5m"), grown);
        let missed = ["kein Wert von size von pop seit 10 min", "aucune valeur de size de pop depuis 10 min"];
        check("no value of size of pop for 10 min", None, Some("absent 10m"), missed);
        let share = ["a / b ist 300 %, > 2; a 6 s, b 2 s", "a / b vaut 300 %, > 2; a 6 s, b 2 s"];
        check_of("", "a / b is 300 %, > 2; a 6 s, b 2 s", (Some("300 %"), Some("> 2")), share);
    }

    #[test]
    fn what_somebody_else_said_stays_as_it_is() {
        for text in [
            "the disk is full",
            "the disk is 2.31 s, > 2s",
            "backup: tape1: it burns",
            "of pop is",
            "",
            "connect_time of imap is 2.3 s, > 2s {a} {job}",
        ] {
            check(text, Some("2.31 s"), Some("> 2s"), [text, text]);
        }
    }

    #[test]
    fn the_hosts_own_alarms_are_said_too() {
        let notice =
            |text: &str| Notice { key: "host/channel_down/ops".into(), text: text.into(), job: String::new(), ..sample(Step::Raised) };
        let told = said(&notice("channel ops cannot be told: 127.0.0.1:25: refused"), Language::German);
        assert_eq!(told, "der Kanal ops ist nicht zu erreichen: 127.0.0.1:25: refused");
        let told = said(&notice("series is 12000 records behind the journal"), Language::French);
        assert_eq!(told, "series a 12000 entrées de retard sur le journal");
        assert_eq!(said(&notice("it is cold"), Language::French), "it is cold");
    }

    #[test]
    fn what_is_over_is_said_to_be_over_and_what_it_was() {
        let notice = |key: &str, text: &str| Notice { key: key.into(), text: text.into(), job: String::new(), ..sample(Step::Cleared) };
        let disk = notice("host/disk_low/", "it is over: 3.1 % of the disk of /data are free");
        let all = [Language::English, Language::German, Language::French].map(|language| said(&disk, language));
        assert_eq!(
            all,
            [
                "it is over: 3.1 % of the disk of /data are free",
                "es ist vorbei: 3.1 % der Platte von /data sind frei",
                "c'est terminé : 3.1 % du disque de /data sont libres",
            ]
        );
        let event = notice("mx/full/events", "it is over: disk_full of mx: no room");
        assert_eq!(said(&event, Language::German), "es ist vorbei: disk_full of mx: no room");
        let message = notice("opcmsg//a/b", "it is over: a new tape");
        assert_eq!(said(&message, Language::German), "it is over: a new tape");
    }
}
