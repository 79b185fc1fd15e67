//! Session checks that wait together: looked up together, answered together.

use std::time::Instant;

use reactor::Bundle;

use super::Clerk;
use crate::accounts::{AccountError, Checks, Live};
use crate::job::{Done, Job, Reply};

impl Clerk {
    /// Serves session checks. All of them were read before any is looked up, so each is told what was so after it was
    /// asked. What the first lookup does not settle is looked up together once more, after the others were answered.
    pub(super) fn serve_checks(&self, batch: &mut Vec<Job>) {
        let began = clock::now();
        let mut bundle = Bundle::default();
        for job in batch.extract_if(.., |job| !self.admits(job, began)) {
            self.answer_check(job, Err(AccountError::TimedOut), began, &mut bundle);
        }
        // The batch's latest deadline: if the lookup outlasts an earlier one, that front has given up anyway.
        let Some(deadline) = batch.iter().map(|job| job.deadline).max() else { return };
        let tokens = batch.iter().filter_map(|job| job.request.as_check());
        let Checks { answers, unresolved } = self.accounts.check_sessions(tokens, deadline);
        let any_was_found_out = answers.iter().flatten().any(Result::is_ok);
        let mut left = self.answer_known(batch.drain(..), answers, began, &mut bundle);
        // As for one: how long a store takes to be away says nothing.
        if any_was_found_out {
            self.pace.served(clock::since(began));
        }
        if let Some(unresolved) = unresolved {
            let (answers, stale) = self.accounts.resolve_checks(unresolved, deadline);
            left = self.answer_known(left.into_iter(), answers, began, &mut bundle);
            self.accounts.sessions.update_copies(&stale, deadline);
        }
        // A row that cannot be read is its owner's trouble alone.
        left.into_iter().for_each(|job| self.serve(job));
    }

    /// Answers those whose answer is known, and returns the others.
    fn answer_known(
        &self,
        jobs: impl Iterator<Item = Job>,
        answers: Vec<Option<Result<Live, AccountError>>>,
        began: Instant,
        bundle: &mut Bundle<Reply>,
    ) -> Vec<Job> {
        let mut left = Vec::new();
        for (job, answer) in jobs.zip(answers) {
            match answer {
                Some(outcome) => self.answer_check(job, outcome.map(Done::Session), began, bundle),
                None => left.push(job),
            }
        }
        bundle.post();
        left
    }

    /// Checks are not in the audit log.
    fn answer_check(
        &self,
        job: Job,
        outcome: Result<Done, AccountError>,
        began: Instant,
        bundle: &mut Bundle<Reply>,
    ) {
        self.note(&job, &outcome, clock::since(began));
        job.ticket.answer_with(Reply { call: job.call, outcome }, bundle);
    }
}
