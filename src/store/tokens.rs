//! The list of tokens: on disk, in the machine's memory, and in the audit, all in one transaction.

use rusqlite::params;

use super::StoreError;
use super::audit::Change;
use super::jobs::{TokenChanges, TokenCounts};
use super::writer::Writer;
use crate::fact::AuthStatus;
use crate::station::{ListedToken, Place};
use crate::units::{Time, Token, time};

impl Writer {
    /// Each change is in the audit; what would change nothing is not.
    pub(super) fn change_tokens(&mut self, changes: TokenChanges) -> Result<TokenCounts, StoreError> {
        let TokenChanges { mut set, block, remove, actor, reason, at } = changes;
        set.extend(block.into_iter().map(|token| self.blocked(token)));
        let mut counts = TokenCounts::default();
        for listed in set {
            let before = self.machine.listed(&listed.token).cloned();
            match &before {
                Some(before) if *before == listed => {
                    counts.unchanged += 1;
                    continue;
                }
                Some(_) => counts.changed += 1,
                None => counts.added += 1,
            }
            self.write_token(&listed, at)?;
            let (before, after) = (before.as_ref().map(described), described(&listed));
            let action = if before.is_some() { "token change" } else { "token add" };
            self.audit(&Change {
                actor: &actor,
                action,
                object: &listed.token.masked(),
                before: before.as_deref(),
                after: &after,
                reason: &reason,
                at,
            })?;
            self.note_token(&listed.token, Some(&listed), at)?;
            self.machine.set_token(listed);
        }
        for token in remove {
            // Masked as its kind demands, which whoever removes it need not know.
            let Some((before, object)) = self.machine.listed(&token).map(|listed| (described(listed), listed.token.masked()))
            else {
                counts.absent += 1;
                continue;
            };
            self.connection.prepare_cached("DELETE FROM token WHERE folded = ?1")?.execute([token.folded()])?;
            let (action, before) = ("token remove", Some(before.as_str()));
            self.audit(&Change {
                actor: &actor,
                action,
                object: &object,
                before,
                after: "not on the list",
                reason: &reason,
                at,
            })?;
            self.note_token(&token, None, at)?;
            self.machine.remove_token(&token);
            counts.removed += 1;
        }
        Ok(counts)
    }

    fn blocked(&self, token: Token) -> ListedToken {
        let new = || ListedToken {
            token: token.clone(),
            status: AuthStatus::Blocked,
            group: None,
            expires_at: None,
            places: Vec::new(),
            tariff: None,
        };
        let listed = self.machine.listed(&token).cloned().unwrap_or_else(new);
        ListedToken { status: AuthStatus::Blocked, ..listed }
    }

    fn write_token(&self, listed: &ListedToken, at: Time) -> Result<(), StoreError> {
        let places = (!listed.places.is_empty())
            .then(|| serde_json::Value::from_iter(listed.places.iter().map(Place::to_string)).to_string());
        self.connection
            .prepare_cached(
                "INSERT INTO token (folded, token, kind, status, token_group, expires_at, stations, tariff, changed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO UPDATE SET token = excluded.token, \
                 kind = excluded.kind, status = excluded.status, token_group = excluded.token_group, \
                 expires_at = excluded.expires_at, stations = excluded.stations, tariff = excluded.tariff, \
                 changed_at = excluded.changed_at",
            )?
            .execute(params![
                listed.token.folded(),
                listed.token.reveal(),
                listed.token.kind.as_str(),
                listed.status.as_str(),
                listed.group,
                listed.expires_at.map(time::to_millis),
                places,
                listed.tariff,
                time::to_millis(at)
            ])?;
        Ok(())
    }
}

/// For the audit: everything but the token.
fn described(listed: &ListedToken) -> String {
    let mut text = format!("{} {}", listed.status.as_str(), listed.token.kind.as_str());
    let mut add = |name: &str, value: &str| text.push_str(&format!(", {name} {value}"));
    if let Some(group) = &listed.group {
        add("group", group);
    }
    if let Some(end) = listed.expires_at {
        add("until", &time::rfc3339(end));
    }
    if !listed.places.is_empty() {
        add("at", &listed.places.iter().map(Place::to_string).collect::<Vec<_>>().join(" "));
    }
    if let Some(tariff) = &listed.tariff {
        add("tariff", tariff);
    }
    text
}
