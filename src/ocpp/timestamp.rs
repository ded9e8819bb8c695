//! Times in every spelling that stations have been seen to use (OCPP 1.6 §3.15 ISO 8601; 2.0.1 Part 2 §2.1.2 RFC 3339;
//! docs/quirks.md Q33, Q34).
//!
//! Read: any fraction (cut to milliseconds), `Z` and `z`, offsets `+02:00`, `+0200`, `+02`, no zone at all (taken as UTC and said
//! so), a space for `T`, fields of one digit, missing seconds. Whether a readable time can be true (1970, next week) is for
//! those who know what time it is.

use chrono::{NaiveDate, TimeDelta};

use crate::units::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    Rfc3339,
    /// Unambiguous, but not RFC 3339.
    Odd,
    NoZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) time: Time,
    pub(super) spelling: Spelling,
}

pub(super) fn parse(text: &str) -> Option<Stamp> {
    let mut scan = Scan { rest: text.as_bytes(), odd: false };
    let year = scan.year()?;
    scan.expect(b"-")?;
    let month = scan.two_digits()?;
    scan.expect(b"-")?;
    let day = scan.two_digits()?;
    scan.odd |= scan.expect(b"Tt ")? == b' ';
    let hour = scan.two_digits()?;
    scan.expect(b":")?;
    let minute = scan.two_digits()?;
    let (mut second, mut millis) = (0, 0);
    if scan.expect(b":").is_some() {
        second = scan.two_digits()?;
        millis = scan.millis()?;
    } else {
        scan.odd = true;
    }
    if second == 60 {
        // A leap second: our time line has none, so it is the last instant of its minute.
        (second, millis) = (59, 999);
    }
    let local = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_milli_opt(hour, minute, second, millis)?;
    let offset = scan.offset()?;
    let time = local.checked_sub_signed(offset.unwrap_or_default())?.and_utc();
    let spelling = match (offset, scan.odd) {
        (None, _) => Spelling::NoZone,
        (Some(_), true) => Spelling::Odd,
        (Some(_), false) => Spelling::Rfc3339,
    };
    Some(Stamp { time, spelling })
}

struct Scan<'a> {
    rest: &'a [u8],
    odd: bool,
}

impl Scan<'_> {
    fn expect(&mut self, any_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        any_of.contains(first).then(|| {
            self.rest = rest;
            *first
        })
    }

    /// Up to `most` digits: their number and their count.
    fn digits(&mut self, most: usize) -> (u32, usize) {
        let count = self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        (digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')), count)
    }

    fn year(&mut self) -> Option<i32> {
        let (year, count) = self.digits(4);
        (count == 4).then_some(year)?.try_into().ok()
    }

    fn two_digits(&mut self) -> Option<u32> {
        let (number, count) = self.digits(2);
        self.odd |= count == 1;
        (count > 0).then_some(number)
    }

    /// The fraction of a second, cut to milliseconds; 0 when there is none.
    fn millis(&mut self) -> Option<u32> {
        let Some(separator) = self.expect(b".,") else { return Some(0) };
        self.odd |= separator == b',';
        let (number, count) = self.digits(3);
        while self.expect(b"0123456789").is_some() {}
        match count {
            0 => None,
            1 => Some(number * 100),
            2 => Some(number * 10),
            _ => Some(number),
        }
    }

    /// The offset from UTC up to the end of the text; `Some(None)` when no zone is given, `None` when it cannot be read.
    fn offset(&mut self) -> Option<Option<TimeDelta>> {
        if self.rest.is_empty() {
            return Some(None);
        }
        self.odd |= self.expect(b" ").is_some();
        let minutes = match self.expect(b"Zz+-")? {
            b'Z' | b'z' => 0,
            sign => {
                let hours = self.two_digits()?;
                self.odd |= self.expect(b":").is_none();
                let minutes = if self.rest.is_empty() { 0 } else { self.two_digits()? };
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let total = i64::from(hours * 60 + minutes);
                if sign == b'-' { -total } else { total }
            }
        };
        self.rest.is_empty().then(|| Some(TimeDelta::minutes(minutes)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Spelling::{NoZone, Odd, Rfc3339};
    use super::*;
    use crate::units::time::{from_millis, rfc3339};

    #[test]
    fn every_spelling_seen() {
        for (text, expected) in [
            ("2026-11-21T13:07:00Z", Some(("2026-11-21T13:07:00Z", Rfc3339))),
            ("2026-11-21t13:07:00z", Some(("2026-11-21T13:07:00Z", Rfc3339))),
            ("2026-11-21T13:07:00.5Z", Some(("2026-11-21T13:07:00.500Z", Rfc3339))),
            ("2026-11-21T13:07:00.123456789Z", Some(("2026-11-21T13:07:00.123Z", Rfc3339))),
            ("2026-11-21T13:07:00+02:00", Some(("2026-11-21T11:07:00Z", Rfc3339))),
            ("2026-11-21T13:07:00-03:30", Some(("2026-11-21T16:37:00Z", Rfc3339))),
            ("2026-11-21T13:07:00+0200", Some(("2026-11-21T11:07:00Z", Odd))),
            ("2026-11-21T13:07:00+02", Some(("2026-11-21T11:07:00Z", Odd))),
            ("2026-11-21 13:07:00Z", Some(("2026-11-21T13:07:00Z", Odd))),
            ("2026-11-21T3:07:00Z", Some(("2026-11-21T03:07:00Z", Odd))),
            ("2026-11-21T13:07Z", Some(("2026-11-21T13:07:00Z", Odd))),
            ("2026-11-21T13:07:00,25Z", Some(("2026-11-21T13:07:00.250Z", Odd))),
            ("2026-11-21T13:07:00", Some(("2026-11-21T13:07:00Z", NoZone))),
            ("2026-11-21 13:07:00.750", Some(("2026-11-21T13:07:00.750Z", NoZone))),
            ("2016-12-31T23:59:60Z", Some(("2016-12-31T23:59:59.999Z", Rfc3339))),
            ("1970-01-01T00:00:00.740Z", Some(("1970-01-01T00:00:00.740Z", Rfc3339))),
            ("0001-01-01T00:00:00Z", Some(("0001-01-01T00:00:00Z", Rfc3339))),
            ("2026-02-30T00:00:00Z", None),
            ("2026-11-21T25:00:00Z", None),
            ("2026-11-21T13:07:00.Z", None),
            ("2026-11-21T13:07:00+99:00", None),
            ("2026-11-21T13:07:00 CET", None),
            ("2026-11-21", None),
            ("21.11.2026 13:07", None),
            ("N/A", None),
            ("", None),
        ] {
            let read = parse(text).map(|stamp| (rfc3339(stamp.time), stamp.spelling));
            assert_eq!(read, expected.map(|(time, spelling)| (time.to_owned(), spelling)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn our_own_times_come_back(millis in 0_i64..4_102_444_800_000) {
            let time = from_millis(millis);
            prop_assert_eq!(parse(&rfc3339(time)), Some(Stamp { time, spelling: Rfc3339 }));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-+0-9:.,TtZz ]{0,40}|.*") {
            let _ = parse(&text);
        }
    }
}
