//! The store: one SQLite file, one writer. Alone knows SQL.
//!
//! Invariants: a message, what it means and what follows from it are one transaction; a reply is released after that
//! transaction's fsync; `synchronous=FULL` is read back at start; records are never edited. Only [`Writer`] writes, and only
//! one process at a time holds the lock on the file. Readers open read-only and may run while the daemon runs or not.
//!
//! Limits: `jobs::MAX_GROUP` (512) jobs per transaction; every connection waits for its message before it reads the next, so the
//! queue holds a few jobs per connection. Deliberately absent: a connection pool, an ORM, a status column that says what a join can say.

mod append;
mod apply;
mod audit;
mod begin;
mod bounds;
mod calls;
mod causes;
mod checksum;
mod clock;
mod connectors;
mod corrections;
mod counts;
mod damage;
mod doc;
mod epoch_file;
mod epochs;
mod errors;
mod file;
mod handle;
mod jobs;
mod journal;
mod known_station;
mod ledger;
mod listed_tokens;
mod lists;
mod missed;
mod notes;
mod open;
mod permissions;
mod reader;
mod record_columns;
mod register;
mod registrations;
mod repeats;
mod replay;
mod restore;
mod samples_json;
mod sessions;
mod summary;
mod tally;
#[cfg(test)]
mod tests;
mod timed_connection;
mod tokens;
mod unhandled;
pub mod writer;

pub use clock::BEHIND;
pub use counts::{Counts, Problems};
pub use damage::{Damage, damage};
pub use epochs::{ConfiguredStation, SiteFacts};
pub use errors::{OpenError, PATIENT, QUICK, StoreError, io_may_pass};
pub use file::{Holder, holder};
pub use handle::{Unavailable, WriterHandle};
pub use jobs::{
    AppendError, CallEnd, CallText, ClockNews, Content, CorrectError, Corrected, Correction, Job, Keep, Message, NewCall,
    NewTariffs, QueuedCall, ReceiptOutcome, Refusal, Registering, RegistrationOutcome, Replacement, Reply, Said, Settlement,
    Stored, TokenChanges, TokenCounts, TooManyCalls,
};
pub use lists::{MESSAGES, STATIONS_AND_OPEN_SESSIONS, Stretch, sessions as sessions_query};
pub use open::{Begin, Epoch};
pub use reader::{Key, OutboxRow, Reader, Rows, StoredRecord, TakeRows, Values};
pub use record_columns::Copies;
pub use replay::{JournalRow, Step, compare};
pub use summary::{ClockFacts, Link, Summary};
pub use tally::{Tally, Watch};
pub use writer::{ALIVE, Parts, Signals, Signing, Writer};
