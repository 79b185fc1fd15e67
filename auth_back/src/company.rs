//! Those who are answered together because one commit has made durable what they wrote.

use std::sync::Arc;

use parking_lot::Mutex;
use reactor::{Bundle, Ticket};

use crate::work::Reply;

/// What those share whose writes one commit has made durable. They go on at the same moment, each on a thread of its own;
/// their answers leave when the last of them has gone, and wake the loop once.
///
/// Whoever keeps one holds up the others' answers, so it is given up before anything that takes time.
#[derive(Clone, Debug, Default)]
pub struct Company(Option<Arc<Mutex<Bundle<Reply>>>>);

impl Company {
    /// For a commit of several.
    pub(crate) fn of_several() -> Self {
        Self(Some(Arc::default()))
    }

    /// Answers with the others, or at once if there are none. The reply must not hold this company, which would wait for
    /// itself: [`Done::take_company`](crate::work::Done::take_company).
    pub fn answer(self, ticket: Ticket<Reply>, reply: Reply) {
        match &self.0 {
            Some(bundle) => ticket.answer_with(reply, &mut bundle.lock()),
            None => ticket.answer(reply),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
    }

    /// How many have not gone.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, Arc::strong_count)
    }
}

#[cfg(test)]
mod tests {
    use framing::v2::MessageType;
    use reactor::testing::{connection_id, mailbox};

    use super::*;
    use crate::accounts::AccountError;
    use crate::work::Call;

    #[test]
    fn answers_leave_with_the_last_of_a_company() {
        let (mailbox, post) = mailbox();
        let reply = |correlation| Reply {
            call: Call { correlation, message_type: MessageType::Authenticate },
            outcome: Err(AccountError::TimedOut),
        };
        let answer = |company: Company, with| {
            let ticket = Ticket::new(mailbox.clone(), connection_id(0), reply(0));
            company.answer(ticket, reply(with));
        };
        let check = |posted: &[u64]| {
            let mail = post.take();
            let correlations: Vec<_> =
                mail.iter().map(|letter| letter.completion.call.correlation).collect();
            assert_eq!(correlations, posted);
        };
        let company = Company::of_several();
        let [first, second, third] = [(); 3].map(|()| company.clone());
        drop(company);
        answer(first, 1);
        answer(second, 2);
        check(&[]);
        // Whatever it has come to.
        drop(third);
        check(&[1, 2]);
        answer(Company::default(), 4);
        check(&[4]);
    }
}
