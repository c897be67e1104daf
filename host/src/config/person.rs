//! `[[person]]`: who is told, by which channels, and when not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lettre::message::Mailbox;

use super::{
    At, Fault, Faults, Place, Rule,
    declared::Declared,
    near::{did_you_mean, nearest},
    objective::check_hours,
    reader::{Field, Reader, Texts, misshapen},
    route::{check_match, check_severity},
    text::{Data, Table},
    timing::{Almanac, check_zone},
};
use crate::{
    notify::{
        channel::{Channel, Kind},
        language::Language,
        person::{Digest, Filter, Person},
    },
    schedule::{Holidays, Moment, Windows, Zone},
};

/// Keys that one has.
const KEYS: [&str; 10] =
    ["addresses", "breaks_digest", "breaks_quiet", "digest", "holidays", "hours", "language", "name", "quiet", "timezone"];
/// Keys of an address.
const KEYS_OF_ADDRESS: [&str; 2] = ["channel", "to"];
/// Keys of what breaks through.
const KEYS_OF_FILTER: [&str; 2] = ["match", "severity"];
/// Characters of a name, at most.
const NAME_CHARS_MAX: usize = 80;

/// Persons, and what comes of them.
#[derive(Default)]
pub(super) struct Persons {
    /// The persons without a fault, and where they stand.
    pub(super) persons: Vec<At<Arc<Person>>>,
    /// Channels of their own, in the order of the persons.
    pub(super) channels: Vec<Channel>,
    /// Channels of the configuration that tell somebody.
    pub(super) used: BTreeSet<String>,
}

/// Checks all of them against the channels there are.
///
/// `declared`: the names of all channels, those with a fault among them.
pub(super) fn check(
    tables: &[At<Table>],
    channels: &[At<Channel>],
    declared: &Declared,
    almanac: &mut Almanac,
    faults: &mut Faults,
) -> Persons {
    let mut names: BTreeMap<String, (&str, Place)> =
        channels.iter().map(|channel| (channel.name.clone(), ("a channel", channel.place.clone()))).collect();
    let mut found = Persons::default();
    for table in tables {
        let walk = Walk { channels, declared, place: &table.place, almanac, faults };
        let Some((name, person, own, used)) = walk.person(&table.value) else {
            continue;
        };
        if !is_free(&mut names, &name, "a person", Rule::PersonTwice, faults) {
            continue;
        }
        found.used.extend(used);
        // What is told by a person's channels is held back by the same person.
        let person = Arc::new(person);
        found.channels.extend(own.into_iter().map(|channel| Channel { person: Some(person.clone()), ..channel }));
        found.persons.push(At { value: person, place: name.place });
    }
    found
}

/// Whether nobody else is called so: routes tell channels, persons and rosters by their names.
pub(super) fn is_free(
    names: &mut BTreeMap<String, (&'static str, Place)>,
    name: &At<String>,
    what: &'static str,
    rule: Rule,
    faults: &mut Faults,
) -> bool {
    if let Some((other, first)) = names.get(&name.value) {
        let message = format!("`name`: {other} is called {} already", name.value);
        faults.push(Fault::new(rule, &name.place, message).hint(format!("it is declared at {first}; who is told is told by name")));
        return false;
    }
    names.insert(name.value.clone(), (what, name.place.clone()));
    true
}

/// Names addresses of somebody, in their order, by the channels that they are made of: further ones by the same channel bear a number.
fn names_of<'a>(person: &str, channels: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    channels
        .map(|channel| {
            let times = times.entry(channel).or_default();
            *times += 1;
            if *times == 1 { format!("{person}/{channel}") } else { format!("{person}/{channel}/{times}") }
        })
        .collect()
}

/// Checks the name of a person or a roster.
pub(super) fn check_name(name: Field<String>, place: &Place, hint: &str, faults: &mut Faults) -> Option<At<String>> {
    let name = name.required("name", place, hint, faults)?;
    let legal = (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && crate::plain(&name) == name.value && !name.contains('/');
    if !legal {
        let shown: String = name.escape_debug().take(NAME_CHARS_MAX).collect();
        let fault = Fault::new(Rule::PersonNameIllegal, &name.place, format!("`name`: \"{shown}\" is no name of a person or a roster"));
        faults.push(fault.hint(format!("1 to {NAME_CHARS_MAX} characters that can be shown, and no /")));
    }
    legal.then_some(name)
}

/// Reads the file of holidays.
pub(super) fn check_holidays(field: &Field<String>, almanac: &mut Almanac, faults: &mut Faults) -> Option<Option<Arc<Holidays>>> {
    match field {
        Field::Absent => Some(None),
        Field::Broken => None,
        Field::Given(file) => almanac.holidays_of(file, faults).map(Some),
    }
}

struct Walk<'w> {
    channels: &'w [At<Channel>],
    declared: &'w Declared,
    place: &'w Place,
    almanac: &'w mut Almanac,
    faults: &'w mut Faults,
}

/// A person under way: name, person, channels, and those that they were made of.
type Found = (At<String>, Person, Vec<Channel>, Vec<String>);

impl Walk<'_> {
    fn person(mut self, table: &Table) -> Option<Found> {
        let mut reader = Reader::new("`[[person]]`", &KEYS, table);
        let name = reader.text("name", self.faults);
        let addresses = reader.list("addresses", self.faults);
        let written = addresses.is_absent() || addresses.is_broken();
        let tables = if written { Vec::new() } else { reader.tables("addresses", self.faults) };
        let (timezone, holidays) = (reader.text("timezone", self.faults), reader.text("holidays", self.faults));
        let language = reader.text("language", self.faults);
        let (hours, quiet) = (reader.text_or_texts("hours", self.faults), reader.text_or_texts("quiet", self.faults));
        let digest = reader.text_or_texts("digest", self.faults);
        let (breaks_quiet, breaks_digest) = (reader.any("breaks_quiet", self.faults), reader.any("breaks_digest", self.faults));
        reader.finish(self.faults);

        let name = check_name(name, self.place, "a person has a name of his or her own: name = \"ann\"", self.faults);
        let hint = "how to tell: addresses = [{ channel = \"ops-mail\", to = \"ann@example.org\" }]";
        let listed = addresses.required("addresses", self.place, hint, self.faults);
        if let Some(At { value: list, place }) = &listed
            && list.is_empty()
        {
            self.faults.push(Fault::new(Rule::KeyMissing, place, "`addresses`: none is named").hint(hint));
        }
        let zone = check_zone(&timezone, self.faults);
        let mut made: Vec<(Channel, String)> = Vec::new();
        for table in &tables {
            let Some((channel, of)) = self.address(table) else { continue };
            if made.iter().any(|(known, _)| *known == channel) {
                let message = format!("`addresses`: the same address by channel {of} is named twice");
                let fault = Fault::new(Rule::PersonAddressIllegal, &table.place, message);
                self.faults.push(fault.hint("name it once: who is told is told once by each address"));
            }
            made.push((channel, of));
        }
        let whole = listed.is_some_and(|list| !list.is_empty() && made.len() == list.len());
        let speaks = self.speaks(&language, &made);
        let windows = self.windows(&hours, &quiet, &holidays, zone);
        let filters = [("breaks_quiet", breaks_quiet), ("breaks_digest", breaks_digest)].map(|(key, field)| self.filters(key, field));
        let digest = self.digest(digest);
        let [breaks_quiet, breaks_digest] = filters;
        let (name, zone, (hours, undisturbed), digest) = (name?, zone?, windows?, digest?);
        let digest = match (digest, breaks_digest?) {
            (Some((at, place)), breaks) => {
                let digest = Digest { at, breaks };
                self.comes(&digest, &place, zone, undisturbed.as_ref())?;
                Some(digest)
            }
            (None, _) => None,
        };
        let addresses = names_of(&name, made.iter().map(|(_, of)| of.as_str()));
        let (whole, language) = (whole && speaks, language.given().map(|language| language.value));
        let spoken_to = |(channel, of): (Channel, String)| (Self::spoken_to(channel, &name, language.as_deref(), zone), of);
        let (channels, used) = made
            .into_iter()
            .map(spoken_to)
            .zip(&addresses)
            .map(|((channel, of), own)| (Channel { name: own.clone(), ..channel }, of))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let person = Person { name: name.value.clone(), addresses, zone, hours, undisturbed, breaks_quiet: breaks_quiet?, digest };
        whole.then_some((name, person, channels, used))
    }

    /// Whether every mail can be written in somebody's language.
    fn speaks(&mut self, language: &Field<String>, made: &[(Channel, String)]) -> bool {
        let code = match language {
            Field::Absent => return true,
            Field::Broken => return false,
            Field::Given(code) => code,
        };
        let mails = made.iter().filter_map(|(channel, of)| if let Kind::Mail(mail) = &channel.kind { Some((mail, of)) } else { None });
        let speechless: Vec<&String> =
            mails.clone().filter(|(mail, _)| !mail.languages.contains_key(&code.value)).map(|(_, of)| of).collect();
        if Language::parse(code).is_some() || (speechless.is_empty() && mails.count() > 0) {
            return true;
        }
        let message = match speechless.first() {
            Some(of) => format!("`language`: neither we nor channel {of} speak \"{}\"", code.escape_debug()),
            None => format!("`language`: we do not speak \"{}\"", code.escape_debug()),
        };
        let hint = match nearest(code, Language::codes()).filter(|_| code.chars().count() > 1) {
            Some(near) if code.to_lowercase().starts_with(near) => format!("did you mean `{near}`?"),
            _ => "write en, de or fr; a mail channel speaks others by templates: languages.it = { subject = \"…\", text = \"…\", html = \"…\" }".to_owned(),
        };
        self.faults.push(Fault::new(Rule::PersonLanguageUnknown, &code.place, message).hint(hint));
        false
    }

    /// Has a channel speak to somebody as he or she reads.
    fn spoken_to(channel: Channel, name: &str, language: Option<&str>, zone: Zone) -> Channel {
        let kind = match channel.kind {
            Kind::Mail(mail) => Kind::Mail(mail.to.first().cloned().and_then(|to| mail.to_one(name, to, language, zone)).unwrap_or(mail)),
            kind => kind,
        };
        Channel { kind, ..channel }
    }

    /// A channel of somebody's own, made of one that there is.
    fn address(&mut self, at: &At<&Table>) -> Option<(Channel, String)> {
        let mut reader = Reader::new("`addresses`", &KEYS_OF_ADDRESS, at.value);
        let (name, to) = (reader.text("channel", self.faults), reader.text("to", self.faults));
        reader.finish(self.faults);
        let hint = "write { channel = \"ops-mail\", to = \"ann@example.org\" }";
        let name = name.required("channel", &at.place, hint, self.faults)?;
        let Some(channel) = self.channels.iter().find(|channel| channel.name == name.value) else {
            if self.declared.lacks(&name) {
                let message = format!("`channel`: no channel is called \"{}\"", name.escape_debug());
                let hint = did_you_mean(&name, "channels", self.declared.names());
                self.faults.push(Fault::new(Rule::PersonChannelUnknown, &name.place, message).hint(hint));
            }
            return None;
        };
        let mut illegal = |place: &Place, message: String, hint: &str| {
            self.faults.push(Fault::new(Rule::PersonAddressIllegal, place, message).hint(hint));
            None
        };
        let kind = match (&channel.kind, to) {
            (_, Field::Broken) => None,
            (Kind::Mail(mail), Field::Given(to)) => match to.parse::<Mailbox>() {
                Ok(mailbox) => {
                    let mut mail = mail.clone();
                    mail.to = vec![mailbox];
                    Some(Kind::Mail(mail))
                }
                Err(_) => illegal(&to.place, format!("`to`: \"{}\" is no mail address", to.escape_debug()), "write \"ann@example.org\""),
            },
            (Kind::Mail(_), Field::Absent) => {
                illegal(&name.place, format!("`to`: channel {} tells by mail, and the address is not said", name.value), hint)
            }
            (kind, Field::Given(to)) => illegal(
                &to.place,
                format!("`to`: channel {} is of type {}, and tells whom it tells", name.value, kind.name()),
                "leave it out: a channel of a person's own that is no mail is named alone",
            ),
            (kind, Field::Absent) if kind.is_personal() => Some(kind.clone()),
            (kind, Field::Absent) => illegal(
                &name.place,
                format!("`channel`: {} is of type {}, which tells no person", name.value, kind.name()),
                "name it in a route: channels = […]",
            ),
        };
        let channel = Channel { kind: kind?, heartbeat: None, ..channel.value.clone() };
        Some((channel, name.value))
    }

    /// When somebody is there, and when he or she is not to be disturbed either.
    fn windows(
        &mut self,
        hours: &Field<Texts>,
        quiet: &Field<Texts>,
        holidays: &Field<String>,
        zone: Option<Zone>,
    ) -> Option<(Option<Windows>, Option<Windows>)> {
        let holidays = check_holidays(holidays, self.almanac, self.faults);
        let there = check_hours("hours", hours, zone, holidays.clone(), self.faults);
        let silent = check_hours("quiet", quiet, zone, holidays.clone(), self.faults);
        let (there, silent, holidays) = (there?, silent?, holidays?.unwrap_or_default());
        let texts = |field: &Field<Texts>| match field {
            Field::Given(texts) => texts.items.iter().map(|text| text.value.clone()).collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        let (active, blackout) = (texts(hours), texts(quiet));
        let undisturbed = if silent.is_none() {
            there.clone()
        } else {
            Windows::parse(active.iter().map(String::as_str), blackout.iter().map(String::as_str), holidays).ok()?
        };
        let zone = zone?;
        let now = self.almanac.now().as_secs();
        for (key, field, windows) in [("hours", hours, &there), ("quiet", quiet, &undisturbed)] {
            if let (Field::Given(texts), Some(windows)) = (field, windows)
                && windows.opens_from(now, zone).is_none()
            {
                let message = match key {
                    "hours" => "`hours`: they never come again, nothing would be told",
                    _ => "`quiet`: it never ends while somebody is there, only what breaks through would be told",
                };
                let fault = Fault::new(Rule::PersonNeverThere, &texts.place, message);
                self.faults
                    .push(fault.hint("write windows that are to come: hours = \"MON-FRI 08:00-18:00\", quiet = \"daily 22:00-06:00\""));
                return None;
            }
        }
        Some((there, undisturbed))
    }

    /// The times of digests, and where they stand.
    fn digest(&mut self, field: Field<Texts>) -> Option<Option<(Vec<Moment>, Place)>> {
        const HINT: &str = "write digest = [\"08:00\", \"MON-FRI 16:00\"]";
        let At { value: texts, place } = match field {
            Field::Absent => return Some(None),
            Field::Broken => return None,
            Field::Given(texts) => texts,
        };
        let moments: Vec<Moment> = texts.items.iter().filter_map(|text| check_moment("digest", text, HINT, self.faults)).collect();
        if texts.items.is_empty() && texts.whole {
            self.faults.push(Fault::new(Rule::KeyMissing, &place, "`digest`: no time is named").hint(HINT));
        }
        (texts.whole && !moments.is_empty() && moments.len() == texts.items.len()).then_some(Some((moments, place)))
    }

    /// Holds a digest to the hours in which it could be told.
    fn comes(&mut self, digest: &Digest, place: &Place, zone: Zone, windows: Option<&Windows>) -> Option<()> {
        let found = digest.next_in(self.almanac.now().as_secs(), zone, windows);
        if found.is_none() {
            let fault = Fault::new(Rule::PersonNeverThere, place, "`digest`: at none of its times may anybody be told");
            self.faults.push(fault.hint("name a time that lies in `hours`, and not in `quiet`"));
        }
        found.map(drop)
    }

    /// What breaks through: a severity, or labels with one, or several of those.
    fn filters(&mut self, key: &'static str, field: Field<Data>) -> Option<Vec<Filter>> {
        let At { value, place } = match field {
            Field::Absent => return Some(Vec::new()),
            Field::Broken => return None,
            Field::Given(at) => at,
        };
        let items = match value {
            Data::List(items) => items,
            one => vec![At { value: one, place }],
        };
        let written = items.len();
        let filters: Vec<Filter> = items.into_iter().filter_map(|item| self.filter(key, item)).collect();
        (filters.len() == written).then_some(filters)
    }

    fn filter(&mut self, key: &str, At { value, place }: At<Data>) -> Option<Filter> {
        match value {
            Data::Text(text) => {
                let severity = check_severity(Field::Given(At { value: text, place }), self.faults)?;
                Some(Filter { severity, matches: None })
            }
            Data::Table(table) => {
                let mut reader = Reader::new("what breaks through", &KEYS_OF_FILTER, &table);
                let (severity, matches) = (reader.text("severity", self.faults), reader.text("match", self.faults));
                reader.finish(self.faults);
                let (severity, matches) = (check_severity(severity, self.faults), check_match(matches, self.faults));
                Some(Filter { severity: severity?, matches: matches?.map(|at| at.value) })
            }
            other => {
                let fault = misshapen(key, "a severity, or a table with `severity` and `match`", &other, &place);
                self.faults.extend(fault.map(|fault| fault.hint(format!("write {key} = \"critical\""))));
                None
            }
        }
    }
}

/// Reads a time of day that comes again.
pub(super) fn check_moment(key: &str, text: &At<String>, hint: &str, faults: &mut Faults) -> Option<Moment> {
    let moment = Moment::parse(text);
    if moment.is_none() {
        let message = format!("`{key}`: \"{}\" is no time of a day or a week", text.escape_debug());
        faults.push(Fault::new(Rule::MomentIllegal, &text.place, message).hint(hint));
    }
    moment
}
