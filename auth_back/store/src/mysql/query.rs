//! Every statement, by name.

use crate::limits::{COMMIT_TOGETHER_MAX, NOTES_TOGETHER_MAX, SESSIONS_TOGETHER_MAX};

/// The statements of a [`MySqlStore`](super::MySqlStore).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Query {
    InsertUser,
    InsertUsers2,
    InsertUsers3,
    InsertUsers4,
    InsertUsers5,
    InsertUsers6,
    InsertUsers7,
    InsertUsers8,
    OwnerOfName,
    UserByName,
    UserById,
    AnyUser,
    ReplacePasswordRecord,
    SetPasswordRecord,
    ImportUser,
    UserProfile,
    UserProfiles,
    UserProfilesByName,
    UserRange,
    DisableUser,
    EnableUser,
    PasswordRecords,
    Peppers,
    InsertPepper,
    DeletePepper,
    TokenKeys,
    InsertTokenKey,
    DeleteTokenKey,
    ChangePasswordRecord,
    RaiseSessionEpoch,
    RaiseSessionEpochs,
    InsertSession,
    InsertSessions2,
    InsertSessions3,
    InsertSessions4,
    InsertSessions5,
    InsertSessions6,
    InsertSessions7,
    InsertSessions8,
    Session,
    Sessions4,
    Sessions16,
    Sessions64,
    RefreshSessions4,
    RefreshSessions16,
    RefreshSessions64,
    SessionsOfUser,
    SessionAtPlace,
    UsersWithMoreSessions,
    SurplusSessions,
    AnySession,
    DigestOfSession,
    DeleteSession,
    DeleteSupersededSessions,
    DeleteExpiredSessions,
    CacheEra,
    TryToWrite,
    Time,
    BeginCacheEra,
    EndCacheEra,
    SkipCacheEras,
    Servers,
    InsertServer,
    TakeServer,
    RenewServer,
    ReleaseServer,
    FreeAllServers,
    Deployment,
    ChangeDeployment,
    Products,
}

/// The marks of four parameters.
macro_rules! four {
    () => {
        "?,?,?,?"
    };
}

macro_rules! sixteen {
    () => {
        concat!(four!(), ",", four!(), ",", four!(), ",", four!())
    };
}

macro_rules! sixty_four {
    () => {
        concat!(sixteen!(), ",", sixteen!(), ",", sixteen!(), ",", sixteen!())
    };
}

/// Four branches of a CASE.
macro_rules! four_cases {
    () => {
        " WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ? WHEN ? THEN ?"
    };
}

macro_rules! sixteen_cases {
    () => {
        concat!(four_cases!(), four_cases!(), four_cases!(), four_cases!())
    };
}

macro_rules! sixty_four_cases {
    () => {
        concat!(sixteen_cases!(), sixteen_cases!(), sixteen_cases!(), sixteen_cases!())
    };
}

/// As [`Query::Session`], for as many digests as there are marks.
macro_rules! sessions_in {
    ($marks:expr) => {
        concat!(
            "SELECT token_digest, session.id, user_id, username, epoch, session.created_at_ms, \
                    COALESCE(last_seen_at_ms, session.created_at_ms), expires_at_ms, \
                    COALESCE(ends_at_ms, expires_at_ms) \
             FROM session JOIN user ON user.id = user_id \
             WHERE token_digest IN (",
            $marks,
            ") AND expires_at_ms > ? AND epoch = session_epoch AND disabled_at_ms IS NULL"
        )
    };
}

/// One user, and one more for each argument.
macro_rules! insert_users {
    (@row $more:tt) => {
        ", (?, ?, ?, ?, ?, ?, ?)"
    };
    ($($more:tt)*) => {
        concat!(
            "INSERT INTO user (id, username, password_record, name, age, \
                               registration_request_id, created_at_ms) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            $(insert_users!(@row $more)),*
        )
    };
}

/// One session, and one more for each argument.
macro_rules! insert_sessions {
    (@row $more:tt) => {
        ", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    };
    ($($more:tt)*) => {
        concat!(
            "INSERT INTO session (token_digest, id, user_id, epoch, created_at_ms, \
                                  last_seen_at_ms, expires_at_ms, ends_at_ms, \
                                  client_address, user_agent) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            $(insert_sessions!(@row $more)),*
        )
    };
}

/// The database's clock, in milliseconds since 1970. Not by `UNIX_TIMESTAMP`: of a time with milliseconds it takes the
/// local one, which in the hour when summer time ends is one of two.
macro_rules! now_ms {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(3)) DIV 1000"
    };
}

/// Notes as many sessions as there are marks, each with values of its own. In the update of one table, unlike that of
/// a join, assignments are done in their order: `ends_at_ms` first, since MySQL takes what an earlier one has set.
macro_rules! refresh_sessions {
    ($cases:expr, $marks:expr) => {
        concat!(
            "UPDATE session SET ends_at_ms = COALESCE(ends_at_ms, expires_at_ms), \
                                last_seen_at_ms = CASE token_digest",
            $cases,
            " END, expires_at_ms = CASE token_digest",
            $cases,
            " END WHERE token_digest IN (",
            $marks,
            ") AND COALESCE(last_seen_at_ms, created_at_ms) <= CASE token_digest",
            $cases,
            " END AND epoch = (SELECT session_epoch FROM user \
                               WHERE user.id = session.user_id AND disabled_at_ms IS NULL)"
        )
    };
}

impl Query {
    /// The statement that inserts `count` users, `1..=`[`COMMIT_TOGETHER_MAX`].
    pub(super) fn insert_users(count: usize) -> Self {
        const BY_COUNT: [Query; COMMIT_TOGETHER_MAX] = [
            Query::InsertUser,
            Query::InsertUsers2,
            Query::InsertUsers3,
            Query::InsertUsers4,
            Query::InsertUsers5,
            Query::InsertUsers6,
            Query::InsertUsers7,
            Query::InsertUsers8,
        ];
        BY_COUNT[count - 1]
    }

    /// The same for sessions.
    pub(super) fn insert_sessions(count: usize) -> Self {
        const BY_COUNT: [Query; COMMIT_TOGETHER_MAX] = [
            Query::InsertSession,
            Query::InsertSessions2,
            Query::InsertSessions3,
            Query::InsertSessions4,
            Query::InsertSessions5,
            Query::InsertSessions6,
            Query::InsertSessions7,
            Query::InsertSessions8,
        ];
        BY_COUNT[count - 1]
    }

    /// The statement that looks for so many sessions or a few more, and for how many it does.
    pub(super) fn sessions(count: usize) -> (Self, usize) {
        match count {
            0..=4 => (Self::Sessions4, 4),
            5..=16 => (Self::Sessions16, 16),
            _ => (Self::Sessions64, SESSIONS_TOGETHER_MAX),
        }
    }

    /// The same for the statement that notes so many sessions.
    pub(super) fn refresh_sessions(count: usize) -> (Self, usize) {
        match count {
            0..=4 => (Self::RefreshSessions4, 4),
            5..=16 => (Self::RefreshSessions16, 16),
            _ => (Self::RefreshSessions64, NOTES_TOGETHER_MAX),
        }
    }

    pub(super) const COUNT: usize = Self::Products as usize + 1;

    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::InsertUser => insert_users!(),
            Self::InsertUsers2 => insert_users!(2),
            Self::InsertUsers3 => insert_users!(2 3),
            Self::InsertUsers4 => insert_users!(2 3 4),
            Self::InsertUsers5 => insert_users!(2 3 4 5),
            Self::InsertUsers6 => insert_users!(2 3 4 5 6),
            Self::InsertUsers7 => insert_users!(2 3 4 5 6 7),
            Self::InsertUsers8 => insert_users!(2 3 4 5 6 7 8),
            Self::OwnerOfName => "SELECT id, registration_request_id FROM user WHERE username = ?",
            Self::UserByName => {
                "SELECT id, password_record, session_epoch, disabled_at_ms IS NOT NULL \
                 FROM user WHERE username = ?"
            }
            Self::UserById => {
                "SELECT id, password_record, session_epoch, disabled_at_ms IS NOT NULL \
                 FROM user WHERE id = ?"
            }
            Self::AnyUser => "SELECT EXISTS (SELECT 1 FROM user)",
            Self::ReplacePasswordRecord => {
                "UPDATE user SET password_record = ? WHERE id = ? AND password_record = ?"
            }
            Self::PasswordRecords => {
                "SELECT id, password_record FROM user WHERE id > ? ORDER BY id LIMIT ?"
            }
            Self::Peppers => "SELECT id, since_ms, check_value FROM pepper ORDER BY id",
            Self::TokenKeys => "SELECT id, since_ms, check_value FROM token_key ORDER BY id",
            Self::InsertTokenKey => {
                "INSERT INTO token_key (id, since_ms, check_value) VALUES (?, ?, ?) \
                 ON DUPLICATE KEY UPDATE id = token_key.id"
            }
            Self::DeleteTokenKey => "DELETE FROM token_key WHERE id = ?",
            Self::InsertPepper => {
                "INSERT INTO pepper (id, since_ms, check_value) VALUES (?, ?, ?) \
                 ON DUPLICATE KEY UPDATE id = pepper.id"
            }
            Self::DeletePepper => "DELETE FROM pepper WHERE id = ?",

            Self::ChangePasswordRecord => {
                "UPDATE user SET password_record = ?, session_epoch = ? \
                 WHERE id = ? AND password_record = ? AND session_epoch = ?"
            }
            Self::RaiseSessionEpoch => {
                "UPDATE user SET session_epoch = LAST_INSERT_ID(session_epoch + 1) WHERE id = ?"
            }
            Self::RaiseSessionEpochs => {
                "UPDATE user SET session_epoch = session_epoch + 1 WHERE id > ? AND id <= ?"
            }
            Self::SetPasswordRecord => {
                "UPDATE user SET password_record = ?, session_epoch = session_epoch + 1 \
                 WHERE id = ?"
            }
            Self::ImportUser => {
                "INSERT INTO user (id, username, password_record, name, age, \
                                   registration_request_id, created_at_ms, disabled_at_ms) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            }
            Self::UserProfile => {
                "SELECT id, username, password_record, name, age, created_at_ms, disabled_at_ms, \
                        session_epoch \
                 FROM user WHERE username = ?"
            }
            Self::UserProfiles => {
                "SELECT id, username, password_record, name, age, created_at_ms, disabled_at_ms, \
                        session_epoch \
                 FROM user WHERE id > ? ORDER BY id LIMIT ?"
            }
            Self::UserProfilesByName => {
                "SELECT id, username, password_record, name, age, created_at_ms, disabled_at_ms, \
                        session_epoch \
                 FROM user WHERE username >= ? AND username > ? AND username < ? \
                 ORDER BY username LIMIT ?"
            }
            Self::UserRange => {
                "SELECT CAST(COUNT(*) AS UNSIGNED), MAX(id) FROM \
                 (SELECT id FROM user WHERE id > ? ORDER BY id LIMIT ?) AS page"
            }
            Self::DisableUser => {
                "UPDATE user SET disabled_at_ms = coalesce(disabled_at_ms, ?), \
                                 session_epoch = session_epoch + 1 \
                 WHERE id = ?"
            }
            Self::EnableUser => "UPDATE user SET disabled_at_ms = NULL WHERE id = ?",
            Self::InsertSession => insert_sessions!(),
            Self::InsertSessions2 => insert_sessions!(2),
            Self::InsertSessions3 => insert_sessions!(2 3),
            Self::InsertSessions4 => insert_sessions!(2 3 4),
            Self::InsertSessions5 => insert_sessions!(2 3 4 5),
            Self::InsertSessions6 => insert_sessions!(2 3 4 5 6),
            Self::InsertSessions7 => insert_sessions!(2 3 4 5 6 7),
            Self::InsertSessions8 => insert_sessions!(2 3 4 5 6 7 8),
            Self::Session => {
                "SELECT session.id, user_id, username, epoch, session.created_at_ms, \
                        COALESCE(last_seen_at_ms, session.created_at_ms), expires_at_ms, \
                        COALESCE(ends_at_ms, expires_at_ms) \
                 FROM session JOIN user ON user.id = user_id \
                 WHERE token_digest = ? AND expires_at_ms > ? \
                   AND epoch = session_epoch AND disabled_at_ms IS NULL"
            }
            Self::Sessions4 => sessions_in!(four!()),
            Self::Sessions16 => sessions_in!(sixteen!()),
            Self::Sessions64 => sessions_in!(sixty_four!()),
            Self::RefreshSessions4 => refresh_sessions!(four_cases!(), four!()),
            Self::RefreshSessions16 => refresh_sessions!(sixteen_cases!(), sixteen!()),
            Self::RefreshSessions64 => refresh_sessions!(sixty_four_cases!(), sixty_four!()),
            Self::SessionsOfUser => {
                "SELECT session.id, token_digest, session.created_at_ms, \
                        COALESCE(last_seen_at_ms, session.created_at_ms), expires_at_ms, \
                        client_address, user_agent \
                 FROM session JOIN user ON user.id = user_id \
                 WHERE user_id = ? AND expires_at_ms > ? \
                   AND epoch = session_epoch AND disabled_at_ms IS NULL \
                 ORDER BY session.id DESC LIMIT ?"
            }
            Self::SessionAtPlace => {
                "SELECT id FROM session WHERE user_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
            }
            Self::UsersWithMoreSessions => {
                "SELECT user_id FROM session WHERE user_id IN (?, ?, ?, ?, ?, ?, ?, ?) \
                 GROUP BY user_id HAVING COUNT(*) > ?"
            }
            Self::SurplusSessions => {
                "SELECT token_digest FROM session \
                 WHERE user_id = ? AND epoch = ? AND expires_at_ms > ? \
                 ORDER BY token_digest = ? DESC, id DESC LIMIT ? OFFSET ?"
            }
            Self::AnySession => "SELECT EXISTS (SELECT 1 FROM session WHERE expires_at_ms > ?)",
            Self::DigestOfSession => {
                "SELECT token_digest FROM session WHERE user_id = ? AND id = ?"
            }
            Self::DeleteSupersededSessions => {
                "DELETE FROM session WHERE user_id = ? AND epoch < ? ORDER BY id LIMIT ?"
            }
            Self::CacheEra => "SELECT generation, instance FROM session_cache WHERE id = 1",
            Self::TryToWrite => "UPDATE session_cache SET generation = generation WHERE id = 1",
            Self::Time => concat!("SELECT ", now_ms!()),
            Self::BeginCacheEra => {
                "UPDATE session_cache SET generation = generation + 1, instance = ? \
                 WHERE id = 1 AND generation = ?"
            }
            Self::EndCacheEra => {
                "UPDATE session_cache SET generation = generation + 1 WHERE id = 1"
            }
            Self::SkipCacheEras => {
                "UPDATE session_cache SET generation = GREATEST(generation + 1, ?) WHERE id = 1"
            }
            Self::DeleteSession => "DELETE FROM session WHERE token_digest = ?",
            Self::DeleteExpiredSessions => {
                // By the earlier of two clocks: one server whose own is ahead would end everybody's sessions.
                "DELETE FROM session WHERE expires_at_ms <= LEAST(?, UNIX_TIMESTAMP() * 1000) \
                 ORDER BY expires_at_ms LIMIT ?"
            }
            Self::Servers => {
                "SELECT node, run, instance, serves, renewed_ms, ids_until_ms, lease_ms, revision, \
                        host, version, redis, about \
                 FROM server ORDER BY node"
            }
            Self::InsertServer => concat!(
                "INSERT INTO server (node, run, instance, serves, renewed_ms, ids_until_ms, lease_ms, \
                                     revision, host, version, redis, about) \
                 VALUES (?, ?, ?, ?, ",
                now_ms!(),
                ", ?, ?, ?, ?, ?, ?, ?)"
            ),
            Self::TakeServer => concat!(
                "UPDATE server SET run = ?, instance = ?, serves = ?, renewed_ms = ",
                now_ms!(),
                ", ids_until_ms = ?, lease_ms = ?, revision = ?, host = ?, version = ?, redis = ?, \
                 about = ? \
                 WHERE node = ? AND run = ? AND renewed_ms = ?"
            ),
            Self::RenewServer => concat!(
                "UPDATE server SET renewed_ms = ",
                now_ms!(),
                ", ids_until_ms = ?, lease_ms = ?, revision = ?, redis = ?, about = ? \
                 WHERE node = ? AND run = ? AND ids_until_ms <= ?"
            ),
            Self::ReleaseServer => concat!(
                "UPDATE server SET run = ?, renewed_ms = ",
                now_ms!(),
                ", ids_until_ms = ? WHERE node = ? AND run = ?"
            ),
            Self::FreeAllServers => {
                // Thirty-two times thirty-two: a recursion may be limited to a thousand. Without a WHERE, the ON would be
                // that of the join.
                "INSERT INTO server (node, run, instance, serves, renewed_ms, ids_until_ms, lease_ms, \
                                     revision, host, version, redis, about) \
                 WITH RECURSIVE digit (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM digit WHERE n < 31) \
                 SELECT high.n * 32 + low.n, ?, ?, 0, 0, ?, 0, 0, '', '', '', '' \
                 FROM digit AS high CROSS JOIN digit AS low WHERE 1 = 1 \
                 ON DUPLICATE KEY UPDATE run = ?, renewed_ms = 0, \
                                         ids_until_ms = GREATEST(server.ids_until_ms, ?)"
            }
            Self::Deployment => "SELECT revision, settings FROM deployment WHERE id = 1",
            Self::ChangeDeployment => {
                "UPDATE deployment SET revision = revision + 1, settings = ? \
                 WHERE id = 1 AND revision = ?"
            }
            Self::Products => {
                "SELECT id, name, description, price_minor, currency FROM product ORDER BY id"
            }
        }
    }
}

const _: () = assert!(SESSIONS_TOGETHER_MAX == 64, "the longest statement has 64 marks");
const _: () = assert!(NOTES_TOGETHER_MAX == 64, "the longest statement has 64 marks");
