//! The file descriptors of this server, summed before it takes connections.

use service::descriptors::{Consumer, DoesNotFit, share_out};
use service::ops::limits::OPS_CONNECTIONS_MAX;

use crate::limits::{DESCRIPTORS_PER_LOOP, DESCRIPTORS_RESERVE, OWN_DESCRIPTORS};
use crate::settings::Settings;

/// How many connections of clients there may be, if the process may have `limit` files open.
///
/// # Errors
/// When as many were asked for as do not fit, or not one fits.
pub fn clients(settings: &Settings, limit: Option<u64>) -> Result<usize, DoesNotFit> {
    let loops = settings.loops.get();
    share_out(
        settings.connections_max,
        &[
            Consumer {
                what: "connections to auth servers",
                count: settings.auth.len() * settings.upstream_connections(),
            },
            Consumer { what: "connections of operators", count: OPS_CONNECTIONS_MAX },
            Consumer {
                what: "listeners, event loops and files",
                count: OWN_DESCRIPTORS + DESCRIPTORS_PER_LOOP * (loops + 1),
            },
            // A connection that is turned away has one for a moment, on each loop.
            Consumer { what: "reserve", count: DESCRIPTORS_RESERVE + loops + 1 },
        ],
        limit,
    )
}
