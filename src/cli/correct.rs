//! `forecourt correct`: asked of the running daemon.

use std::path::Path;
use std::time::Duration;

use super::ask;
use super::exit::{Exit, Failure};
use super::output::Output;
use crate::control::{Command, Correct};

/// A bill made again, and one commit.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn correct(socket: &Path, asked: Correct, output: &Output) -> Result<Exit, Failure> {
    let dry_run = asked.dry_run;
    let reply = ask::ask(socket, &Command::Correct(asked), PATIENCE)?;
    ask::ended(&reply)?;
    let made = reply.value();
    if output.machine() {
        output.object(&made)?;
        return Ok(Exit::Ok);
    }
    let text = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
    output.line(format!(
        "session {}: {} {currency} incl. VAT before, {} {currency} after",
        text("session_id"),
        text("cost_incl_vat_before"),
        output.strong(&text("cost_incl_vat_after")),
        currency = text("currency"),
    ))?;
    if dry_run {
        output.remark("nothing was changed");
        return Ok(Exit::Ok);
    }
    let charge = &made["new_charge_seq"];
    let anew =
        if charge.is_null() { "; it is not charged anew".to_owned() } else { format!(", charged anew by record {charge}") };
    output.line(format!("record {} is taken back by record {}{anew}", made["charge_seq"], made["credit_seq"]))?;
    Ok(Exit::Ok)
}
