//! Every statement, by name.

/// The statements of a [`MySqlStore`](super::MySqlStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    InsertUser,
    OwnerOfName,
    UserByName,
    AnyUser,
    ReplacePasswordRecord,
    PasswordRecords,
    Peppers,
    InsertPepper,
    DeletePepper,
    InsertSession,
    Session,
    DeleteSession,
    DeleteExpiredSessions,
    Products,
}

impl Query {
    pub(super) const COUNT: usize = Self::Products as usize + 1;

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::InsertUser => {
                "INSERT INTO user (id, username, password_record, name, age, \
                                   registration_request_id, created_at_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)"
            }
            Self::OwnerOfName => "SELECT id, registration_request_id FROM user WHERE username = ?",
            Self::UserByName => {
                "SELECT id, password_record, session_epoch, disabled_at_ms IS NOT NULL \
                 FROM user WHERE username = ?"
            }
            Self::AnyUser => "SELECT EXISTS (SELECT 1 FROM user)",
            Self::ReplacePasswordRecord => {
                "UPDATE user SET password_record = ? WHERE id = ? AND password_record = ?"
            }
            Self::PasswordRecords => {
                "SELECT id, password_record FROM user WHERE id > ? ORDER BY id LIMIT ?"
            }
            Self::Peppers => "SELECT id, since_ms, check_value FROM pepper ORDER BY id",
            Self::InsertPepper => {
                "INSERT INTO pepper (id, since_ms, check_value) VALUES (?, ?, ?) \
                 ON DUPLICATE KEY UPDATE id = pepper.id"
            }
            Self::DeletePepper => "DELETE FROM pepper WHERE id = ?",
            Self::InsertSession => {
                "INSERT INTO session (token_digest, id, user_id, epoch, created_at_ms, \
                                      expires_at_ms, client_address, user_agent) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            }
            Self::Session => {
                "SELECT session.id, user_id, username, session.created_at_ms, expires_at_ms \
                 FROM session JOIN user ON user.id = user_id \
                 WHERE token_digest = ? AND expires_at_ms > ? \
                   AND epoch = session_epoch AND disabled_at_ms IS NULL"
            }
            Self::DeleteSession => "DELETE FROM session WHERE token_digest = ?",
            Self::DeleteExpiredSessions => {
                "DELETE FROM session WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?"
            }
            Self::Products => {
                "SELECT id, name, description, price_minor, currency FROM product ORDER BY id"
            }
        }
    }
}
