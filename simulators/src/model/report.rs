//! Tables for people and for the documentation, and a failure described so that it can be understood without running it.

use std::fmt::Write;

use super::case::{Case, Simulated};
use super::check::Outcome;
use super::fault::Class;
use super::machine::{Bill, End, Kept, Tariffs};
use super::run::{self, Group, Report, Tally};
use super::script::{Body, Message, Name, Phase, Quantity, Tx};
use super::world::World;
use super::{MilliWh, Millis, SECOND};

/// The table of the documentation.
pub fn table(report: &Report) -> String {
    let mut text = String::from(
        "| class of fault | sessions | billed right | too little | held | wrong | held because, and what was wrong |\n|---|--:|--:|--:|--:|--:|---|\n",
    );
    let mut row = |name: &str, tally: &Tally| {
        let mut why: Vec<String> = tally.wrong.iter().map(|(check, count)| format!("**{check} {count}**")).collect();
        if tally.silent > 0 {
            why.push(format!("too little without a finding {}", tally.silent));
        }
        let mut held: Vec<(&String, &u64)> = tally.held.iter().collect();
        held.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        why.extend(held.iter().map(|(reason, count)| format!("{reason} {count}")));
        let reported = tally.sessions - tally.unreported;
        let _ = writeln!(
            text,
            "| {name} | {reported} | {} | {} | {} | {} | {} |",
            tally.right,
            tally.too_little,
            tally.helds(),
            tally.wrongs(),
            why.join(", ")
        );
    };
    for (group, tally) in &report.groups {
        row(group.name(), tally);
    }
    row("all", &report.total());
    text
}

/// What the classes mean, for the documentation.
pub fn legend() -> String {
    Class::ALL.iter().map(|class| format!("- `{}`: {}\n", class.name(), class.meaning())).collect()
}

/// A case: the truth, what was said, and what came of it.
pub fn describe(case: &Case, tariffs: &Tariffs) -> String {
    let simulated = case.simulate();
    let (kept, outcomes) = run::outcomes(&simulated, tariffs);
    let mut text = String::new();
    let faults: Vec<&str> = case.faults.iter().map(|fault| fault.class.name()).collect();
    let world = &simulated.world;
    let _ = writeln!(
        text,
        "seed {} faults [{}] without sessions {:?}\n{:?} {} W limit {} tariff {:?} resolution {} Wh interval {} s {}",
        case.seed,
        faults.join(", "),
        case.without,
        world.version,
        world.watts,
        if world.limit_known { "known" } else { "unknown" },
        world.tariff,
        world.resolution / 1_000,
        world.interval.unwrap_or(0) / SECOND,
        if world.lifetime { "lifetime register" } else { "register of the session" },
    );
    for (name, clock) in [("station clock", &world.clock), ("gateway clock", &world.gateway)] {
        for (from, error) in clock {
            let _ = writeln!(text, "{name} from {} off by {} s", clock_text(world, (*from).max(world.begin)), error / SECOND);
        }
    }
    for restart in &world.restarts {
        let _ = writeln!(text, "daemon restarts {}", clock_text(world, *restart));
    }
    truth(&mut text, &simulated, &outcomes);
    messages(&mut text, &simulated);
    sessions(&mut text, world, &kept);
    text
}

fn truth(text: &mut String, simulated: &Simulated, outcomes: &[Outcome]) {
    let world = &simulated.world;
    let _ = writeln!(text, "TRUTH");
    for (index, session) in world.sessions.iter().enumerate().filter(|(_, session)| !session.absent) {
        let parts: Vec<String> = session
            .parts
            .iter()
            .map(|part| format!("{:?} {} s {} W", part.what, (part.until - part.from) / SECOND, part.watts))
            .collect();
        let _ = writeln!(
            text,
            "  #{index} EVSE {} driver {} {}..{} {} Wh [{}]: {:?}",
            session.evse,
            session.tag,
            clock_text(world, session.start),
            clock_text(world, session.stop),
            wh(session.energy()),
            parts.join(", "),
            outcomes[index],
        );
    }
}

/// Runs of samples are shown as their first and last.
fn messages(text: &mut String, simulated: &Simulated) {
    let world = &simulated.world;
    let _ = writeln!(text, "MESSAGES (arrival: what it says; [n] is about session n; times are d+hh:mm:ss of the world)");
    let plain = |message: &Message| {
        message.tx().is_some_and(|tx| tx.phase == Phase::Update && tx.trigger != Some("ChargingStateChanged"))
    };
    let mut place = 0;
    while place < simulated.messages.len() {
        let message = &simulated.messages[place];
        let _ = writeln!(text, "  {}", line(world, message));
        let run = simulated.messages[place + 1..]
            .iter()
            .take_while(|next| plain(message) && plain(next) && next.of == message.of)
            .count();
        if run > 2 {
            let _ = writeln!(text, "    … {} more like it", run - 1);
            place += run;
        } else {
            place += 1;
        }
    }
}

fn line(world: &World, message: &Message) -> String {
    let mut text = format!("{} ", clock_text(world, message.sent));
    match message.of {
        Some(index) => _ = write!(text, "[{index}] "),
        None => text.push_str("    "),
    }
    match &message.body {
        Body::Boot => text.push_str("Boot"),
        Body::Status(status) => {
            _ = write!(text, "Status {} {} at {}", status.evse, status.state, maybe(world, status.at));
        }
        Body::Tx(tx) => tx_line(&mut text, world, message.id, tx),
    }
    text
}

fn tx_line(text: &mut String, world: &World, id: u64, tx: &Tx) {
    _ = write!(text, "{:?} m{id}", tx.phase);
    match &tx.name {
        Name::Nothing => text.push_str(" tx -"),
        Name::Given(index) => _ = write!(text, " tx of [{index}]"),
        Name::Text(name) => _ = write!(text, " tx {}", &name[..name.len().min(6)]),
    }
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            _ = write!(text, " {name} {value}");
        }
    };
    say("seq", tx.seq.map(|seq| seq.to_string()));
    say("EVSE", tx.evse.map(|evse| evse.to_string()));
    say("at", tx.at.map(|at| maybe(world, Some(at))));
    say("tag", tx.tag.map(|tag| tag.to_string()));
    say("register", tx.register.map(wh));
    say("state", tx.state.map(|state| format!("{state:?}")));
    say("reason", tx.reason.map(str::to_owned));
    say("offline", tx.offline.then(String::new));
    for reading in &tx.readings {
        let values: Vec<String> = reading
            .values
            .iter()
            .filter(|value| !matches!(value.quantity, Quantity::StateOfCharge | Quantity::Current))
            .map(|value| match value.quantity {
                Quantity::Power => format!("{} W", value.value),
                Quantity::Interval => format!("+{} Wh", wh(value.value)),
                _ => format!("{} Wh", wh(value.value)),
            })
            .collect();
        _ = write!(text, " {{{:?} {} {}}}", reading.context, maybe(world, reading.at), values.join(" "));
    }
}

fn sessions(text: &mut String, world: &World, kept: &[Kept]) {
    let _ = writeln!(text, "CAME OF IT");
    for kept in kept {
        let of = |index: Option<usize>| index.map_or("-".to_owned(), |index| format!("[{index}]"));
        let end = match &kept.end {
            End::Billed(bill) => billed(world, bill),
            End::Held(reason) => format!("HELD {reason}"),
            End::Open => "OPEN".to_owned(),
        };
        let _ = writeln!(
            text,
            "  session {} start of {} stop of {} messages of {:?}: {end} findings {:?}",
            kept.number,
            of(kept.start_of),
            of(kept.stop_of),
            kept.all_of,
            kept.findings
        );
    }
}

fn billed(world: &World, bill: &Bill) -> String {
    format!(
        "BILLED {} {}..{} {} Wh ({} to {}) parking {} s charging {} s {}.{:02} EUR",
        bill.tag.as_deref().unwrap_or("nobody"),
        clock_text(world, bill.start),
        clock_text(world, bill.end),
        wh(bill.last - bill.first),
        wh(bill.first),
        wh(bill.last),
        bill.idle / SECOND,
        bill.charging / SECOND,
        bill.cost / 100,
        bill.cost % 100
    )
}

fn wh(value: MilliWh) -> String {
    if value % 1_000 == 0 { (value / 1_000).to_string() } else { format!("{}.{:03}", value / 1_000, (value % 1_000).abs()) }
}

fn maybe(world: &World, at: Option<Millis>) -> String {
    at.map_or("no time".to_owned(), |at| clock_text(world, at))
}

/// Days and hours since the midnight before the world began.
fn clock_text(world: &World, at: Millis) -> String {
    let midnight = world.begin - world.begin.rem_euclid(super::DAY);
    let seconds = (at - midnight).div_euclid(SECOND);
    if seconds.abs() > 3_000 * 86_400 {
        return format!("1970+{}s", at / SECOND);
    }
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    format!("{days}+{:02}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60)
}

/// Each distinct failure: how often, and its shortest example, shrunk and described.
pub fn failures(report: &Report, tariffs: &Tariffs) -> String {
    let mut text = String::new();
    for ((group, failing), examples) in &report.failures {
        let count = report.groups.get(group).map_or(0, |tally| match *failing {
            "no-finding" => tally.silent,
            "held-without-fault" => tally.helds(),
            "too-little-without-fault" => tally.too_little,
            _ => tally.wrong.get(failing).copied().unwrap_or_default(),
        });
        let smaller = examples.iter().map(|(_, case, session)| {
            let small = super::shrink::shrink(case, *session, failing, tariffs);
            (describe(&small, tariffs), *session)
        });
        let Some((shortest, session)) = smaller.min_by_key(|(text, _)| text.len()) else { continue };
        let _ =
            writeln!(text, "### {failing} in {}: {count} sessions; here session #{session}\n```\n{shortest}```\n", group.name());
    }
    text
}

/// The group's place in the table; used by tests.
pub fn of(report: &Report, group: Group) -> Tally {
    report.groups.get(&group).cloned().unwrap_or_default()
}
