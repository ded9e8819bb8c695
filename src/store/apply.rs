//! One job, within the transaction of its group.

use rusqlite::params;

use super::StoreError;
use super::jobs::{Answered, Job, Reply, Said, Stored};
use super::writer::{Outcome, Writer};
use crate::units::time;

impl Writer {
    pub(super) fn apply(&mut self, job: Job, outcome: &mut Outcome) -> Result<(), StoreError> {
        match job {
            Job::Message(message, reply) => {
                let (answered, calls) = self.message(*message, outcome)?;
                let answer = match answered {
                    Answered::Frame(frame) => Some(frame),
                    Answered::Silence => None,
                    // The reply is dropped.
                    Answered::Unanswered => return Ok(()),
                };
                outcome.released.push(Reply::Message(reply, Stored { answer, calls }));
            }
            Job::Connected { station, version, peer, at } => {
                let number = self.station(&station, at)?.number;
                self.connection
                    .prepare_cached(
                        "UPDATE station SET version = ?2, connected_at = ?3, disconnected_at = NULL, peer = ?4, connects = connects + 1 WHERE number = ?1",
                    )?
                    .execute(params![number, version.number(), time::to_millis(at), peer])?;
            }
            Job::Disconnected { station, at } => {
                self.tell_left_out(&station, true, at)?;
                // One that said nothing has no row, and needs none.
                let last = self.stations.get(&station).and_then(|known| known.last_message_at);
                self.connection
                    .prepare_cached(
                        "UPDATE station SET connected_at = NULL, disconnected_at = ?2, last_message_at = coalesce(?3, last_message_at) WHERE name = ?1",
                    )?
                    .execute(params![station.as_str(), time::to_millis(at), last])?;
            }
            Job::Seen { station, at } => {
                self.machine.heard(&station, at);
                self.prove(&station, at)?;
                self.seen(&station, at)?;
            }
            Job::Problem { kind, station, subject, detail, at } => {
                let number = match station {
                    Some(station) => Some(self.station(&station, at)?.number),
                    None => None,
                };
                self.problem(kind, number, &subject, &detail, at)?;
            }
            Job::Settle(settlement) => self.settle(*settlement, outcome)?,
            Job::Append { body, session, at, reply } => {
                let appended = self.append(*body, session, at, outcome)?;
                outcome.released.push(Reply::Append(reply, appended));
            }
            Job::Receipt { epoch, through, root, rejected, at, reply } => {
                let verdict = self.receipt(epoch, through, &root, &rejected, at, outcome)?;
                outcome.released.push(Reply::Receipt(reply, verdict));
            }
            Job::Undelivered { epoch, seq, refusal, reply } => {
                self.undelivered(epoch, seq, refusal.as_ref())?;
                outcome.released.push(Reply::Flush(reply));
            }
            Job::Link { up, error, sent, at } => {
                self.connection.execute(
                    "INSERT INTO uplink (id, up, since, error, sent) VALUES (1, ?1, ?2, ?3, ?4) \
                     ON CONFLICT (id) DO UPDATE SET since = CASE WHEN up = excluded.up THEN since ELSE excluded.since END, up = excluded.up, \
                     error = excluded.error, sent = excluded.sent",
                    params![up, time::to_millis(at), error, sent],
                )?;
            }
            Job::Call(call, reply) => {
                let call = self.call(&call)?;
                outcome.released.push(Reply::Call(reply, call));
            }
            Job::CallSent { number, at, reply } => {
                self.call_sent(number, at)?;
                outcome.released.push(Reply::Flush(reply));
            }
            Job::CallEnded { number, end, at, said } => {
                let ended = self.call_ended(number, &end, at)?;
                outcome.tally.calls.extend(ended.then_some(end.state()));
                if let Some(said) = said {
                    let Said { station, version, fact, received, reply } = *said;
                    let calls = self.said(&station, version, fact, received, outcome)?;
                    outcome.released.push(Reply::Calls(reply, calls));
                }
            }
            Job::LateAnswer { station, message_id, end, at } => {
                let ended = self.late_answer(&station, &message_id, &end, at)?;
                outcome.tally.calls.extend(ended.then_some(end.state()));
            }
            Job::WaitingCalls(station, version, reply) => {
                let calls = self.waiting_calls(&station, version)?;
                outcome.released.push(Reply::Calls(reply, calls));
            }
            Job::Tariffs(tariffs, reply) => {
                self.new_tariffs(&tariffs)?;
                outcome.released.push(Reply::Flush(reply));
            }
            Job::Tokens(changes, reply) => {
                let counts = self.change_tokens(*changes)?;
                outcome.released.push(Reply::Tokens(reply, counts));
            }
            Job::Register(registering, reply) => {
                let registered = self.register(&registering)?;
                outcome.released.push(Reply::Registered(reply, registered));
            }
            Job::Correct(correction, reply) => {
                let corrected = self.correct(*correction, outcome)?;
                outcome.released.push(Reply::Correct(reply, corrected));
            }
            Job::Policy(policy, reply) => {
                self.machine.set_policy(*policy);
                self.note_tariffs()?;
                outcome.released.push(Reply::Flush(reply));
            }
            Job::Clock(news, reply) => {
                self.clock(&news)?;
                outcome.due |= news.proven;
                outcome.released.push(Reply::Flush(reply));
            }
            Job::Flush(reply) => outcome.released.push(Reply::Flush(reply)),
        }
        Ok(())
    }
}
