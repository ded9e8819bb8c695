//! What the writer keeps in memory of a station: derived from the store, and read again after a failed commit.

use std::collections::VecDeque;

/// Rows of frames that say nothing, per station.
pub(super) const PER_MINUTE: u32 = 60;
pub(super) const PER_DAY: u32 = 1_000;
/// Codes of findings logged once per station and start; then the log stays quiet about them.
const MAX_WARNED: usize = 64;

/// What the writer remembers of a station.
pub(super) struct KnownStation {
    pub(super) number: i64,
    pub(super) last_message_at: Option<i64>,
    pub(super) written_at: i64,
    /// (hash of the message id, journal row).
    pub(super) remembered: VecDeque<(u64, i64)>,
    /// Codes of findings that were logged already.
    warned: Vec<Box<str>>,
    /// It has said something valid.
    pub(super) proven: bool,
    pub(super) noise: Noise,
    /// When a status from before the present connection came last.
    pub(super) last_replay: Option<i64>,
}

impl KnownStation {
    pub(super) fn new(number: i64) -> Self {
        Self {
            number,
            last_message_at: None,
            written_at: 0,
            remembered: VecDeque::new(),
            warned: Vec::new(),
            proven: false,
            noise: Noise::default(),
            last_replay: None,
        }
    }

    /// Whether a finding of this code is new for the log; the journal has every one.
    pub(super) fn first(&mut self, code: &str) -> bool {
        if self.warned.iter().any(|known| &**known == code) {
            return false;
        }
        if self.warned.len() == MAX_WARNED {
            self.warned.clear();
        }
        self.warned.push(code.into());
        true
    }
}

/// Rows of noise that a station has filled lately, and what was left out since it was last written down.
#[derive(Default)]
pub(super) struct Noise {
    minute: (i64, u32),
    day: (i64, u32),
    pub(super) left_out: u32,
    pub(super) told_at: Option<i64>,
}

impl Noise {
    /// Whether another row fits.
    pub(super) fn fits(&mut self, now: i64) -> bool {
        let count = |span: &mut (i64, u32), length: i64| {
            let number = now / length;
            if span.0 != number {
                *span = (number, 0);
            }
            span.1 += 1;
            span.1
        };
        let (minute, day) = (count(&mut self.minute, 60_000), count(&mut self.day, 86_400_000));
        minute <= PER_MINUTE && day <= PER_DAY
    }
}
