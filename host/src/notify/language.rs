//! The words of messages in the languages of who reads them; what was measured is the same in each.

mod sentence;

use chrono::{DateTime, SecondsFormat};
use watchpost_plugin_api::Severity;

use super::text::plain_line;
use crate::{
    alarm::{
        notice::{Notice, Step},
        x733::SEVERITIES,
    },
    schedule::{UnixTime, Zone},
};

/// A language that we speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
}

/// How somebody is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// In which language.
    pub language: Language,
    /// By whose clocks; UTC as programs write it, where nothing is said.
    pub zone: Option<Zone>,
}

/// What a line of a message is about.
#[derive(Clone, Copy)]
pub(super) enum Line {
    State,
    Step,
    By,
    Comment,
    Job,
    Agent,
    Target,
    Series,
    Value,
    Bound,
    Rule,
    Kind,
    Cause,
    Since,
    Now,
    Seen,
    Owner,
    Labels,
    Alarm,
    ToDo,
    ReadMore,
}

/// Words of one language; lists in the order of their types.
struct Words {
    code: &'static str,
    severities: [&'static str; 5],
    steps: [&'static str; 15],
    by: &'static str,
    times: &'static str,
    lines: [&'static str; 21],
}

/// An alarm is feminine in French, and masculine in German; its severity agrees.
const ALL: [(Language, Words); 3] = [
    (
        Language::English,
        Words {
            code: "en",
            severities: ["indeterminate", "warning", "minor", "major", "critical"],
            steps: [
                "raised",
                "changed",
                "owned",
                "acknowledged",
                "unacknowledged",
                "annotated",
                "shelved",
                "unshelved",
                "silenced",
                "unsilenced",
                "flapping",
                "settled",
                "cleared",
                "closed",
                "withdrawn",
            ],
            by: "by",
            times: "times",
            lines: [
                "State",
                "Step",
                "By",
                "Comment",
                "Job",
                "Agent",
                "Target",
                "Series",
                "Value",
                "Bound",
                "Rule",
                "Kind",
                "Cause",
                "Since",
                "Now",
                "Seen",
                "Owner",
                "Labels",
                "Alarm",
                "To do",
                "Read more",
            ],
        },
    ),
    (
        Language::German,
        Words {
            code: "de",
            severities: ["unbestimmt", "Warnung", "leicht", "schwer", "kritisch"],
            steps: [
                "ausgelöst",
                "geändert",
                "übernommen",
                "bestätigt",
                "nicht mehr bestätigt",
                "kommentiert",
                "zurückgestellt",
                "nicht mehr zurückgestellt",
                "stumm",
                "nicht mehr stumm",
                "unruhig",
                "beruhigt",
                "behoben",
                "geschlossen",
                "zurückgezogen",
            ],
            by: "von",
            times: "Mal",
            lines: [
                "Zustand",
                "Schritt",
                "Von",
                "Bemerkung",
                "Job",
                "Agent",
                "Ziel",
                "Reihe",
                "Wert",
                "Grenze",
                "Regel",
                "Art",
                "Ursache",
                "Seit",
                "Zeit",
                "Gesehen",
                "Zuständig",
                "Labels",
                "Alarm",
                "Zu tun",
                "Mehr dazu",
            ],
        },
    ),
    (
        Language::French,
        Words {
            code: "fr",
            severities: ["indéterminée", "avertissement", "mineure", "majeure", "critique"],
            steps: [
                "déclenchée",
                "modifiée",
                "prise en charge",
                "acquittée",
                "non acquittée",
                "commentée",
                "mise de côté",
                "plus mise de côté",
                "muette",
                "plus muette",
                "instable",
                "stabilisée",
                "rétablie",
                "close",
                "retirée",
            ],
            by: "par",
            times: "fois",
            lines: [
                "État",
                "Étape",
                "Par",
                "Commentaire",
                "Job",
                "Agent",
                "Cible",
                "Série",
                "Valeur",
                "Limite",
                "Règle",
                "Type",
                "Cause",
                "Depuis",
                "Heure",
                "Vue",
                "Responsable",
                "Labels",
                "Alarme",
                "À faire",
                "Voir aussi",
            ],
        },
    ),
];

impl Language {
    /// Finds one by its code: `en`, `de`, `fr`.
    pub fn parse(code: &str) -> Option<Self> {
        ALL.iter().find(|(_, words)| words.code == code).map(|(language, _)| *language)
    }

    /// The codes of all of them.
    pub fn codes() -> impl Iterator<Item = &'static str> + Clone {
        ALL.iter().map(|(_, words)| words.code)
    }

    fn words(self) -> &'static Words {
        let [(_, english), ..] = &ALL;
        ALL.iter().find(|(language, _)| *language == self).map_or(english, |(_, words)| words)
    }
}

impl Voice {
    /// What a line is about.
    pub(super) fn line(self, line: Line) -> &'static str {
        self.language.words().lines.get(line as usize).copied().unwrap_or_default()
    }

    /// How bad it is.
    pub fn severity(self, severity: Severity) -> &'static str {
        let at = SEVERITIES.iter().position(|(_, known)| *known == severity).unwrap_or(0);
        self.language.words().severities.get(at).copied().unwrap_or_default()
    }

    /// What happened.
    pub fn step(self, step: Step) -> &'static str {
        let at = Step::ALL.iter().position(|known| *known == step).unwrap_or(0);
        self.language.words().steps.get(at).copied().unwrap_or_default()
    }

    /// An instant: in the reader's zone, else as RFC 3339 has it.
    pub fn time(self, at_ns: i64) -> String {
        match self.zone {
            Some(zone) => zone.format(UnixTime::from_secs(at_ns.div_euclid(1_000_000_000))),
            None => DateTime::from_timestamp_nanos(at_ns).to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }

    /// How often.
    pub(super) fn times(self, count: u64) -> String {
        format!("{count} {}", self.language.words().times)
    }

    /// The severity in capitals, or what else became of it.
    pub fn state(self, notice: &Notice) -> String {
        let word = if notice.step.ends() { self.step(notice.step) } else { self.severity(notice.severity) };
        word.to_uppercase()
    }

    /// What an alarm's text says; as it is where it is no sentence of ours.
    pub fn sentence(self, notice: &Notice) -> String {
        sentence::said(notice, self.language)
    }

    /// A notice in one line.
    pub fn title(self, notice: &Notice) -> String {
        let what = match notice.step {
            Step::Raised | Step::Changed | Step::Unsilenced | Step::Cleared | Step::Closed | Step::Withdrawn => String::new(),
            step => {
                let by = notice.by.as_ref().map(|by| format!(" {} {by}", self.language.words().by)).unwrap_or_default();
                format!(" {}{by}", self.step(step))
            }
        };
        let said = notice.comment.as_ref().filter(|_| notice.step == Step::Annotated).map(|said| format!(": {said}")).unwrap_or_default();
        plain_line(&format!("[{}]{what} {}{said}", self.state(notice), self.sentence(notice)))
    }

    /// Many notices in one line, `active` of them of alarms that are there.
    pub(super) fn summary(self, steps: usize, active: usize, first: &Notice) -> String {
        let title = self.title(first);
        plain_line(&match self.language {
            Language::English => format!("{steps} steps of alarms, {active} of alarms that are there: {title}"),
            Language::German => format!("{steps} Schritte von Alarmen, {active} davon von bestehenden: {title}"),
            Language::French => format!("{steps} étapes d'alarmes, dont {active} d'alarmes en cours : {title}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alarm::x733::severity_name,
        notify::text::{body_in, sample},
    };

    const LANGUAGES: [Language; 3] = [Language::English, Language::German, Language::French];

    #[test]
    fn english_has_the_names_of_json_and_no_language_lacks_a_word_or_says_two_things_alike() {
        let english = Voice::default();
        assert!(Step::ALL.iter().all(|step| english.step(*step) == step.name()));
        assert!(SEVERITIES.iter().all(|(name, severity)| english.severity(*severity) == *name && severity_name(*severity) == *name));
        for language in LANGUAGES {
            let words = language.words();
            for mut list in [words.severities.to_vec(), words.steps.to_vec(), words.lines.to_vec()] {
                let count = list.len();
                list.sort_unstable();
                list.dedup();
                assert!(list.len() == count && list.iter().all(|word| !word.is_empty()), "{language:?}: {list:?}");
            }
            assert!(words.lines.iter().all(|line| line.chars().count() <= 12), "{language:?}");
            assert_eq!(Language::parse(words.code), Some(language));
        }
    }

    #[test]
    fn somebody_is_told_in_his_language_by_his_clock() {
        let voice = |language, zone| Voice { language, zone: Some(Zone::parse(zone).unwrap()) };
        let owned = Notice { by: Some("bob".into()), owner: Some("bob".into()), ..sample(Step::Owned) };
        let german = voice(Language::German, "Europe/Berlin");
        assert_eq!(german.title(&owned), "[WARNUNG] übernommen von bob this is a test: nothing is wrong");
        let body = body_in(&owned, german);
        for line in ["Zustand      WARNUNG\n", "Zeit         2026-11-30T01:54:20+01:00 CET\n", "Zuständig    bob\n", "Gesehen      1 Mal\n"]
        {
            assert!(body.contains(line), "{line} is not in\n{body}");
        }
        let french = voice(Language::French, "America/New_York");
        assert_eq!(french.title(&sample(Step::Cleared)), "[RÉTABLIE] this is a test: nothing is wrong");
        assert!(body_in(&sample(Step::Raised), french).contains("Heure        2026-11-29T19:54:20-05:00 EST\n"));
        assert_eq!(
            french.summary(3, 1, &owned),
            "3 étapes d'alarmes, dont 1 d'alarmes en cours : [AVERTISSEMENT] prise en charge par bob this is a test: nothing is wrong"
        );
    }

    #[test]
    fn hostile_words_obey_nobody_in_any_language() {
        let text =
            "up of <script>alert(1)</script>\r\nBcc: all@lab.test\u{1b}[31m \u{202e}evil {{ state }} is 0".to_owned() + &"x".repeat(10_000);
        let hostile = Notice { text, by: Some("a\r\nX-Evil: 1".into()), comment: Some("\r\n.\r\nQUIT\r\n".into()), ..sample(Step::Owned) };
        for language in LANGUAGES {
            let voice = Voice { language, zone: None };
            let (title, body, summary) = (voice.title(&hostile), body_in(&hostile, voice), voice.summary(1, 1, &hostile));
            for line in [&title, &summary].into_iter().map(String::as_str).chain(body.lines()) {
                assert!(!line.contains(['\r', '\n', '\u{1b}', '\u{202e}']) && line.chars().count() <= 1_100, "{language:?}: {line:?}");
                assert!(!["Bcc:", "X-Evil", ".", "QUIT"].iter().any(|word| line.trim() == *word || line.starts_with("Bcc:")), "{line:?}");
            }
            assert!(title.contains("{{ state }}"), "{title}");
        }
    }
}
