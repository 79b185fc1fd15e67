//! What is done about each error that a database may answer with.
//!
//! Numbers and names: MySQL 8.4 Reference Manual, "Server Error Message Reference"; MariaDB Server
//! Documentation, "MariaDB Error Code Reference". docs/database.md has the same table for operators, and a test
//! compares the two.

/// What is done about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Whoever asked gets 503. The statement cannot be served now; the connection stays.
    NotNow,
    /// Whoever asked gets 503. The connection will not serve again: it was refused or closed by the server, or
    /// left behind by a failover to another machine.
    Away,
    /// Whoever asked gets 503, and a start ends: only the database's operator can change it.
    Operator,
    /// Whoever asked gets 500: a statement of ours is wrong, or what was bound to it.
    Ours,
}

/// An error that is known by its number.
pub(super) struct Known {
    pub(super) number: u16,
    pub(super) name: &'static str,
    pub(super) act: Act,
}

const fn known(act: Act, number: u16, name: &'static str) -> Known {
    Known { number, name, act }
}

/// `ER_DUP_ENTRY`.
pub(super) const DUPLICATE: u16 = 1062;
/// `ER_DUP_FIELDNAME`.
pub(super) const COLUMN_THERE_ALREADY: u16 = 1060;
/// `ER_LOCK_DEADLOCK`.
pub(super) const DEADLOCK: u16 = 1213;
/// The account is not there, or the password is wrong.
pub(super) const ACCESS_DENIED: u16 = 1045;

/// What a database answers to writes that it would answer to reads: no room, read only, no primary.
pub(super) const NO_WRITES: &[u16] = &[1021, 1114, 1290, 1792, 1836];

/// By number.
pub(super) const KNOWN: &[Known] = &[
    known(Act::NotNow, 1021, "ER_DISK_FULL"),
    known(Act::NotNow, 1026, "ER_ERROR_ON_WRITE"),
    known(Act::NotNow, 1030, "ER_GET_ERRNO"),
    known(Act::NotNow, 1037, "ER_OUTOFMEMORY"),
    known(Act::Away, 1040, "ER_CON_COUNT_ERROR"),
    known(Act::NotNow, 1041, "ER_OUT_OF_RESOURCES"),
    known(Act::Operator, 1044, "ER_DBACCESS_DENIED_ERROR"),
    known(Act::Operator, 1045, "ER_ACCESS_DENIED_ERROR"),
    known(Act::Away, 1047, "ER_UNKNOWN_COM_ERROR"),
    known(Act::Ours, 1048, "ER_BAD_NULL_ERROR"),
    known(Act::Operator, 1049, "ER_BAD_DB_ERROR"),
    known(Act::Away, 1053, "ER_SERVER_SHUTDOWN"),
    known(Act::Operator, 1054, "ER_BAD_FIELD_ERROR"),
    known(Act::Ours, COLUMN_THERE_ALREADY, "ER_DUP_FIELDNAME"),
    known(Act::Ours, DUPLICATE, "ER_DUP_ENTRY"),
    known(Act::Ours, 1064, "ER_PARSE_ERROR"),
    known(Act::Away, 1077, "ER_NORMAL_SHUTDOWN"),
    known(Act::Away, 1079, "ER_SHUTDOWN_COMPLETE"),
    known(Act::Away, 1080, "ER_FORCING_CLOSE"),
    known(Act::NotNow, 1114, "ER_RECORD_FILE_FULL"),
    known(Act::Away, 1129, "ER_HOST_IS_BLOCKED"),
    known(Act::Operator, 1130, "ER_HOST_NOT_PRIVILEGED"),
    known(Act::Operator, 1142, "ER_TABLEACCESS_DENIED_ERROR"),
    known(Act::Operator, 1143, "ER_COLUMNACCESS_DENIED_ERROR"),
    known(Act::Operator, 1146, "ER_NO_SUCH_TABLE"),
    known(Act::Away, 1152, "ER_ABORTING_CONNECTION"),
    known(Act::Away, 1180, "ER_ERROR_DURING_COMMIT"),
    known(Act::Away, 1184, "ER_NEW_ABORTING_CONNECTION"),
    known(Act::Away, 1203, "ER_TOO_MANY_USER_CONNECTIONS"),
    known(Act::NotNow, 1205, "ER_LOCK_WAIT_TIMEOUT"),
    known(Act::Ours, 1210, "ER_WRONG_ARGUMENTS"),
    known(Act::NotNow, DEADLOCK, "ER_LOCK_DEADLOCK"),
    known(Act::Away, 1226, "ER_USER_LIMIT_REACHED"),
    known(Act::Operator, 1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR"),
    known(Act::Away, 1243, "ER_UNKNOWN_STMT_HANDLER"),
    known(Act::Operator, 1251, "ER_NOT_SUPPORTED_AUTH_MODE"),
    known(Act::Ours, 1264, "ER_WARN_DATA_OUT_OF_RANGE"),
    known(Act::Ours, 1265, "WARN_DATA_TRUNCATED"),
    known(Act::Away, 1290, "ER_OPTION_PREVENTS_STATEMENT"),
    known(Act::Ours, 1292, "ER_TRUNCATED_WRONG_VALUE"),
    known(Act::NotNow, 1317, "ER_QUERY_INTERRUPTED"),
    known(Act::Ours, 1364, "ER_NO_DEFAULT_FOR_FIELD"),
    known(Act::Ours, 1366, "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD"),
    known(Act::Ours, 1406, "ER_DATA_TOO_LONG"),
    known(Act::Ours, 1451, "ER_ROW_IS_REFERENCED_2"),
    known(Act::Ours, 1452, "ER_NO_REFERENCED_ROW_2"),
    known(Act::NotNow, 1461, "ER_MAX_PREPARED_STMT_COUNT_REACHED"),
    known(Act::Operator, 1524, "ER_PLUGIN_IS_NOT_LOADED"),
    known(Act::Away, 1615, "ER_NEED_REPREPARE"),
    known(Act::Ours, 1690, "ER_DATA_OUT_OF_RANGE"),
    known(Act::Operator, 1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR"),
    known(Act::Away, 1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION"),
    known(Act::Operator, 1820, "ER_MUST_CHANGE_PASSWORD"),
    known(Act::Away, 1836, "ER_READ_ONLY_MODE"),
    known(Act::Operator, 1862, "ER_MUST_CHANGE_PASSWORD_LOGIN"),
    known(Act::Away, 1927, "ER_CONNECTION_KILLED"),
    known(Act::NotNow, 1969, "ER_STATEMENT_TIMEOUT"),
    known(Act::NotNow, 3024, "ER_QUERY_TIMEOUT"),
    known(Act::Operator, 3118, "ER_ACCOUNT_HAS_BEEN_LOCKED"),
    known(Act::Operator, 3159, "ER_SECURE_TRANSPORT_REQUIRED"),
    known(Act::Away, 3169, "ER_SESSION_WAS_KILLED"),
    known(Act::Ours, 3819, "ER_CHECK_CONSTRAINT_VIOLATED"),
    known(Act::Ours, 4025, "ER_CONSTRAINT_FAILED"),
    known(Act::Away, 4031, "ER_CLIENT_INTERACTION_TIMEOUT"),
    known(Act::Operator, 4151, "ER_ACCOUNT_HAS_BEEN_LOCKED"),
];

fn find(number: u16) -> Option<&'static Known> {
    let index = KNOWN.binary_search_by_key(&number, |known| known.number);
    index.ok().map(|index| &KNOWN[index])
}

/// The error's name, as far as it is known.
pub(super) fn name(number: u16) -> Option<&'static str> {
    find(number).map(|known| known.name)
}

/// What is done about the error `number`. One that nobody has foreseen says nothing about what was asked, least of all
/// that a token is dead or this program wrong: somebody between us and the data has a reason of his own.
pub(super) fn act(number: u16) -> Act {
    find(number).map_or(Act::Away, |known| known.act)
}

/// Whether the server's own words may go into a log. Some quote values: "Duplicate entry '…'", "Incorrect string
/// value: '…'". Of an error that nobody has foreseen, those of class 08 are about connections (SQL:2023, part 2,
/// "connection exception").
pub(super) fn may_quote(number: u16, state: &str) -> bool {
    match find(number) {
        // Class 42 is about syntax and names, which are ours.
        Some(known) => known.act == Act::Ours && !state.starts_with("42"),
        None => !state.starts_with("08"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/database.md");

    #[test]
    fn numbers_are_in_order_and_each_stands_once() {
        assert!(KNOWN.is_sorted_by(|one, next| one.number < next.number));
    }

    /// `| 1021 | ER_DISK_FULL | not now |` and so on, and no other row of that form.
    #[test]
    fn the_page_for_operators_has_the_same_table() {
        let rows: Vec<&str> = PAGE
            .lines()
            .filter(|line| {
                line.strip_prefix("| ")
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
            .collect();
        let expected: Vec<String> = KNOWN
            .iter()
            .map(|Known { number, name, act }| {
                let act = match act {
                    Act::NotNow => "not now",
                    Act::Away => "away",
                    Act::Operator => "operator",
                    Act::Ours => "ours",
                };
                format!("| {number} | {name} | {act} |")
            })
            .collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn what_nobody_has_foreseen_is_no_defect_of_ours() {
        // ProxySQL's own numbers; ER_XA_RBROLLBACK.
        for number in [9001, 1402] {
            assert_eq!(act(number), Act::Away, "{number}");
        }
        assert!(!may_quote(1158, "08S01") && may_quote(9001, "HY000"));
    }
}
