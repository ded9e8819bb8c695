//! The grammar of `forecourt tariff` and `forecourt cdr`.

use std::path::PathBuf;

use chrono::NaiveDate;
use chrono_tz::Tz;
use clap::Subcommand;

use crate::units::Decimal;

#[derive(Debug, Subcommand)]
pub enum TariffVerb {
    /// Have the running daemon read the tariff files again, as SIGHUP does; sessions that run keep what they began with
    Reload {
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Read tariff files as the daemon would, and say what is wrong or odd about them
    Check {
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// For stations of this power, in kW
        #[arg(long, value_name = "KW")]
        power: Option<Decimal>,
    },
    /// A tariff in sentences, and its prices in a week
    Explain {
        file: PathBuf,
        /// The week of this day [default: this week]
        #[arg(long, value_name = "YYYY-MM-DD")]
        week: Option<NaiveDate>,
    },
    /// What differs between two tariff files
    Diff { before: PathBuf, after: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum CdrVerb {
    /// Price OCPI CDRs of another system again, and say line by line where they differ
    Verify {
        /// A CDR, a list of CDRs, or a response of a cdrs module
        file: PathBuf,
        /// Price by this tariff file [default: the tariff in the CDR]
        #[arg(long, value_name = "FILE")]
        tariff: Option<PathBuf>,
        /// Time zone of the location, such as Europe/Berlin [default: the site's]
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<Tz>,
        /// Differences up to this are none
        #[arg(long, value_name = "N", default_value = "0.01")]
        tolerance: Decimal,
    },
}
