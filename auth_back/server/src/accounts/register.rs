//! Making an account, in steps as a [login](crate::login):
//!
//! 1. [`Accounts::applicant`]: the registration is reserved.
//! 2. [`Accounts::seal`]: the password is hashed, on another thread.
//! 3. `Accounts::enrol` for several: their accounts become durable with one commit.
//!
//! Tests take them all at once (`Accounts::register`).

use std::sync::Arc;
use std::time::Instant;

use credentials::ids::UserId;
use credentials::{Password, PasswordRecord, Username};
use guard::Reservation;
use lane::{Flow, Wakeup};
use service::sparing;
use store::{Inserted, NewUser, StoreError};
use zeroize::Zeroizing;

use super::origin::Origin;
use super::password_check::unhashed;
use super::{AccountError, Accounts, Answer, InternalError, hashed, profile};
use crate::limits::REGISTRATION_TRIES_MAX;

/// An account to be made.
pub struct Registration {
    /// As the user typed it.
    pub username: String,
    /// As the user typed it.
    pub password: Zeroizing<String>,
    /// A display name.
    pub name: Option<String>,
    /// In years.
    pub age: Option<u8>,
    /// Makes it safe to send the request again. v1 has none.
    pub request_id: Option<[u8; 16]>,
    /// Where it came from.
    pub origin: Origin,
}

/// Somebody who wants an account, before the password is hashed.
pub struct Applicant {
    user_id: UserId,
    created_at_ms: u64,
    username: Username,
    password: Arc<Password>,
    name: Option<String>,
    age: Option<u8>,
    request_id: Option<[u8; 16]>,
    attempt: Reservation,
    /// With other ids, should this one be taken.
    tries_left: u32,
}

/// An applicant whose password was hashed, and what came of it.
pub struct Sealed {
    applicant: Applicant,
    record: Answer<PasswordRecord>,
}

/// What became of an applicant.
pub enum Enrolled {
    /// The account is durable, or why there is none.
    Told(Answer<UserId>),
    /// The id is another's. With this one the password is to be hashed anew.
    Again(Box<Applicant>),
}

impl Accounts {
    /// Makes an account. When this returns, it is durable. Blocks until then.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say. After [`AccountError::StoreUnavailable`] the account
    /// may exist; the same request id finds that out.
    #[cfg(test)]
    pub(crate) fn register(&self, request: &Registration, deadline: Instant) -> Answer<UserId> {
        let mut applicant = self.applicant(request)?;
        loop {
            let record = self.hash(applicant.user_id, &applicant.password, deadline);
            let sealed = Sealed::of(applicant, record, deadline);
            match self.enrol(vec![sealed], deadline).remove(0) {
                Enrolled::Told(told) => return told,
                Enrolled::Again(again) => applicant = *again,
            }
        }
    }

    /// Who wants an account, if they may have one now. Blocks for a round trip to Redis where servers count together in it.
    ///
    /// # Errors
    /// [`AccountError`] as its variants say.
    pub fn applicant(&self, request: &Registration) -> Answer<Applicant> {
        let username = Username::new(&request.username)?;
        let password = Password::for_registration(&request.password, &username, &self.passwords)?;
        let name = profile::name(request.name.as_deref())?;
        let age = profile::age(request.age)?;

        let from = &request.origin;
        let attempt = self.guard.reserve_registration(
            from.client_address,
            from.is_forwarded,
            clock::now(),
        )?;
        let now = self.time.now();
        Ok(Applicant {
            user_id: UserId::from(self.ids.next(now.to_system_time())?),
            created_at_ms: now.ms(),
            username,
            password: Arc::new(password),
            name: name.map(str::to_owned),
            age,
            request_id: request.request_id,
            attempt,
            tries_left: REGISTRATION_TRIES_MAX - 1,
        })
    }

    /// Has the applicant's password hashed. `then` gets what came of it, whatever that is, on a thread that must not be
    /// kept waiting; the [`Wakeup`] is for whoever goes on from there. Does not block.
    pub(crate) fn seal(
        &self,
        applicant: Applicant,
        deadline: Instant,
        then: impl FnOnce(Sealed) -> Wakeup + Send + 'static,
    ) {
        match self.record_of(applicant.user_id, &applicant.password) {
            Ok(work) => self.hashers.submit(Flow::ONE, deadline, work, move |record| {
                then(Sealed::of(applicant, hashed(record), deadline))
            }),
            Err(error) => then(Sealed::of(applicant, Err(error), deadline)).fire(),
        }
    }

    /// Makes the accounts of these applicants, with one commit. When this returns, they are durable. What became of each,
    /// in their order.
    pub(crate) fn enrol(&self, sealed: Vec<Sealed>, deadline: Instant) -> Vec<Enrolled> {
        let records: Vec<_> = sealed
            .iter()
            .map(|one| one.record.as_ref().ok().map(PasswordRecord::to_text))
            .collect();
        let users: Vec<_> = sealed
            .iter()
            .zip(&records)
            .filter_map(|(one, record)| Some(one.applicant.row(record.as_deref()?)))
            .collect();
        let inserted =
            if users.is_empty() { Vec::new() } else { self.store.insert_users(&users, deadline) };
        debug_assert_eq!(inserted.len(), users.len());
        let mut inserted = inserted.into_iter();
        let tell = |Sealed { applicant, record }| match record {
            Ok(_) => {
                self.tell(applicant, inserted.next().expect("what became of each user is told"))
            }
            Err(error) => Enrolled::Told(Err(error)),
        };
        sealed.into_iter().map(tell).collect()
    }

    fn tell(&self, applicant: Applicant, inserted: Result<Inserted, StoreError>) -> Enrolled {
        Enrolled::Told(match inserted {
            Ok(Inserted::Created) => {
                applicant.attempt.keep();
                Ok(applicant.user_id)
            }
            // Answered before, and counted then.
            Ok(Inserted::Repeated { user_id }) => UserId::new(user_id).map_err(AccountError::from),
            Ok(Inserted::NameTaken) => {
                applicant.attempt.keep();
                Err(AccountError::UsernameTaken)
            }
            Ok(Inserted::IdTaken) => match self.with_another_id(applicant) {
                Ok(again) => return Enrolled::Again(Box::new(again)),
                Err(error) => Err(error),
            },
            Err(error) => Err(error.into()),
        })
    }

    fn with_another_id(&self, applicant: Applicant) -> Answer<Applicant> {
        let user_id = applicant.user_id;
        sparing!(WARN, %user_id, "an id is taken, another one is tried: does a server of release 0.1 make ids under the same node?");
        let tries_left = applicant.tries_left.checked_sub(1).ok_or(InternalError::IdsTaken)?;
        let now = self.time.now();
        let user_id = UserId::from(self.ids.next(now.to_system_time())?);
        Ok(Applicant { user_id, created_at_ms: now.ms(), tries_left, ..applicant })
    }
}

impl Applicant {
    fn row<'a>(&'a self, record: &'a str) -> NewUser<'a> {
        NewUser {
            user_id: self.user_id.get(),
            username: self.username.as_str(),
            password_record: record,
            name: self.name.as_deref(),
            age: self.age,
            request_id: self.request_id,
            created_at_ms: self.created_at_ms,
        }
    }
}

impl Sealed {
    /// The id that the account is to have.
    #[cfg(test)]
    pub(crate) fn user_id(&self) -> UserId {
        self.applicant.user_id
    }

    fn of(mut applicant: Applicant, record: Answer<PasswordRecord>, deadline: Instant) -> Self {
        match &record {
            Err(error) => unhashed(&mut applicant.attempt, error, deadline),
            // It is not told any more, and others waited behind it.
            Ok(_) if clock::now() >= deadline => applicant.attempt.hold(),
            Ok(_) => {}
        }
        Self { applicant, record }
    }
}
