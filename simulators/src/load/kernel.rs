//! What the kernel counted for a process: CPU from `/proc/PID/stat`, bytes written from `/proc/PID/io`, resident memory
//! from `/proc/PID/status`; and for a core, how long it was busy, from `/proc/stat`.
//!
//! `stat` counts in ticks of 10 ms, which is coarse when a server is nearly idle. The scheduler's nanoseconds in
//! `task/*/schedstat` are used instead whenever they agree with it; they do not when a thread has ended meanwhile.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Linux counts user-visible ticks in hundredths of a second on every architecture we run on.
const TICK_US: u64 = 10_000;
/// Rounding of `stat`, and what runs between two reads.
const AGREE_US: u64 = 40_000;

/// A reading of the counters, at one instant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    stat_us: u64,
    threads_us: u64,
    write_bytes: u64,
    core_busy_us: u64,
}

/// What a process spent between two readings.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    pub cpu_us: u64,
    pub write_bytes: u64,
    /// Resident memory at the end.
    pub rss_kb: u64,
    /// How long core 0, the servers' core, was busy or stolen, whoever did it.
    pub core_busy_us: u64,
}

impl Counters {
    pub fn read(pid: u32) -> Result<Self> {
        Ok(Self {
            stat_us: stat_cpu_us(pid)?,
            threads_us: threads_cpu_us(pid),
            write_bytes: field(&format!("/proc/{pid}/io"), "write_bytes:")?,
            core_busy_us: busy_us("cpu0")?,
        })
    }

    /// What was spent since `self` was read.
    pub fn spent(&self, pid: u32) -> Result<Spent> {
        let now = Self::read(pid)?;
        let by_stat = now.stat_us.saturating_sub(self.stat_us);
        let by_threads = now.threads_us.saturating_sub(self.threads_us);
        Ok(Spent {
            cpu_us: if by_stat.abs_diff(by_threads) <= AGREE_US { by_threads } else { by_stat },
            write_bytes: now.write_bytes.saturating_sub(self.write_bytes),
            rss_kb: rss_kb(pid)?,
            core_busy_us: now.core_busy_us.saturating_sub(self.core_busy_us),
        })
    }
}

pub fn rss_kb(pid: u32) -> Result<u64> {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// CPU time of the calling process' first thread, in nanoseconds.
pub fn own_cpu_ns() -> Result<u64> {
    first_number(&read("/proc/self/schedstat")?)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn first_number(text: &str) -> Result<u64> {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).context("no number where one was expected")
}

fn field(path: &str, name: &str) -> Result<u64> {
    let text = read(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} in {path}"))?;
    first_number(line)
}

fn stat_cpu_us(pid: u32) -> Result<u64> {
    let text = read(&format!("/proc/{pid}/stat"))?;
    // The second field is the command in parentheses and may hold anything; utime and stime are fields 14 and 15.
    let (_, rest) = text.rsplit_once(')').context("no command in stat")?;
    let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Ok(ticks * TICK_US)
}

/// Sum over the threads that live now; 0 where the kernel keeps no such count.
fn threads_cpu_us(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let nanoseconds: u64 = tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| first_number(&text).ok())
        .sum();
    nanoseconds / 1000
}

/// How long all cores together were busy since the host started.
pub fn host_busy_us() -> Result<u64> {
    busy_us("cpu")
}

/// A line of `/proc/stat`: `cpu0` is a core, `cpu` all of them.
fn busy_us(name: &str) -> Result<u64> {
    let text = read("/proc/stat")?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let (_, line) = lines.find(|(first, _)| *first == name).context("no such core")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let busy: u64 = ticks.iter().take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, ticks)| ticks).sum();
    Ok(busy * TICK_US)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_process_is_seen() -> Result<()> {
        let pid = std::process::id();
        let before = Counters::read(pid)?;
        let start = own_cpu_ns()?;
        let mut number = 1u64;
        for step in 0..50_000_000u64 {
            number = std::hint::black_box(number.wrapping_mul(31).wrapping_add(step));
        }
        let spent = before.spent(pid)?;
        assert!(spent.cpu_us > 1000 && spent.rss_kb > 500, "{spent:?}");
        assert!(own_cpu_ns()? >= start);
        Ok(())
    }
}
