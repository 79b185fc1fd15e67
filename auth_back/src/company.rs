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

    /// Answers with the others, or at once if there are none. The reply must not hold this company: it would wait for
    /// itself ([`Reply::post`]).
    pub(crate) fn answer(self, ticket: Ticket<Reply>, reply: Reply) {
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
    use std::time::Duration;

    use framing::v2::MessageType;
    use reactor::testing::{connection_id, mailbox};

    use super::*;
    use crate::accounts::{AccountError, Changed, Opened};
    use crate::credentials::{KeyId, Keyring, SecretKey, TokenKeyring};
    use crate::ids::{SessionId, UserId};
    use crate::work::{Call, Done};

    fn call(correlation: u64) -> Call {
        Call { correlation, message_type: MessageType::Authenticate }
    }

    #[test]
    fn answers_leave_with_the_last_of_a_company() {
        let (mailbox, post) = mailbox();
        let reply =
            |correlation| Reply { call: call(correlation), outcome: Err(AccountError::TimedOut) };
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
    #[test]
    fn a_reply_does_not_wait_for_itself() {
        let (mailbox, post) = mailbox();
        let keys = TokenKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random().unwrap()));
        let opened = |company| Opened {
            token: keys.issue().unwrap(),
            session_id: SessionId::new(8).unwrap(),
            user_id: UserId::new(7).unwrap(),
            expires_in: Duration::from_secs(5),
            device: None,
            company,
        };
        let company = Company::of_several();
        let login = Done::Authenticated(opened(company.clone()));
        let change = Changed { opened: opened(company), settles_in: Duration::ZERO };
        for done in [login, Done::PasswordChanged(change)] {
            let unanswered = Reply { call: call(0), outcome: Err(AccountError::TimedOut) };
            let ticket = Ticket::new(mailbox.clone(), connection_id(0), unanswered);
            assert!(post.take().is_empty(), "its company has not gone");
            Reply { call: call(1), outcome: Ok(done) }.post(ticket);
        }
        assert_eq!(post.take().len(), 2);
    }
}
