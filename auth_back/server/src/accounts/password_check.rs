//! Whether a password is the user's: what has to be hashed for it, and what the hash says.

use std::sync::Arc;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{Cost, Password, PasswordRecord, PepperKeyring, Verdict};
use guard::Reservation;
use hashing::threads::{HashOutcome, Work};
use hashing::{Arena, Params};

use super::Accounts;
use super::error::{AccountError, Answer, InternalError};
use crate::limits::DEAR_HASH_COST_MIN;

/// A password, and the record that it is compared with.
pub(crate) struct PasswordCheck {
    pub(crate) user_id: UserId,
    pub(crate) record: PasswordRecord,
    pub(crate) peppers: Arc<PepperKeyring>,
    pub(crate) password: Arc<Password>,
}

/// What the threads that hash are given, and what they make of it.
pub(crate) type HashTask = Work<Answer<Verdict>>;

impl Accounts {
    /// Whether a record takes so long to verify, or so much memory, that its hash must not stand before usual ones.
    fn is_dear(&self, check: &PasswordCheck) -> bool {
        let params = self.rules.params;
        check.record.need().exceeds(params.m_kib()) || check.cost(params) > DEAR_HASH_COST_MIN
    }

    /// What has to be hashed.
    ///
    /// # Errors
    /// [`AccountError::Internal`] when the record does not open.
    pub(crate) fn hash_task(&self, check: &PasswordCheck) -> Answer<HashTask> {
        match check.record.recipe() {
            Some((salt, params)) if params == self.rules.params => {
                // On the heap, so that no move leaves a copy: what the threads that hash are handed moves several times.
                let stored = Box::new(check.record.open(check.user_id, &check.peppers)?);
                let after = move |tag: HashOutcome| Ok(Verdict::on(&tag?, &stored));
                let password = Arc::clone(&check.password);
                Ok(Work::Usual { password, salt, params, after: Box::new(after) })
            }
            _ if self.is_dear(check) => {
                Ok(Work::Dear { need: check.record.need(), work: Box::new(check.in_arena()) })
            }
            _ => Ok(Work::Unknown(Box::new(check.in_arena()))),
        }
    }
}

impl PasswordCheck {
    /// What it costs to verify, where a usual hash has these parameters.
    pub(crate) fn cost(&self, usual: Params) -> Cost {
        self.record.cost(&self.password, usual)
    }

    /// What is to be done in memory that is large enough. It gets all that it needs as its own, since it runs on another
    /// thread.
    fn in_arena(&self) -> impl FnOnce(&mut Arena) -> Answer<Verdict> + Send + use<> {
        let (user_id, record) = (self.user_id, self.record.clone());
        let (peppers, password) = (Arc::clone(&self.peppers), Arc::clone(&self.password));
        move |arena| Ok(record.verify(user_id, &password, &peppers, arena)?)
    }
}

/// The verdict of a hash that was begun.
pub(crate) fn judged(
    attempt: &mut Reservation,
    verdict: Answer<Verdict>,
    deadline: Instant,
) -> Answer<Verdict> {
    verdict.inspect_err(|error| unhashed(attempt, error, deadline))
}

/// An attempt came to no verdict, and does not count as a guess; unless the hash panicked: nobody knows how far
/// it had come. If it waited for a hash until its time ran out, others waited behind it.
pub(crate) fn unhashed(attempt: &mut Reservation, why: &AccountError, deadline: Instant) {
    match why {
        AccountError::Internal(InternalError::Dropped) => {}
        AccountError::TimedOut if clock::now() >= deadline => attempt.hold(),
        _ => attempt.undo(),
    }
}
