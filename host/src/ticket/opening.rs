//! What a ticket says that is opened for a situation: the likely cause, and what else is wrong.

use crate::{
    alarm::{
        life::Stage,
        notice::{Notice, Step},
        record::Alarm,
        situation::Situation,
    },
    notify::text,
};

/// Alarms that are listed beside the likely cause, at most.
const LISTED_MAX: usize = 50;

/// What a ticket is opened with.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// The likely cause, as bad as the worst of the situation, under the number of the step that is told.
    pub notice: Notice,
    /// The likely cause, and how many more.
    pub title: String,
    /// All of it.
    pub description: String,
}

impl Opening {
    /// Puts a situation into words, for a step of one of its alarms; nothing if that is all there is to tell.
    pub fn of(situation: &Situation, told: &Notice) -> Option<Self> {
        let is_meant = |alarm: &&Alarm| alarm.life.stage == Stage::Active || alarm.life.number == told.alarm;
        let mut meant = situation.alarms.iter().filter(is_meant);
        let (cause, others) = (meant.next()?, meant.collect::<Vec<_>>());
        if others.is_empty() {
            return None;
        }
        let first = situation.alarms.first().is_some_and(|first| first.life.number == cause.life.number);
        let because = if first { situation.because.as_str() } else { "what was taken for it before is over" };
        let as_told = |alarm: &Alarm| {
            let step = if alarm.life.stage == Stage::Active { Step::Raised } else { Step::Cleared };
            alarm.notice(told.seq, step, told.time_ns, (None, None))
        };
        let notice = Notice { severity: situation.severity, ..as_told(cause) };
        let title = format!("{} (and {} more)", text::title(&notice), others.len());
        let mut lines = vec![
            text::body(&notice),
            format!("This is the likely cause of a situation of {} alarms: {because}. The others:", others.len() + 1),
        ];
        let line = |alarm: &&Alarm| format!("- alarm {}: {}", alarm.life.number, text::title(&as_told(alarm)));
        lines.extend(others.iter().take(LISTED_MAX).map(line));
        lines.extend(others.len().checked_sub(LISTED_MAX + 1).map(|more| format!("- and {} more", more + 1)));
        Some(Self { notice, title, description: lines.join("\n") })
    }
}

#[cfg(test)]
mod tests {
    use watchpost_plugin_api::Severity;

    use super::*;
    use crate::alarm::{
        life::Life,
        record::{Origin, Subject},
        situation,
        x733::{EventType, ProbableCause},
    };

    fn alarm(number: u64, series: &str, severity: Severity, stage: Stage) -> Alarm {
        let mut life = Life::default();
        (life.number, life.severity, life.stage) = (number, severity, stage);
        let subject = Subject {
            key: format!("mx/{series}/r"),
            origin: Origin::Rule,
            rule: "r".into(),
            agent: "smtp".into(),
            job: "mx".into(),
            target: "mx1:25".into(),
            series: series.into(),
            labels: Vec::new(),
            event_type: EventType::QualityOfService,
            cause: ProbableCause::ThresholdCrossed,
            value: None,
            bound: None,
            text: format!("{series} of mx\r\nis bad"),
            instruction: Some("look".into()),
            link: None,
        };
        Alarm { life, subject, situation: Some(1).filter(|_| number > 1) }
    }

    fn opening(alarms: Vec<Alarm>, told: u64) -> Option<Opening> {
        let told = Notice { seq: 30, alarm: told, ..text::sample(Step::Raised) };
        Opening::of(&situation::situation(1, alarms, |_| 0), &told)
    }

    #[test]
    fn the_likely_cause_and_how_many_more_are_named_and_all_are_listed() {
        let (major, critical, active) = (Severity::Major, Severity::Critical, Stage::Active);
        let alarms = vec![
            alarm(1, "total_time", critical, active),
            alarm(2, "up", major, active),
            alarm(3, "banner_time", major, Stage::Cleared),
            alarm(4, "queue_size", major, active),
        ];
        let found = opening(alarms.clone(), 4).unwrap();
        assert_eq!(found.title, "[CRITICAL] up of mx\u{fffd}\u{fffd}is bad (and 2 more)");
        assert_eq!((found.notice.seq, found.notice.severity, found.notice.series.as_str()), (30, critical, "up"));
        assert!(found.description.starts_with("up of mx\u{fffd}\u{fffd}is bad\n") && found.description.contains("To do        look"));
        let end = "This is the likely cause of a situation of 3 alarms: it is down, and was so first. The others:\n\
                   - alarm 1: [CRITICAL] total_time of mx\u{fffd}\u{fffd}is bad\n- alarm 4: [MAJOR] queue_size of mx\u{fffd}\u{fffd}is bad";
        assert!(found.description.ends_with(end), "{}", found.description);
        // What is told is in it, though it is over by now.
        assert!(opening(alarms, 3).unwrap().description.contains("\n- alarm 3: [CLEARED] banner_time"));
    }

    #[test]
    fn one_alone_is_told_as_one_and_of_very_many_some_are_listed() {
        let active = Stage::Active;
        let two = vec![alarm(1, "up", Severity::Major, active), alarm(2, "total_time", Severity::Major, Stage::Cleared)];
        assert_eq!(opening(two, 1), None);
        let many = (1..=60).map(|number| alarm(number, "total_time", Severity::Minor, active)).collect();
        let found = opening(many, 1).unwrap();
        assert!(found.title.ends_with(" (and 59 more)") && found.description.ends_with("\n- and 9 more"), "{}", found.description);
        assert_eq!(found.description.matches("\n- alarm ").count(), LISTED_MAX);
    }
}
