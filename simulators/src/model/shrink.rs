//! A failing case made smaller: fewer faults, fewer sessions, the same check failing for the same session.

use super::case::Case;
use super::check::Outcome;
use super::machine::Tariffs;
use super::run::outcomes;

/// What fails in a case: the session and the check.
pub fn fails(case: &Case, session: usize, failing: &str, tariffs: &Tariffs) -> bool {
    match outcomes(&case.simulate(), tariffs).1.get(session) {
        Some(Outcome::Wrong(check)) => *check == failing,
        Some(Outcome::Held(_)) => failing == "held-without-fault",
        Some(Outcome::TooLittle { .. }) if case.faults.is_empty() => failing == "too-little-without-fault",
        Some(Outcome::TooLittle { silent: true }) => failing == "no-finding",
        _ => false,
    }
}

/// Leaves out whatever can be left out.
pub fn shrink(case: &Case, session: usize, failing: &str, tariffs: &Tariffs) -> Case {
    let mut small = case.clone();
    loop {
        let mut tries: Vec<Case> = Vec::new();
        for place in 0..small.faults.len() {
            let mut next = small.clone();
            next.faults.remove(place);
            tries.push(next);
        }
        for index in (0..case.simulate().world.sessions.len()).filter(|index| *index != session && !small.without.contains(index))
        {
            if case.simulate().world.sessions[index].closer {
                continue;
            }
            let mut next = small.clone();
            next.without.push(index);
            tries.push(next);
        }
        match tries.into_iter().find(|next| fails(next, session, failing, tariffs)) {
            Some(next) => small = next,
            None => return small,
        }
    }
}
