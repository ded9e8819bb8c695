//! Epochs: whose store this is, and whether its chain may go on where the file ends.
//!
//! A (site, epoch, seq) is never signed twice with different bytes. So when there is reason to believe that records were made
//! which this file does not have, its epoch is closed and a new one begins, with a problem for a person. The old one is never
//! used again; its records stay, can be verified, and are still sent.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};
use tracing::error;

use super::epoch_file::EpochFile;
use super::errors::StoreError;
use super::file::FileMark;
use super::restore;
use crate::session::hold;
use crate::units::{Received, Time, time};

/// How far 1.6 transaction ids jump with a new epoch: beyond what the lost part of the old one can have given.
const TX_JUMP: i64 = 1_000_000;

/// Whose store it is; written at creation, `time_zone` and `currency` at each start (for the views).
#[derive(Clone, Debug)]
pub struct SiteFacts {
    pub site: String,
    pub time_zone: String,
    pub currency: String,
    pub version: String,
    pub stations: Vec<ConfiguredStation>,
    /// The machine, where it has an id.
    pub host: Option<String>,
    /// The file that knows the end of the chain independently of the store.
    pub epoch_file: PathBuf,
}

/// What the configuration says of a station.
#[derive(Clone, Debug)]
pub struct ConfiguredStation {
    /// As it is spelled there.
    pub id: String,
    /// For people.
    pub label: Option<String>,
    pub area: Option<String>,
}

/// What is used to number things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) epoch: i64,
    pub(super) tx_offset: i64,
}

/// Where the file is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) mark: FileMark,
    pub(super) host: Option<String>,
}

/// Why a new epoch begins: a code, and a sentence for a person.
pub(super) type Doubt = (&'static str, String);

/// What the store says of itself.
struct Known {
    epoch: i64,
    last: u64,
    /// Of the record that the epoch file names.
    hash: Option<String>,
    has_epoch_file: bool,
    home: Option<Home>,
}

/// Says whose store this is, begins a new epoch where there is reason, and notes that a daemon starts.
pub(super) fn identify(
    connection: &mut Connection,
    facts: &SiteFacts,
    home: &Home,
    epoch_file: Option<&EpochFile>,
    now: Received,
) -> Result<Life, StoreError> {
    let transaction = connection.transaction()?;
    let millis = time::to_millis(now.at);
    let today = local_day(facts, now.at);
    let life = match read(&transaction)? {
        None => create(&transaction, facts, epoch_file, &today, now)?,
        Some(life) => match doubt(&known(&transaction, life, epoch_file)?, home, epoch_file) {
            None => life,
            Some(doubt) => {
                renew(&transaction, &doubt, epoch_file.map_or(0, |epoch_file| epoch_file.epoch), Some(&today), now.at)?
            }
        },
    };
    transaction.execute(
        "UPDATE site SET started_at = ?1, alive_at = ?1, version = ?2, time_zone = ?3, currency = ?4",
        params![millis, facts.version, facts.time_zone, facts.currency],
    )?;
    transaction.execute(
        "INSERT INTO home (id, inode, made_at_ns, host, witnessed) VALUES (1, ?1, ?2, ?3, 0) ON CONFLICT (id) DO UPDATE \
         SET inode = excluded.inode, made_at_ns = excluded.made_at_ns, host = excluded.host",
        params![home.mark.inode.cast_signed(), home.mark.made_at_ns, home.host],
    )?;
    transaction.commit()?;
    Ok(life)
}

/// An epoch file of this store exists from now on.
pub(super) fn note_epoch_file(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE home SET witnessed = 1", []).map(drop)
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Life>> {
    let life = |row: &rusqlite::Row<'_>| Ok(Life { epoch: row.get(0)?, tx_offset: row.get(1)? });
    connection.query_row("SELECT epoch, tx_offset FROM site", [], life).optional()
}

/// Today by the site's calendar, YYYYMMDD.
fn local_day(facts: &SiteFacts, now: Time) -> String {
    let zone = facts.time_zone.parse().unwrap_or(chrono_tz::Tz::UTC);
    now.with_timezone(&zone).format("%Y%m%d").to_string()
}

fn create(
    connection: &Connection,
    facts: &SiteFacts,
    epoch_file: Option<&EpochFile>,
    today: &str,
    now: Received,
) -> Result<Life, StoreError> {
    let millis = time::to_millis(now.at);
    // A clock that is wrong begins at the same instant each time: chance keeps stores that are made anew apart.
    let (made, seconds) = match now.proven {
        true => (millis, millis / 1000),
        false => (millis + fastrand::i64(0..86_400_000), fastrand::i64(0..1_000_000_000)),
    };
    let epoch = made.max(epoch_file.map_or(0, |epoch_file| epoch_file.epoch + 1));
    // Seeded from the clock, so that a store that is made anew does not repeat the ids of the one before.
    let life = Life { epoch, tx_offset: seconds.rem_euclid(1_000_000_000) + 1_000_000 };
    connection.execute(
        "INSERT INTO site (id, site, epoch, created_at, tx_offset) VALUES (1, ?1, ?2, ?3, ?4)",
        params![facts.site, life.epoch, millis, life.tx_offset],
    )?;
    let lost = epoch_file.map(|epoch_file| {
        let (epoch, seq) = (epoch_file.epoch, epoch_file.seq);
        let what = format!(
            "there was no store, although one is known to have existed (epoch {epoch}, at least {seq} records); a new one was made. If the old \
             one is found, do not put it back: keep it for its sessions and records"
        );
        ("store-missing", what)
    });
    announce(connection, epoch, lost.as_ref(), Some(today), millis)?;
    Ok(life)
}

fn known(connection: &Connection, life: Life, epoch_file: Option<&EpochFile>) -> Result<Known, StoreError> {
    let (last, _) = restore::chain_tail(connection, life.epoch)?;
    let hash = match epoch_file {
        Some(epoch_file) => connection
            .query_row(
                "SELECT hash FROM record WHERE epoch = ?1 AND seq = ?2",
                params![epoch_file.epoch, epoch_file.seq],
                |row| row.get(0),
            )
            .optional()?,
        None => None,
    };
    let home = connection
        .query_row("SELECT inode, made_at_ns, host, witnessed FROM home", [], |row| {
            let mark = FileMark { inode: row.get::<_, i64>(0)?.cast_unsigned(), made_at_ns: row.get(1)? };
            Ok((Home { mark, host: row.get(2)? }, row.get(3)?))
        })
        .optional()?;
    let (home, has_epoch_file) = home.map_or((None, false), |(home, written)| (Some(home), written));
    Ok(Known { epoch: life.epoch, last, hash, has_epoch_file, home })
}

/// Whether records may have been made that this file does not have.
fn doubt(known: &Known, here: &Home, epoch_file: Option<&EpochFile>) -> Option<Doubt> {
    let Known { epoch, last, .. } = known;
    match epoch_file {
        None if known.has_epoch_file => {
            return Some(("epoch-file-missing", "the epoch file of the chain beside the signing key is missing, so nobody can tell whether this is an older copy of the store".to_owned()));
        }
        None => {}
        Some(EpochFile { epoch: theirs, .. }) if theirs > epoch => {
            let what =
                format!("an older copy of the store was put back: it is of epoch {epoch}, epoch {theirs} is in use already");
            return Some(("older-copy", what));
        }
        Some(EpochFile { epoch: theirs, .. }) if theirs < epoch && *last > 0 => {
            let what = format!(
                "the epoch file of the chain is of epoch {theirs}, older than the store's: was an older key folder put back?"
            );
            return Some(("epoch-file-older", what));
        }
        Some(EpochFile { epoch: theirs, seq, hash, .. }) if theirs == epoch && *seq > 0 && known.hash != *hash => {
            let what = if known.hash.is_none() {
                format!(
                    "an older copy of the store was put back: it ends at record {last} of epoch {epoch}, at least {seq} were made"
                )
            } else {
                format!(
                    "another branch of the store was put in place: its record {seq} of epoch {epoch} is not the one that was made here"
                )
            };
            return Some(("older-copy", what));
        }
        Some(_) => {}
    }
    let before = known.home.as_ref()?;
    let made = (before.mark.made_at_ns, here.mark.made_at_ns);
    if before.mark.inode != here.mark.inode || (made.0 != made.1 && made.0 != 0 && made.1 != 0) {
        let what = "the store is a copy of the file it was written in (restored or moved), and records may have been made in that one since";
        return Some(("copied", what.to_owned()));
    }
    if before.host.is_some() && here.host.is_some() && before.host != here.host {
        return Some(("other-gateway", "the store was written on another gateway, which may have made records since".to_owned()));
    }
    None
}

/// Closes the epoch and begins a new one. Ended sessions without a record wait for a person: their bill may be among the
/// records that this store does not have. `beyond`: the new epoch is later than this one, too.
pub(super) fn renew(
    connection: &Connection,
    doubt: &Doubt,
    beyond: i64,
    today: Option<&str>,
    now: Time,
) -> Result<Life, StoreError> {
    let millis = time::to_millis(now);
    let earlier: i64 = connection.query_row("SELECT max(epoch) FROM epoch", [], |row| row.get(0))?;
    let offset: i64 = connection.query_row("SELECT tx_offset FROM site", [], |row| row.get(0))?;
    let epoch = millis.max(earlier + 1).max(beyond + 1);
    // Positive and 32 bits, as OCPP 1.6 has it.
    let life = Life { epoch, tx_offset: (offset + TX_JUMP) % 2_000_000_000 };
    connection.execute("UPDATE site SET epoch = ?1, tx_offset = ?2", params![life.epoch, life.tx_offset])?;
    // Numbers of the old epoch say nothing of the new one.
    connection.execute("UPDATE uplink SET sent = 0", [])?;
    announce(connection, epoch, Some(doubt), today, millis)?;
    hold_waiting(connection, &doubt.1)?;
    Ok(life)
}

/// The bill of an ended session may be among the records that this store does not have.
pub(super) fn hold_waiting(connection: &Connection, detail: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE session SET state = 'held', hold_reason = ?1, hold_detail = ?2, settle_after = NULL WHERE state = 'ended' AND settled IS NULL";
    connection.execute(sql, params![hold::STORE_COPY, detail]).map(drop)
}

fn announce(
    connection: &Connection,
    epoch: i64,
    doubt: Option<&Doubt>,
    today: Option<&str>,
    millis: i64,
) -> Result<(), StoreError> {
    let (reason, detail) = doubt.map(|(code, detail)| (*code, detail.as_str())).unzip();
    // Names go on from the tenths of seconds of 115 days: two lives of a day that do not know each other do not give the same.
    let day = today.filter(|_| doubt.is_some());
    let from = day.map(|_| (millis / 100).rem_euclid(100_000_000));
    connection.execute(
        "INSERT INTO epoch (epoch, began_at, reason, detail, name_day, name_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![epoch, millis, reason, detail, day, from],
    )?;
    if let (Some(reason), Some(detail)) = (reason, detail) {
        error!(reason, detail, epoch, "a new epoch begins");
        connection.execute(
            "INSERT INTO problem (kind, subject, detail, first_at, last_at) VALUES ('new-epoch', ?1, ?2, ?3, ?3) ON CONFLICT DO NOTHING",
            params![format!("epoch {epoch}"), format!("{reason}: {detail}"), millis],
        )?;
    }
    Ok(())
}

/// Why the present epoch began; `None` when nothing came before it.
pub(super) fn reason(connection: &Connection, epoch: i64) -> rusqlite::Result<Option<(String, String)>> {
    connection
        .query_row("SELECT reason, detail FROM epoch WHERE epoch = ?1 AND reason IS NOT NULL", [epoch], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(inode: u64, made_at_ns: i64, host: Option<&str>) -> Home {
        Home { mark: FileMark { inode, made_at_ns }, host: host.map(str::to_owned) }
    }

    #[test]
    fn a_chain_goes_on_only_where_nothing_can_be_missing() {
        let known = |epoch, last, hash: Option<&str>| Known {
            epoch,
            last,
            hash: hash.map(str::to_owned),
            has_epoch_file: true,
            home: Some(home(1, 10, Some("a"))),
        };
        let epoch_file =
            |epoch, seq, hash: Option<&str>| Some(EpochFile { site: "s".to_owned(), epoch, seq, hash: hash.map(str::to_owned) });
        let here = home(1, 10, Some("a"));
        let code = |known: &Known, here: &Home, epoch_file: Option<EpochFile>| {
            doubt(known, here, epoch_file.as_ref()).map(|(code, _)| code)
        };
        for (why, store, epoch_file, wanted) in [
            ("as it was left", known(5, 3, Some("h3")), epoch_file(5, 3, Some("h3")), None),
            ("the epoch file may be behind", known(5, 9, Some("h3")), epoch_file(5, 3, Some("h3")), None),
            ("killed between store and epoch file", known(6, 0, None), epoch_file(5, 3, Some("h3")), None),
            ("nothing sealed yet", known(5, 0, None), epoch_file(5, 0, None), None),
            ("behind", known(5, 2, None), epoch_file(5, 3, Some("h3")), Some("older-copy")),
            ("forked", known(5, 3, Some("x")), epoch_file(5, 3, Some("h3")), Some("older-copy")),
            ("an earlier epoch", known(4, 8, None), epoch_file(5, 0, None), Some("older-copy")),
            ("no epoch file", known(5, 3, None), None, Some("epoch-file-missing")),
            ("an old epoch file", known(6, 2, None), epoch_file(5, 3, Some("h3")), Some("epoch-file-older")),
        ] {
            assert_eq!(code(&store, &here, epoch_file), wanted, "{why}");
        }
        let same = || (known(5, 3, Some("h3")), epoch_file(5, 3, Some("h3")));
        for (why, here, wanted) in [
            ("another inode", home(2, 10, Some("a")), Some("copied")),
            ("the inode used again", home(1, 11, Some("a")), Some("copied")),
            ("a file system that does not say", home(1, 0, Some("a")), None),
            ("another host", home(1, 10, Some("b")), Some("other-gateway")),
            ("a host without an id", home(1, 10, None), None),
        ] {
            let (store, epoch_file) = same();
            assert_eq!(code(&store, &here, epoch_file), wanted, "{why}");
        }
        let first = Known { has_epoch_file: false, home: None, ..known(5, 3, None) };
        assert_eq!(code(&first, &here, None), None, "a store of before there were epoch files");
    }
}
