//! From the ends and the samples to one register curve: samples that contradict each other are left out, ends that the samples
//! disprove are replaced by a sample close by or hold the session.

use chrono::TimeDelta;

use super::limit::Limit;
use super::registers::{Ends, Point, START_STOP, drop_zeros, offset_relative, resolution};
use crate::fact::register::ROUNDING;
use crate::session::hold;
use crate::session::hold::Held;
use crate::units::{Finding, MilliWh, Time};

/// Samples that agree with each other before they disprove an end.
const MIN_AGREEING: usize = 2;
/// How far from the end that it stands in for a sample may lie: what flowed between is not billed.
const MAX_UNBILLED: TimeDelta = TimeDelta::minutes(30);
/// Earlier samples looked at for one that a sample can follow: bounds the work on nonsense.
const MAX_LOOK_BACK: usize = 64;

/// The ends that count, and the samples between them that fit.
pub(super) struct Fitted {
    pub ends: Ends,
    /// The step in which the meter counts.
    pub step: MilliWh,
    /// In time order, never falling, within the ends and strictly between start and end.
    pub inside: Vec<(Time, MilliWh)>,
}

/// Ends must fit the samples beside them, and each sample the one before, within what can flow between them.
pub(super) fn fit(
    mut points: Vec<Point>,
    ends: Ends,
    (start, end): (Time, Time),
    limit: &Limit,
    findings: &mut Vec<Finding>,
) -> Result<Fitted, Held> {
    let mut zeros = drop_zeros(&mut points, false);
    offset_relative(&mut points, &ends, findings);
    zeros.extend(drop_zeros(&mut points, ends.first.0 > 0));
    let zeros = zeros.into_iter().filter(|at| start < *at && *at < end).count();
    let mut inside: Vec<(Time, MilliWh)> =
        points.iter().filter(|point| start < point.at && point.at < end).map(|point| (point.at, point.register)).collect();
    inside.dedup();
    let step = resolution(inside.iter().map(|(_, register)| *register).chain([ends.first, ends.last]));
    let fits = |from: (Time, MilliWh), to: (Time, MilliWh)| {
        from.1 <= to.1 + ROUNDING && limit.allows_step(to.0 - from.0, MilliWh((to.1.0 - from.1.0).max(0)), step)
    };
    let total = inside.len() + zeros;
    let chain = longest_chain(&inside, &fits);
    let ends = check_ends(ends, (start, end), &chain, inside.len() == 1, &fits, findings)?;
    let Ends { first, last, .. } = ends;
    if last < first {
        return Err((hold::REGISTER_DECREASED, format!("start {} Wh, stop {} Wh", first.wh(), last.wh())));
    }
    let near = |register: MilliWh, end: MilliWh| register.0.abs_diff(end.0) <= ROUNDING.0.unsigned_abs();
    let mut run: Vec<(Time, MilliWh)> = chain
        .into_iter()
        .filter(|(_, register)| (first..=last).contains(register) || near(*register, first) || near(*register, last))
        .map(|(at, register)| (at, register.clamp(first, last)))
        .collect();
    // The rounding that a chain tolerates must not make the curve fall.
    let mut highest = first;
    for (_, register) in &mut run {
        highest = highest.max(*register);
        *register = highest;
    }
    if run.len() < total {
        let dropped = total - run.len();
        findings.push(Finding::new(
            "register-outliers",
            format!("{dropped} of {total} samples between start and stop do not fit and were left out"),
        ));
    }
    Ok(Fitted { ends, step, inside: run })
}

type Fits<'a> = dyn Fn((Time, MilliWh), (Time, MilliWh)) -> bool + 'a;

/// The longest run of samples of which each can follow the one before.
fn longest_chain(points: &[(Time, MilliWh)], fits: &Fits<'_>) -> Vec<(Time, MilliWh)> {
    if points.windows(2).all(|pair| fits(pair[0], pair[1])) {
        return points.to_vec();
    }
    let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(points.len());
    for (place, point) in points.iter().enumerate() {
        let before = (place.saturating_sub(MAX_LOOK_BACK)..place)
            .rev()
            .filter(|before| fits(points[*before], *point))
            .max_by_key(|before| (best[*before].0, *before));
        best.push((before.map_or(1, |before| best[before].0 + 1), before));
    }
    let mut next = (0..best.len()).max_by_key(|place| best[*place].0);
    let mut chain = Vec::new();
    while let Some(place) = next {
        chain.push(points[place]);
        next = best[place].1;
    }
    chain.reverse();
    chain
}

/// What the samples say about the ends.
fn check_ends(
    ends: Ends,
    (start, end): (Time, Time),
    chain: &[(Time, MilliWh)],
    is_only_sample: bool,
    fits: &Fits<'_>,
    findings: &mut Vec<Finding>,
) -> Result<Ends, Held> {
    let (Some(head), Some(tail)) = (chain.first().copied(), chain.last().copied()) else { return Ok(ends) };
    let (first_fits, last_fits) = (fits((start, ends.first), head), fits(tail, (end, ends.last)));
    // The only sample there is, far from both ends: one meter or the other is not this connector's.
    let is_alone = is_only_sample && !first_fits && !last_fits;
    if (chain.len() < MIN_AGREEING && !is_alone) || (first_fits && last_fits) {
        return Ok(ends);
    }
    let said =
        || format!("start {} Wh, samples {} to {} Wh, stop {} Wh", ends.first.wh(), head.1.wh(), tail.1.wh(), ends.last.wh());
    match (first_fits, last_fits) {
        (false, true) if head.0 - start <= MAX_UNBILLED => {
            let detail = format!("{}; the first sample counts", said());
            findings.push(Finding::new("start-register-disproved", detail));
            Ok(Ends { first: head.1, source: "samples", ..ends })
        }
        (true, false) if ends.last < tail.1 => Err((hold::REGISTER_DECREASED, said())),
        (true, false) if end - tail.0 <= MAX_UNBILLED => {
            let detail = format!("{}; the last sample counts", said());
            findings.push(Finding::new("stop-register-disproved", detail));
            Ok(Ends { last: tail.1, source: "samples", ..ends })
        }
        // Samples in another unit say nothing about the ends, which agree with each other.
        (false, false) if ends.source == START_STOP && in_another_unit(ends, chain) => Ok(ends),
        _ => Err((hold::REGISTER_DISPROVED, said())),
    }
}

/// The samples are the thousandth or a thousand times what lies between the ends: kWh labelled Wh, or the other way.
fn in_another_unit(ends: Ends, chain: &[(Time, MilliWh)]) -> bool {
    let within = |register: i64| (ends.first.0 - ROUNDING.0..=ends.last.0 + ROUNDING.0).contains(&register);
    chain.iter().all(|(_, register)| within(register.0 / 1000))
        || chain.iter().all(|(_, register)| register.0.checked_mul(1000).is_some_and(within))
}
