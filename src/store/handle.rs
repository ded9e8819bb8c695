//! The way to the writer, from any task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::sync::{mpsc as tokio_mpsc, oneshot};

use super::jobs::{
    CorrectError, Corrected, Correction, Job, MAX_GROUP, Message, NewCall, QueuedCall, Registering, RegistrationOutcome, Stored,
    TokenChanges, TokenCounts, TooManyCalls,
};

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct WriterHandle {
    pub(super) jobs: tokio_mpsc::UnboundedSender<Job>,
    pub(super) available: Arc<AtomicBool>,
    pub(super) queue: Arc<AtomicUsize>,
}

impl WriterHandle {
    /// Queues a job. When the writer is gone the job is dropped with its reply, which tells the waiting side.
    pub fn submit(&self, job: Job) {
        // Before it can be done, so that the count never falls below nothing.
        self.queue.fetch_add(1, Ordering::Relaxed);
        if self.jobs.send(job).is_err() {
            self.queue.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Jobs that wait for their commit.
    pub fn queue(&self) -> usize {
        self.queue.load(Ordering::Relaxed)
    }

    /// Stores a message; completes once it is on disk, with an error when it could not be stored.
    pub fn store(&self, message: Box<Message>) -> oneshot::Receiver<Stored> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Message(message, reply));
        answer
    }

    /// Puts a call on record; it may be sent then.
    pub async fn call(&self, call: NewCall) -> Result<Result<QueuedCall, TooManyCalls>, Unavailable> {
        let (reply, queued) = oneshot::channel();
        self.submit(Job::Call(Box::new(call), reply));
        queued.await.map_err(|_| Unavailable)
    }

    /// Changes the list of tokens.
    pub async fn change_tokens(&self, changes: TokenChanges) -> Result<TokenCounts, Unavailable> {
        let (reply, changed) = oneshot::channel();
        self.submit(Job::Tokens(Box::new(changes), reply));
        changed.await.map_err(|_| Unavailable)
    }

    /// Decides whether a station is served.
    pub async fn register(&self, registering: Registering) -> Result<RegistrationOutcome, Unavailable> {
        let (reply, registered) = oneshot::channel();
        self.submit(Job::Register(Box::new(registering), reply));
        registered.await.map_err(|_| Unavailable)
    }

    /// Completes when the correction, or that there is none, is on disk.
    pub async fn correct(&self, correction: Correction) -> Result<Result<Corrected, CorrectError>, Unavailable> {
        let (reply, corrected) = oneshot::channel();
        self.submit(Job::Correct(Box::new(correction), reply));
        corrected.await.map_err(|_| Unavailable)
    }

    /// Completes when everything submitted so far is on disk.
    pub async fn flush(&self) -> Result<(), Unavailable> {
        let (reply, done) = oneshot::channel();
        self.submit(Job::Flush(reply));
        done.await.map_err(|_| Unavailable)
    }

    /// False while the store cannot commit: new connections are turned away.
    pub fn available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl WriterHandle {
    /// A way in without a writer: whoever has the other end is the store.
    pub fn scripted() -> (Self, tokio_mpsc::UnboundedReceiver<Job>) {
        let (jobs, submitted) = tokio_mpsc::unbounded_channel();
        (Self { jobs, available: Arc::new(AtomicBool::new(true)), queue: Arc::default() }, submitted)
    }

    pub fn set_available(&self, available: bool) {
        self.available.store(available, Ordering::Relaxed);
    }
}

/// Hands jobs to the writer thread. It runs after the connections that were ready have spoken, so what they submitted goes over
/// in one piece: one wake-up of the thread and one transaction instead of one per message.
pub(super) async fn gather(mut submitted: tokio_mpsc::UnboundedReceiver<Job>, groups: mpsc::Sender<Vec<Job>>) {
    loop {
        let mut jobs = Vec::new();
        if submitted.recv_many(&mut jobs, MAX_GROUP).await == 0 || groups.send(jobs).is_err() {
            return;
        }
    }
}

/// The message is not on disk.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot commit")]
pub struct Unavailable;
