//! What has to be so at the end: one ticket for each problem, every step of it in there once, all of them resolved, and nobody's doings made up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::desk::Made;

/// What was found.
pub(crate) struct Judged {
    /// What is not as it should be.
    pub(crate) wrong: Vec<String>,
    pub(crate) tickets: usize,
    /// Tickets that tell of several alarms.
    pub(crate) of_several: usize,
}

/// What belongs into one ticket.
#[derive(Default)]
struct Problem {
    key: String,
    objects: BTreeSet<String>,
    steps: BTreeSet<u64>,
}

/// Holds what the system has to what the daemon knows of its alarms.
pub(crate) fn judge(alarms: &[Value], tickets: &[Made]) -> Judged {
    let mut wrong = Vec::new();
    // Alarms of one node are one problem; else each object is.
    let mut problems: BTreeMap<String, Problem> = BTreeMap::new();
    for whole in alarms {
        let number = &whole["alarm"]["number"];
        let label = |key: &str| {
            let labels = whole["alarm"]["labels"].as_array().into_iter().flatten();
            labels.filter(|label| label[0] == key).find_map(|label| label[1].as_str()).map(str::to_owned)
        };
        let object = label("object").unwrap_or_default();
        let problem = problems.entry(label("node").unwrap_or_else(|| object.clone())).or_default();
        let keys: Vec<&str> = whole["tickets"].as_array().into_iter().flatten().filter_map(|ticket| ticket["key"].as_str()).collect();
        match keys.as_slice() {
            [key] if problem.key.is_empty() || problem.key == *key => problem.key = (*key).to_owned(),
            _ => wrong.push(format!("alarm {number} of {object}: tickets {keys:?} where others have {}", problem.key)),
        }
        problem.objects.insert(object);
        let steps = || whole["steps"].as_array().into_iter().flatten();
        problem.steps.extend(steps().filter(|step| step["step"] != "closed").filter_map(|step| step["seq"].as_u64()));
        // These come by message, and say who sent it.
        let is_sent = |step: &Value| ["raised", "changed", "cleared", "closed"].map(Value::from).contains(&step["step"]);
        let done = steps().filter(|step| step["by"].is_string() && !is_sent(step));
        wrong.extend(done.map(|step| format!("alarm {number}: nobody did {step}")));
    }
    let mut of_keys: BTreeMap<&str, Vec<&Made>> = BTreeMap::new();
    tickets.iter().for_each(|ticket| of_keys.entry(&ticket.key).or_default().push(ticket));
    for (name, problem) in &problems {
        let found = of_keys.remove(problem.key.as_str()).unwrap_or_default();
        wrong.extend(found.iter().filter(|ticket| ticket.state != "resolved").map(|it| format!("{name}: {} is {}", it.id, it.state)));
        let true_ones: Vec<&&Made> = found.iter().filter(|ticket| !ticket.is_duplicate()).collect();
        let [ticket] = true_ones.as_slice() else {
            wrong.push(format!("{name}: {} tickets, {} of them beside duplicates", found.len(), true_ones.len()));
            continue;
        };
        let mark = |text: &String| text.rsplit_once(&format!("{}/", problem.key))?.1.trim().parse().ok();
        let mut told: Vec<u64> = ticket.texts.iter().filter_map(mark).collect();
        told.sort_unstable();
        if told != problem.steps.iter().copied().collect::<Vec<_>>() {
            wrong.push(format!("{name}: steps {told:?} are told of {:?}", problem.steps));
        }
        let whole = ticket.title.clone() + &ticket.texts.concat();
        let missing = problem.objects.iter().filter(|object| !whole.contains(object.as_str()));
        wrong.extend(missing.map(|object| format!("{name}: {object} is not named in ticket {}", ticket.id)));
    }
    wrong.extend(of_keys.keys().map(|key| format!("{key}: nobody asked for it")));
    let of_several = problems.values().filter(|problem| problem.objects.len() > 1).count();
    Judged { wrong, tickets: problems.len(), of_several }
}
