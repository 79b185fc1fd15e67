//! The file descriptors of this server, summed before it takes connections.

use service::descriptors::{Consumer, DoesNotFit, share_out};
use service::ops::limits::OPS_CONNECTIONS_MAX;
use store::StoreUrl;

use crate::limits::{DESCRIPTORS_RESERVE, OWN_DESCRIPTORS, SQLITE_DESCRIPTORS};
use crate::settings::Settings;

/// How many connections of fronts there may be, if the process may have `limit` files open.
///
/// # Errors
/// When as many were asked for as do not fit, or not one fits.
pub fn clients(settings: &Settings, limit: Option<u64>) -> Result<usize, DoesNotFit> {
    let store = match settings.store {
        // Beside those that are set, the writer and the one that carries the log into the file.
        StoreUrl::Sqlite(_) => SQLITE_DESCRIPTORS * (settings.store_connections + 2),
        // Beside those that are set, one that looks at the schema.
        StoreUrl::MySql(_) => settings.store_connections + 1,
    };
    // One pool for sessions and one for the limiter.
    let redis = settings.redis.as_ref().map_or(0, |_| 2 * settings.store_connections);
    share_out(
        settings.connections_max,
        &[
            Consumer { what: "the store", count: store },
            Consumer { what: "connections to Redis", count: redis },
            Consumer { what: "connections of operators", count: OPS_CONNECTIONS_MAX },
            Consumer { what: "listeners, event loops and files", count: OWN_DESCRIPTORS },
            Consumer { what: "reserve", count: DESCRIPTORS_RESERVE },
        ],
        limit,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::read;

    #[test]
    fn each_store_takes_what_it_takes() {
        let rest = OPS_CONNECTIONS_MAX + OWN_DESCRIPTORS + DESCRIPTORS_RESERVE;
        let check = |flags: &[&str], others: usize| {
            let settings = read(flags).expect("allowed");
            assert_eq!(clients(&settings, Some(1024)), Ok(1024 - others - rest), "{flags:?}");
        };
        check(&[], SQLITE_DESCRIPTORS * 10);
        check(&["--store-connections=1"], SQLITE_DESCRIPTORS * 3);
        check(&["--store=mysql://a:b@127.0.0.1:3306/c"], 9);
        let redis = "--sessions=redis://127.0.0.1:6379/0";
        check(&["--store=mysql://a:b@127.0.0.1:3306/c", redis], 9 + 16);
    }

    #[test]
    fn a_number_that_was_given_is_kept_or_refused() {
        let clients = |flag| clients(&read(&[flag]).expect("allowed"), Some(1024));
        assert_eq!(clients("--connections-max=500"), Ok(500));
        let error = clients("--connections-max=1000").expect_err("it does not fit");
        assert!(error.to_string().contains("30 for the store"), "{error}");
    }
}
