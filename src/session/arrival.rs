//! What is known about a message beside what it says.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::tariff_choice::TariffChoice;
use crate::fact::TokenInfo;
use crate::units::{Decimal, Received, StationId, Time, Token, Version};

/// A message's station and time, and what was decided about them before its session is looked for.
pub struct Arrival<'a> {
    pub station: &'a StationId,
    pub version: Version,
    pub received: Received,
    /// When it happened, as far as the station is believed.
    pub at: Time,
    /// `at` is the station's own time.
    pub timed: bool,
    /// The station is accepted, neither in the inbox nor blocked.
    pub is_served: bool,
    /// What the token was answered; `None`: it had none.
    pub token_info: Option<TokenInfo>,
    pub tariffs: &'a TariffChoice,
    /// A token's own tariff, where the list names one.
    pub tariff_of: &'a dyn Fn(&Token) -> Option<&'a str>,
    /// The site's: sessions are named by its days.
    pub time_zone: Tz,
    pub max_power_kw: Option<Decimal>,
    /// By how much the station's clock is off, where its messages show it.
    pub clock_lag: Option<TimeDelta>,
    /// 1.6: connectors that sent a status, and whether their last one says that a vehicle charges there, or is held back.
    pub in_use: &'a BTreeMap<u32, bool>,
}
