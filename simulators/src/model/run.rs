//! Many cases, in threads; what is counted does not depend on how many threads there are.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use super::case::{Case, Simulated};
use super::check::{Outcome, check};
use super::fault::Class;
use super::machine::{self, Kept, Tariffs};
use super::shape::Marks;

/// Cases handed to a thread at a time.
const BATCH: u64 = 256;
/// Examples kept of each distinct failure; the shortest is printed.
const EXAMPLES: usize = 8;

/// Wrong bills that are known and not mended yet, in sessions with several faults at once: at most so many in a thousand. With one
/// fault at a time there are next to none: at most [`ALONE_PER_MILLION`]. The numbers only ever go down; `docs/model.md` names the cases.
const MIXED_PER_THOUSAND: u64 = 1;
const ALONE_PER_MILLION: u64 = 5;

/// Where a session is counted: in its class, in a mixture, or beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    NoFault,
    /// Sessions of the same script that no fault touched, the clean ones at the end among them.
    Beside,
    Alone(Class),
    Two,
    More,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub sessions: u64,
    pub right: u64,
    pub too_little: u64,
    /// Of those: with altered inputs and no finding.
    pub silent: u64,
    pub unreported: u64,
    pub held: BTreeMap<String, u64>,
    pub wrong: BTreeMap<&'static str, u64>,
}

/// A failure: its group and its check; of the cases those with the lowest numbers, with the session that fails.
pub type Failures = BTreeMap<(Group, &'static str), Vec<(u64, Case, usize)>>;

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub groups: BTreeMap<Group, Tally>,
    pub failures: Failures,
    pub cases: u64,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.sessions += 1;
        match outcome {
            Outcome::Right => self.right += 1,
            Outcome::TooLittle { silent } => {
                self.too_little += 1;
                self.silent += u64::from(*silent);
            }
            Outcome::Held(reason) => *self.held.entry(reason.clone()).or_default() += 1,
            Outcome::Wrong(check) => *self.wrong.entry(check).or_default() += 1,
            Outcome::Unreported => self.unreported += 1,
        }
    }

    pub fn join(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.right += other.right;
        self.too_little += other.too_little;
        self.silent += other.silent;
        self.unreported += other.unreported;
        other.held.iter().for_each(|(reason, count)| *self.held.entry(reason.clone()).or_default() += count);
        other.wrong.iter().for_each(|(check, count)| *self.wrong.entry(check).or_default() += count);
    }

    pub fn wrongs(&self) -> u64 {
        self.wrong.values().sum()
    }

    pub fn helds(&self) -> u64 {
        self.held.values().sum()
    }
}

impl Report {
    /// No more bills are wrong than are known to be. `Err` says which are.
    pub fn check(&self) -> Result<(), String> {
        let (mut mixed, mut alone) = ((0, 0), (0, 0));
        for (group, tally) in &self.groups {
            let sum = if matches!(group, Group::Two | Group::More) { &mut mixed } else { &mut alone };
            *sum = (sum.0 + tally.sessions, sum.1 + tally.wrongs());
        }
        let too_many = |(sessions, wrong): (u64, u64), allowed: u64, of: u64| wrong * of > (sessions * allowed).max(of);
        if too_many(mixed, MIXED_PER_THOUSAND, 1_000) || too_many(alone, ALONE_PER_MILLION, 1_000_000) {
            return Err(format!(
                "{} of {} sessions with several faults are wrong, known are {MIXED_PER_THOUSAND} in a thousand; \
                 {} of {} with at most one, known are {ALONE_PER_MILLION} in a million",
                mixed.1, mixed.0, alone.1, alone.0
            ));
        }
        Ok(())
    }

    fn join(&mut self, other: Self) {
        self.cases += other.cases;
        other.groups.iter().for_each(|(group, tally)| self.groups.entry(*group).or_default().join(tally));
        for (key, examples) in other.failures {
            let known = self.failures.entry(key).or_default();
            known.extend(examples);
            known.sort_by_key(|(number, ..)| *number);
            known.truncate(EXAMPLES);
        }
    }

    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.groups.values().for_each(|tally| total.join(tally));
        total
    }

    /// Runs one case and counts it.
    pub fn add(&mut self, number: u64, case: Case, tariffs: &Tariffs) {
        let simulated = case.simulate();
        let (_, outcomes) = outcomes(&simulated, tariffs);
        for (key, session) in self.count(&case, &simulated, &outcomes) {
            let known = self.failures.entry(key).or_default();
            if known.len() < EXAMPLES {
                known.push((number, case.clone(), session));
            }
        }
    }

    /// Counts what became of a case, and names what failed: group and check, and the session.
    pub fn count(&mut self, case: &Case, simulated: &Simulated, outcomes: &[Outcome]) -> Vec<((Group, &'static str), usize)> {
        self.cases += 1;
        let group = Group::of(case);
        let mut failures = Vec::new();
        for (index, outcome) in outcomes.iter().enumerate().filter(|(index, _)| !simulated.world.sessions[*index].absent) {
            let wrong = matches!(outcome, Outcome::Wrong(_));
            let touched = case.faults.is_empty() || wrong || Marks::has(simulated.marks.touched, index);
            let group = if touched { group } else { Group::Beside };
            self.groups.entry(group).or_default().add(outcome);
            let failed = match outcome {
                Outcome::Wrong(check) => *check,
                Outcome::Held(_) if group == Group::NoFault => "held-without-fault",
                Outcome::TooLittle { .. } if group == Group::NoFault => "too-little-without-fault",
                Outcome::TooLittle { silent: true } => "no-finding",
                _ => continue,
            };
            failures.push(((group, failed), index));
        }
        failures
    }
}

/// What the machine made of a case, and the outcome of each true session. A panic of the machine, which the daemon would survive
/// by holding the session, counts as wrong for the first session.
pub fn outcomes(simulated: &Simulated, tariffs: &Tariffs) -> (Vec<Kept>, Vec<Outcome>) {
    match catch_unwind(AssertUnwindSafe(|| machine::play(&simulated.world, &simulated.messages, tariffs))) {
        Ok(kept) => {
            let outcomes = check(&simulated.world, &simulated.messages, &simulated.marks, &kept);
            (kept, outcomes)
        }
        Err(_) => {
            let first = simulated.world.sessions.iter().position(|session| !session.absent);
            let outcome = |index: usize| if Some(index) == first { Outcome::Wrong("panic") } else { Outcome::Unreported };
            (Vec::new(), (0..simulated.world.sessions.len()).map(outcome).collect())
        }
    }
}

impl Group {
    pub fn of(case: &Case) -> Self {
        match &case.faults[..] {
            [] => Self::NoFault,
            [fault] => Self::Alone(fault.class),
            [_, _] => Self::Two,
            _ => Self::More,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::NoFault => "no fault",
            Self::Beside => "beside faulty ones",
            Self::Alone(class) => class.name(),
            Self::Two => "two faults",
            Self::More => "three to five faults",
        }
    }
}

/// The seed of a case of a run.
pub fn seed_of(seed: u64, number: u64) -> u64 {
    // SplitMix64, so that neighbours share nothing.
    let mut mixed = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Runs cases until that many sessions took place.
pub fn run(seed: u64, sessions: u64, only: &[Class], threads: usize, tariffs: &Tariffs) -> Report {
    // A fixed number of cases, so that the same seed gives the same report: a case has about four and a half sessions.
    let cases = (sessions * 2 / 9).max(1);
    let next = AtomicU64::new(0);
    let work = || {
        let mut report = Report::default();
        loop {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            if from >= cases {
                return report;
            }
            for number in from..(from + BATCH).min(cases) {
                report.add(number, Case::new(seed_of(seed, number), only), tariffs);
            }
        }
    };
    let mut all = Report::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(report) => all.join(report),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    all
}
