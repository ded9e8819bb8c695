//! What a station remembers: the queue it must deliver, and what happened so far.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{StationError, TransactionMessage, Version};

const MAX_QUEUED: usize = 100_000;
const MAX_ANSWERED: usize = 100_000;
const MAX_NOTED: usize = 10_000;

#[derive(Debug, Default)]
pub struct Memory {
    pub queue: VecDeque<Queued>,
    pub answered: Vec<Answered>,
    pub received: Vec<Received>,
    pub complaints: Vec<String>,
    /// 1.6 transaction numbers by the station's own name of the transaction.
    pub numbers: HashMap<String, i64>,
}

/// A transaction message on its way.
#[derive(Clone, Debug)]
pub struct Queued {
    pub id: String,
    pub message: TransactionMessage,
    pub attempts: u32,
    pub errors: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    pub message_id: String,
    pub action: String,
    pub transaction: bool,
    /// How often it was sent.
    pub attempts: u32,
    /// Real time.
    pub answered_at: DateTime<Utc>,
    /// From the last sending to the answer.
    pub took: Duration,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Result(Value),
    Error { code: String, description: String },
}

impl Answered {
    /// The status in the answer, wherever the version keeps it.
    pub fn status(&self) -> Option<&str> {
        let Answer::Result(payload) = &self.answer else { return None };
        let pointers = ["/status", "/idTagInfo/status", "/idTokenInfo/status"];
        pointers.iter().find_map(|pointer| payload.pointer(pointer)?.as_str())
    }
}

/// A CALL of the CSMS and what we said to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    pub message_id: String,
    pub action: String,
    pub payload: Value,
}

impl Queued {
    pub fn new(id: String, message: TransactionMessage) -> Self {
        Self { id, message, attempts: 0, errors: 0 }
    }
}

impl Memory {
    pub fn enqueue(&mut self, queued: Queued) -> Result<(), StationError> {
        if self.queue.len() >= MAX_QUEUED {
            return Err(StationError::QueueFull);
        }
        self.queue.push_back(queued);
        Ok(())
    }

    /// The head of the queue as it goes on the wire. Its payload is fixed at the first attempt: a retry is the same.
    pub fn next_attempt(&mut self, version: Version) -> Option<Queued> {
        let numbers = &self.numbers;
        let head = self.queue.front_mut()?;
        let wants_number = head.attempts == 0 && version == Version::V16 && !head.message.opens;
        if let (true, Some(tx)) = (wants_number, &head.message.tx) {
            // OCPP 1.6 errata 3.18: -1 when the station never got a number.
            head.message.payload["transactionId"] = json!(numbers.get(tx).copied().unwrap_or(-1));
        }
        head.attempts += 1;
        Some(head.clone())
    }

    /// The head was answered: learn its number and drop it.
    pub fn deliver_head(&mut self, payload: &Value) {
        if let Some(Queued { message, .. }) = self.queue.pop_front()
            && let (true, Some(tx), Some(number)) = (message.opens, message.tx, payload["transactionId"].as_i64())
        {
            let before = self.numbers.insert(tx, number);
            if let Some(before) = before.filter(|before| *before != number) {
                self.complain(format!("StartTransaction: repeated, and numbered {number} after {before}"));
            }
        }
    }

    pub fn note_answer(&mut self, answered: Answered) {
        if self.answered.len() < MAX_ANSWERED {
            self.answered.push(answered);
        }
    }

    pub fn note_call(&mut self, received: Received) {
        if self.received.len() < MAX_NOTED {
            self.received.push(received);
        }
    }

    pub fn complain(&mut self, complaint: String) {
        tracing::warn!(complaint, "the CSMS said something wrong");
        if self.complaints.len() < MAX_NOTED {
            self.complaints.push(complaint);
        }
    }
}
