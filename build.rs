//! The day on which the program was built, as seconds since 1970: a clock that reads earlier is wrong. `SOURCE_DATE_EPOCH` stands in
//! for today where builds have to be repeatable. Only the day counts, and only a fresh build asks again.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let named = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse::<u64>().ok());
    #[expect(clippy::disallowed_methods, reason = "the day of the build is what this program asks for")]
    let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let built = named.unwrap_or(today);
    println!("cargo::rustc-env=FORECOURT_BUILT={}", built - built % DAY);
}
