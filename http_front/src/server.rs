//! Putting the server together, and taking it down in order.
//!
//! Start: the ops listener, lanes, then the API's loops, then the line that says where. Stop: everything is served until
//! balancers have noticed; then the API's loops finish what has arrived; with them the last submitters of the lanes go, so
//! the workers end; the ops listener goes last, so that an operator can watch. [`service::lifetime`] says by when.

use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;

use http1::{Connection, Shared};
use lane::FlowKeys;
use reactor::Limits;
use service::hardening::{open_files_max, usable_memory};
use service::lifetime::Lifetime;
use service::metrics::Registry;
use service::ops::{self, OpsServer, Probe, Readiness, Serves};
use service::process::{self, Failure, bind};
use service::rare;
use service::ready::Ready;
use service::settings::Raw;

use crate::api::{Api, Lanes};
use crate::limits::PROBE_INTERVAL;
use crate::metrics::Metrics;
use crate::proxies::TrustedProxies;
use crate::settings::{PROGRAM, Settings};
use crate::upstream::Upstreams;
use crate::worker::{start_heavy, start_light};
use crate::{descriptors, memory};

/// Runs the program: reads settings, serves until a signal says to stop.
#[must_use]
pub fn main() -> ExitCode {
    process::run(&PROGRAM, PROGRAM.command(), Settings::read, |raw, settings| {
        serve(raw, settings).map_err(Failure::refused)
    })
}

fn serve(raw: &Raw, settings: &Settings) -> Result<(), Box<dyn Error>> {
    let log = settings.log.clone().start()?;
    process::log_settings(raw);
    process::prepare(settings.core_dumps);
    let mut registry = Registry::new(PROGRAM.name());
    process::observe(&mut registry, &log);
    let mut lifetime = Lifetime::begin(log, settings.pid_file.as_deref())?;
    let metrics = Metrics::new(&mut registry);

    let connections_max = descriptors::clients(settings, open_files_max())?;
    let buffer_bytes = memory::for_buffers(settings, connections_max, usable_memory())?;
    rare!("once, at the start", INFO, buffer_bytes, "memory for buffers");

    let listener = bind(settings.listen, settings.loops)?;
    let readiness = Readiness::unknown();
    let ops_listener = bind(settings.ops_listen, NonZeroUsize::MIN)?;
    let ops = OpsServer::start(ops_listener, registry, readiness.clone())?;

    let connections = settings.upstream_connections();
    let upstreams = Arc::new(Upstreams::new(&settings.auth, connections, metrics.clone())?);
    let queue_time_max = settings.queue_time_max;
    let (heavy, heavy_workers) =
        start_heavy(settings.heavy, queue_time_max, Arc::clone(&upstreams))?;
    let (light, light_workers) = start_light(settings.light, Arc::clone(&upstreams))?;
    let lane_stats = [heavy.stats(), light.stats()];
    let lanes = Lanes { heavy, light, flows: FlowKeys::default(), markers: Arc::default() };

    let limits = Limits {
        connections_max,
        connections_per_address_max: settings.connections_per_address_max,
        buffer_bytes_max: usize::try_from(buffer_bytes).unwrap_or(usize::MAX),
    };
    let (request_timeout, idle_timeout) = (settings.request_timeout, settings.idle_timeout);
    let head_bytes_max = settings.head_bytes_max;
    let proxies = TrustedProxies::new(settings.trusted_proxies.clone());
    let api = reactor::start::<Connection<Api>, _>("http", listener, limits, move |_, mailbox| {
        let (lanes, proxies) = (lanes.clone(), proxies.clone());
        Shared::new(Api::new(mailbox, lanes, request_timeout, proxies, metrics.clone()))
            .with_head_bytes_max(head_bytes_max)
            .with_idle_time(idle_timeout)
    })?;
    let mut registry = ops.registry();
    for lane in &lane_stats {
        registry.observe_lane(lane);
    }
    ops::observe_reactor(&mut registry, "http", &api.counters());
    for (index, address) in upstreams.addresses().enumerate() {
        let upstreams = Arc::clone(&upstreams);
        let help = "Whether an auth server answered when it was last asked";
        let labels = [("server", &*address.to_string())];
        registry
            .observe_gauge("upstream_up", help, &labels, move || f64::from(upstreams.is_up(index)));
    }

    drop(registry);

    let mut probe = Probe::start("probe", PROBE_INTERVAL, readiness.clone(), move || {
        upstreams.check_health(request_timeout).map(|()| Serves::All)
    })?;

    let places = [("http", api.local_addr()), ("ops", ops.local_addr())];
    lifetime.listening(&Ready::new(PROGRAM.name(), places)?, Box::new(api.heartbeat()))?;
    let (at, ops_at) = (api.local_addr(), ops.local_addr());
    rare!("once, at the start", INFO, http = %at, ops = %ops_at, build = %PROGRAM.build(), "listening");

    // There is nothing to read again.
    let by = lifetime.serve(settings.stop_times, &readiness, || {}, || api.drain());
    rare!("once, at the end", INFO, "stopping");
    probe.ask_to_end();
    api.shut_down(by.grace());
    by.join("heavy", heavy_workers);
    by.join("light", light_workers);
    probe.end_by(by.end_by);
    ops.shut_down(by.end_by);
    rare!("once, at the end", INFO, "stopped");
    Ok(())
}
