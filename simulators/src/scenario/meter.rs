//! An energy meter in integers: power in watts, time in seconds, so energy in watt-seconds without a rest lost.

const WS_PER_WH: i64 = 3600;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    register_wh: i64,
    /// Below one watt-hour; carried on.
    rest_ws: i64,
    delivered_wh: i64,
}

impl Meter {
    pub fn new(register_wh: i64) -> Self {
        Self { register_wh, rest_ws: 0, delivered_wh: 0 }
    }

    pub fn run(&mut self, watts: i64, seconds: i64) {
        let ws = self.rest_ws + watts * seconds;
        self.register_wh += ws / WS_PER_WH;
        self.delivered_wh += ws / WS_PER_WH;
        self.rest_ws = ws % WS_PER_WH;
    }

    /// What the display shows.
    pub fn register_wh(&self) -> i64 {
        self.register_wh
    }

    /// What flowed since this meter began, whatever the register did.
    pub fn delivered_wh(&self) -> i64 {
        self.delivered_wh
    }

    pub fn reset(&mut self, to_wh: i64) {
        self.register_wh = to_wh;
        self.rest_ws = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_between_readings() {
        let mut meter = Meter::new(500);
        for _ in 0..3600 {
            meter.run(11_000, 1);
        }
        assert_eq!((meter.register_wh(), meter.delivered_wh()), (11_500, 11_000));
        meter.reset(0);
        meter.run(7_200, 30);
        assert_eq!((meter.register_wh(), meter.delivered_wh()), (60, 11_060));
    }
}
