//! Registrations.

use reactor::Bundle;

use super::super::Clerk;
use super::in_flight::{InFlight, Stage, latest};
use crate::accounts::{AccountError, Applicant, Enrolled, Sealed};
use crate::job::{Done, Reply, Request};

impl Clerk {
    /// Has the password of whoever wants an account hashed.
    pub(super) fn begin_registration(&self, asked: InFlight) {
        let applicant = match &asked.job.request {
            Request::Register(request) => self.accounts.applicant(request),
            _ => unreachable!("it is a registration"),
        };
        match applicant {
            Ok(applicant) => self.seal(asked, applicant),
            Err(error) => self.tell(asked, Err(error), &mut Bundle::default()),
        }
    }

    fn seal(&self, asked: InFlight, applicant: Applicant) {
        let deadline = asked.job.deadline;
        self.accounts.seal(applicant, deadline, |sealed| asked.queue(Stage::Registration(sealed)));
    }

    /// Registrations whose passwords were hashed, committed and answered together.
    pub(super) fn finish_registrations(
        &self,
        sealed: Vec<(InFlight, Sealed)>,
        bundle: &mut Bundle<Reply>,
    ) {
        let now = clock::now();
        let (mut registrations, mut in_time) = (Vec::new(), Vec::new());
        for (asked, sealed) in sealed {
            if now < asked.job.deadline {
                registrations.push(asked);
                in_time.push(sealed);
            } else {
                self.tell(asked, Err(AccountError::TimedOut), bundle);
            }
        }
        if let Some(deadline) = latest(&registrations) {
            let enrolled = self.accounts.enrol(in_time, deadline);
            for (asked, enrolled) in registrations.into_iter().zip(enrolled) {
                match enrolled {
                    Enrolled::Told(told) => self.tell(asked, told.map(Done::Registered), bundle),
                    Enrolled::Again(applicant) => self.seal(asked, *applicant),
                }
            }
        }
        bundle.post();
    }
}
