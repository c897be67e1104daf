//! A template file: its shape, and what it means.

use std::{collections::BTreeMap, time::Duration};

use hyper::header::HeaderName;

use super::requests::{Part, pointer};
use crate::{
    config::{
        At, Fault, Faults, Place, Rule,
        near::did_you_mean,
        reader::{Field, Reader},
        text::{Data, Table},
        timing::check_span,
    },
    ticket::{
        pattern::{Escape, Pattern},
        template::{Call, Comments, Create, Login, Read, Search, Setting, States, Template, Tried, Version},
    },
};

/// Every pattern of a file with its key and its place.
pub(super) type Places = Vec<(String, Place, Pattern)>;

/// Keys of the file.
const KEYS: [&str; 17] = [
    "comment",
    "comments",
    "create",
    "documents",
    "every",
    "link",
    "login",
    "name",
    "read",
    "reopen",
    "resolve",
    "search",
    "search_lag",
    "settings",
    "states",
    "take",
    "tried",
];
const KEYS_OF_EVERY: [&str; 2] = ["body", "headers"];
const KEYS_OF_SETTING: [&str; 4] = ["default", "help", "required", "secret"];
const KEYS_OF_CALL: [&str; 9] = ["among", "body", "fails", "headers", "made", "method", "path", "then", "which"];
const KEYS_OF_LOGIN: [&str; 10] = ["among", "body", "fails", "headers", "made", "method", "path", "session", "then", "which"];
const KEYS_OF_SEARCH: [&str; 15] = [
    "among",
    "bears",
    "body",
    "by",
    "exact",
    "fails",
    "headers",
    "id",
    "items",
    "made",
    "may_be_absent",
    "method",
    "path",
    "then",
    "which",
];
const KEYS_OF_CREATE: [&str; 12] =
    ["among", "body", "fails", "headers", "id", "key", "made", "method", "native_key", "path", "then", "which"];
const KEYS_OF_READ: [&str; 15] = [
    "among",
    "body",
    "closed_by",
    "fails",
    "headers",
    "id",
    "made",
    "method",
    "nobody",
    "owner",
    "path",
    "state",
    "then",
    "version",
    "which",
];
const KEYS_OF_COMMENTS: [&str; 19] = [
    "among",
    "author",
    "base64",
    "body",
    "each",
    "fails",
    "headers",
    "html",
    "id",
    "items",
    "kind",
    "made",
    "method",
    "newest_first",
    "only",
    "path",
    "text",
    "then",
    "which",
];
const KEYS_OF_STATES: [&str; 3] = ["closed", "open", "resolved"];
/// What `tried` may say.
const TRIED: [(&str, Tried); 2] = [("real", Tried::Real), ("scripted", Tried::Scripted)];
/// Longest time for which a search may not see what was made.
const LAG_MAX: Duration = Duration::from_hours(1);

/// Reads a file; nothing where anything in it is at fault, and that was told of.
pub(super) fn check(system: &str, tree: &At<Table>, source: &str, faults: &mut Faults) -> Option<(Template, Places)> {
    let mut places = Places::new();
    let before = faults.iter().count();
    let template = Walk { faults, places: &mut places, form: false }.template(system, tree, source);
    let whole = faults.iter().count() == before;
    template.filter(|_| whole).map(|template| (template, places))
}

struct Walk<'w> {
    faults: &'w mut Faults,
    places: &'w mut Places,
    form: bool,
}

impl Walk<'_> {
    fn template(mut self, system: &str, tree: &At<Table>, source: &str) -> Option<Template> {
        let mut reader = Reader::new("a template of tickets", &KEYS, &tree.value);
        let name =
            reader.text("name", self.faults).required("name", &tree.place, "what people call the system: name = \"Our desk\"", self.faults);
        let tried = reader.text("tried", self.faults);
        let tried = self.tried(&tried);
        let documents = reader.text_or_texts("documents", self.faults);
        let search_lag = reader.text("search_lag", self.faults);
        let search_lag = self.lag(&search_lag);
        let link = match reader.text("link", self.faults) {
            Field::Given(text) => self.part("link", &[], &tree.value, &tree.place).pattern("link", &text, Escape::Plain),
            _ => None,
        };
        let settings = reader.table("settings", self.faults);
        let settings = self.settings(settings);
        let headers = reader.table("every", self.faults);
        let headers = self.every(headers);
        let [login, search, create, read, comments] =
            ["login", "search", "create", "read", "comments"].map(|key| reader.table(key, self.faults));
        let [comment, resolve, reopen, take] = ["comment", "resolve", "reopen", "take"].map(|key| reader.table(key, self.faults));
        let states = reader.table("states", self.faults);
        reader.finish(self.faults);
        let create = create.required("create", &tree.place, "how a ticket is made: [create] with method, path, body and id", self.faults);
        let create_at = create.as_ref().map(|create| create.place.clone());
        let create = create.and_then(|table| self.create(&table));
        let template = Template {
            system: system.to_owned(),
            name: crate::plain(&name?.value),
            tried: tried?,
            documents: documents.given().map(|texts| texts.value.items.into_iter().map(|text| text.value).collect()).unwrap_or_default(),
            search_lag: search_lag?,
            settings,
            headers,
            link,
            login: login.given().and_then(|table| self.login(&table)),
            search: search.given().and_then(|table| self.search(&table)),
            create: create?,
            read: read.given().and_then(|table| self.read(&table)),
            comments: comments.given().and_then(|table| self.comments(&table)),
            comment: comment.given().and_then(|table| self.call("`[comment]`", &table)),
            resolve: resolve.given().and_then(|table| self.call("`[resolve]`", &table)),
            reopen: reopen.given().and_then(|table| self.call("`[reopen]`", &table)),
            take: take.given().and_then(|table| self.call("`[take]`", &table)),
            states: states.given().map(|table| self.states(&table)).unwrap_or_default(),
            source: source.into(),
        };
        if template.search.is_none() && !template.create.native_key && !tree.value.0.contains_key("search") {
            let message = "template: nothing tells whether a ticket was made already";
            let fault = Fault::new(Rule::TicketKeyless, &create_at.unwrap_or_else(|| tree.place.clone()), message);
            self.faults
                .push(fault.hint("write [search], or native_key = true in [create] where the system itself makes one ticket of one key"));
        }
        Some(template)
    }

    fn part<'p>(&'p mut self, what: &'static str, keys: &'static [&'static str], table: &'p Table, place: &'p Place) -> Part<'p> {
        Part { reader: Reader::new(what, keys, table), place, faults: self.faults, places: self.places, form: self.form }
    }

    fn tried(&mut self, text: &Field<String>) -> Option<Tried> {
        match text {
            Field::Absent => Some(Tried::Untold),
            Field::Broken => None,
            Field::Given(text) => {
                let found = TRIED.iter().find(|(word, _)| *word == text.value).map(|(_, tried)| *tried);
                if found.is_none() {
                    let message = format!("`tried`: \"{}\" is none of what it can be", text.escape_debug());
                    let hint = did_you_mean(text, "choices", TRIED.iter().map(|(word, _)| *word));
                    self.faults.push(Fault::new(Rule::ChannelChoiceUnknown, &text.place, message).hint(hint));
                }
                found
            }
        }
    }

    fn lag(&mut self, text: &Field<String>) -> Option<Duration> {
        if matches!(text, Field::Given(text) if text.value == "0s") {
            return Some(Duration::ZERO);
        }
        match check_span("search_lag", text, self.faults) {
            Field::Absent => Some(Duration::ZERO),
            Field::Broken => None,
            Field::Given(lag) if lag.value <= LAG_MAX => Some(lag.value),
            Field::Given(lag) => {
                let message = format!("`search_lag`: is not in the range 0.0 to {} seconds", crate::log::seconds(LAG_MAX));
                self.faults.push(Fault::new(Rule::ChannelTimeOutOfRange, &lag.place, message).hint("write \"30s\" or \"5m\""));
                None
            }
        }
    }

    fn settings(&mut self, tables: Field<Table>) -> BTreeMap<String, Setting> {
        let mut settings = BTreeMap::new();
        for (key, entry) in tables.given().map(|table| table.value.0).unwrap_or_default() {
            let Data::Table(table) = &entry.value.value else {
                self.faults.extend(crate::config::reader::misshapen(&key, "a table", &entry.value.value, &entry.value.place));
                continue;
            };
            let mut reader = Reader::new("a setting", &KEYS_OF_SETTING, table);
            let mut flag = |key| reader.flag(key, self.faults).given().is_some_and(|flag| flag.value);
            let (required, secret) = (flag("required"), flag("secret"));
            let mut text = |key| reader.text(key, self.faults).given().map(|text| text.value);
            let (default, help) = (text("default"), text("help").unwrap_or_default());
            reader.finish(self.faults);
            settings.insert(key, Setting { required, secret, default, help });
        }
        settings
    }

    fn every(&mut self, table: Field<Table>) -> Vec<(HeaderName, Pattern)> {
        let Field::Given(table) = table else { return Vec::new() };
        let mut part = self.part("`[every]`", &KEYS_OF_EVERY, &table.value, &table.place);
        let headers = part.headers();
        let body = part.reader.text("body", part.faults);
        let form = match body {
            Field::Given(text) => match text.as_str() {
                "json" => false,
                "form" => true,
                _ => {
                    let message = format!("`body`: \"{}\" is none of what it can be", text.escape_debug());
                    let hint = did_you_mean(&text, "choices", ["json", "form"]);
                    part.faults.push(Fault::new(Rule::ChannelChoiceUnknown, &text.place, message).hint(hint));
                    false
                }
            },
            _ => false,
        };
        let Part { reader, faults, .. } = part;
        reader.finish(faults);
        self.form = form;
        headers.unwrap_or_default()
    }

    fn call(&mut self, what: &'static str, table: &At<Table>) -> Option<Call> {
        let mut part = self.part(what, &KEYS_OF_CALL, &table.value, &table.place);
        let call = part.call();
        finish(part);
        call
    }

    fn login(&mut self, table: &At<Table>) -> Option<Login> {
        let mut part = self.part("`[login]`", &KEYS_OF_LOGIN, &table.value, &table.place);
        let (call, session) =
            (part.call(), part.needed("session", "where the answer says what lets the others in: session = \"/session_token\""));
        finish(part);
        Some(Login { call: call?, session: session? })
    }

    fn search(&mut self, table: &At<Table>) -> Option<Search> {
        let mut part = self.part("`[search]`", &KEYS_OF_SEARCH, &table.value, &table.place);
        let call = part.call();
        let items = part.needed("items", "where the list is: items = \"/items\", or \"\" where the answer is the list");
        let id = part.needed("id", "where one of the list says its id: id = \"/id\"");
        let (bears, may_be_absent) = (part.pointer("bears"), part.flag("may_be_absent"));
        let (exact, by) = (part.flag("exact"), part.pointer("by"));
        finish(part);
        let (call, items, id, bears) = (call?, items?, id?, bears?);
        Some(Search { call, items, id, bears, may_be_absent: may_be_absent?, exact: exact?, by: by? })
    }

    fn create(&mut self, table: &At<Table>) -> Option<Create> {
        let mut part = self.part("`[create]`", &KEYS_OF_CREATE, &table.value, &table.place);
        let (call, native_key) = (part.call(), part.flag("native_key"));
        let id = part.pointer("id");
        let key = part.reader.text("key", part.faults).given().map(|text| text.value);
        if native_key == Some(false) && id == Some(None) {
            let fault = Fault::new(Rule::KeyMissing, &table.place, "`id`: missing");
            part.faults.push(fault.hint("where the answer says the ticket's id: id = \"/id\""));
        }
        finish(part);
        Some(Create { call: call?, id: id?, native_key: native_key?, key })
    }

    fn read(&mut self, table: &At<Table>) -> Option<Read> {
        let mut part = self.part("`[read]`", &KEYS_OF_READ, &table.value, &table.place);
        let (call, state) = (part.call(), part.needed("state", "where the answer says the state: state = \"/status\""));
        let moved = part.pointer("id");
        let (owner, closed_by, nobody) = (part.pointer("owner"), part.pointer("closed_by"), part.texts("nobody"));
        let version = match part.reader.text("version", part.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            // A header's name, or a place in the answer.
            Field::Given(text) => match HeaderName::from_bytes(text.as_bytes()) {
                Ok(name) => Some(Some(Version::Header(name))),
                Err(_) => pointer("version", &text, part.faults).map(|pointer| Some(Version::Body(pointer))),
            },
        };
        finish(part);
        let nobody = nobody?.into_iter().map(|text| text.value).collect();
        Some(Read { call: call?, state: state?, version: version?, id: moved?, owner: owner?, closed_by: closed_by?, nobody })
    }

    fn comments(&mut self, table: &At<Table>) -> Option<Comments> {
        let mut part = self.part("`[comments]`", &KEYS_OF_COMMENTS, &table.value, &table.place);
        let call = part.call();
        let items = part.needed("items", "where the list is: items = \"/items\", or \"\" where the answer is the list");
        let id = part.needed("id", "where one of the list says its id: id = \"/id\"");
        let text = part.needed("text", "where it says what was written: text = \"/text\"");
        let (author, base64, newest_first) = (part.pointer("author"), part.flag("base64"), part.flag("newest_first"));
        let each = match part.reader.text("each", part.faults) {
            Field::Absent => Some(None),
            Field::Broken => None,
            Field::Given(path) => part.pattern("each", &path, Escape::Path).map(Some),
        };
        let (kind, html) = (part.pointer("kind"), part.flag("html"));
        let only = only(&mut part);
        finish(part);
        let (call, items, id, each) = (call?, items?, id?, each?);
        Some(Comments {
            call,
            items,
            id,
            each,
            author: author?,
            text: text?,
            kind: kind?,
            html: html?,
            base64: base64?,
            newest_first: newest_first?,
            only: only?,
        })
    }

    fn states(&mut self, table: &At<Table>) -> States {
        let mut part = self.part("`[states]`", &KEYS_OF_STATES, &table.value, &table.place);
        let [open, resolved, closed] = KEYS_OF_STATES_IN_ORDER.map(|key| {
            let texts = part.texts(key).unwrap_or_default();
            texts.iter().filter_map(|text| part.pattern(key, text, Escape::Plain)).collect()
        });
        finish(part);
        States { open, resolved, closed }
    }
}

/// The states in the order of a life.
const KEYS_OF_STATES_IN_ORDER: [&str; 3] = ["open", "resolved", "closed"];

fn finish(part: Part<'_>) {
    let Part { reader, faults, .. } = part;
    reader.finish(faults);
}

/// Which of a list are meant: `only = { "/type" = ["comment"] }`.
fn only(part: &mut Part<'_>) -> Option<Vec<(crate::ticket::template::Pointer, Vec<String>)>> {
    let table = match part.reader.table("only", part.faults) {
        Field::Absent => return Some(Vec::new()),
        Field::Broken => return None,
        Field::Given(table) => table.value,
    };
    let mut only = Vec::new();
    for (key, entry) in &table.0 {
        let at = pointer("only", &At { value: key.clone(), place: entry.key.clone() }, part.faults);
        let texts: Vec<String> = match &entry.value.value {
            Data::Text(text) => vec![text.clone()],
            Data::List(items) => {
                items.iter().filter_map(|item| if let Data::Text(text) = &item.value { Some(text.clone()) } else { None }).collect()
            }
            other => {
                part.faults.extend(crate::config::reader::misshapen("only", "a text or a list of texts", other, &entry.value.place));
                Vec::new()
            }
        };
        only.push((at?, texts));
    }
    Some(only)
}
