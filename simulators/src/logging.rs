//! Log lines of these programs, on stderr.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// `usual`: `level` or `target=level,…`, as `RUST_LOG` has it, which counts when it is set.
pub fn start(usual: &str, with_colour: bool) {
    let wanted = std::env::var("RUST_LOG").ok().and_then(|text| text.parse().ok());
    let targets: Targets = wanted.or_else(|| usual.parse().ok()).unwrap_or_default();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(with_colour);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
