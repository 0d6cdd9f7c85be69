//! The figures as OpenMetrics text, escaped by `prometheus-client`.

use super::{BUCKETS_NS, HistogramSnapshot};
use crate::lifecycle::State;
use crate::log::LogFigures;
use crate::registry::{Plugin, Snapshot};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, text::encode_registry,
};
use prometheus_client::metrics::MetricType;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What the runtime adds to its plugins' figures.
#[derive(Clone, Debug)]
pub struct RuntimeFigures {
    /// How the log path fares.
    pub log: LogFigures,
    /// How long writers waited for locks.
    pub lock_wait: HistogramSnapshot,
    /// Lock waits that were given up.
    pub lock_timeouts: u64,
}

/// Everything as OpenMetrics text.
#[must_use]
pub fn encode(snapshot: &Snapshot, figures: &RuntimeFigures) -> String {
    let mut registry = prometheus_client::registry::Registry::default();
    let plugins = snapshot.plugins().to_vec();
    registry.register_collector(Box::new(Figures {
        plugins,
        figures: figures.clone(),
    }));
    let mut text = String::new();
    match encode_registry(&mut text, &registry) {
        Ok(()) => text.push_str("# EOF\n"),
        Err(_) => text = "# EOF\n".to_owned(),
    }
    text
}

struct Figures {
    plugins: Vec<Arc<Plugin>>,
    figures: RuntimeFigures,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures")
            .field("plugins", &self.plugins.len())
            .finish_non_exhaustive()
    }
}

struct Counter(u64);
struct Gauge(i64);
struct Seconds(HistogramSnapshot);

impl EncodeMetric for Counter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_counter::<[(&str, &str); 0], _, u64>(&self.0, None)
    }
    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

impl EncodeMetric for Gauge {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        encoder.encode_gauge(&self.0)
    }
    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl EncodeMetric for Seconds {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BUCKETS_NS.iter().map(|b| *b as f64 / 1e9).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.0.counts).collect();
        let count = self.0.counts.iter().sum();
        encoder.encode_histogram::<[(&str, &str); 0]>(
            self.0.sum_ns as f64 / 1e9,
            count,
            &buckets,
            None,
        )
    }
    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

type Row<M> = (Vec<(&'static str, String)>, M);

fn family<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    rows: Vec<Row<M>>,
) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let mut metrics = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, metric) in rows {
        metric.encode(metrics.encode_family(&labels)?)?;
    }
    Ok(())
}

/// A metric of the runtime itself, which has no labels.
fn single(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    metric: impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
}

impl Figures {
    fn rows<M>(&self, figure: impl Fn(&Plugin) -> M) -> Vec<Row<M>> {
        self.plugins
            .iter()
            .map(|p| (vec![("plugin", p.name.clone())], figure(p)))
            .collect()
    }

    /// Of those that have a worker.
    fn resident(&self) -> Vec<Row<Gauge>> {
        let each = self.plugins.iter().filter_map(|plugin| {
            let executor = &plugin.generation()?.executor;
            let pid = executor.pid().filter(|_| executor.is_alive())?;
            let bytes = resident(pid)?;
            Some((vec![("plugin", plugin.name.clone())], Gauge(bytes)))
        });
        each.collect()
    }

    fn plugin_families(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut calls = Vec::new();
        let mut errors = Vec::new();
        let mut states = Vec::new();
        let mut latencies = Vec::new();
        for plugin in &self.plugins {
            let name = || ("plugin", plugin.name.clone());
            let stats = plugin.stats.snapshot();
            calls.push((
                vec![name(), ("outcome", "ok".into())],
                Counter(stats.success),
            ));
            calls.push((
                vec![name(), ("outcome", "error".into())],
                Counter(stats.errors),
            ));
            for (code, n) in plugin.stats.codes() {
                errors.push((vec![name(), ("code", code.as_str().into())], Counter(n)));
            }
            let now = plugin.status().state;
            for state in State::ALL {
                let is = Gauge(i64::from(state == now));
                states.push((vec![name(), ("state", state.as_str().into())], is));
            }
            for tool in plugin.generation().iter().flat_map(|g| g.tools()) {
                let labels = vec![name(), ("tool", tool.spec.id.clone())];
                latencies.push((labels, Seconds(tool.latency.snapshot())));
            }
        }
        family(
            encoder,
            "plugward_calls",
            "Ended calls",
            MetricType::Counter,
            calls,
        )?;
        family(
            encoder,
            "plugward_errors",
            "Errors by code",
            MetricType::Counter,
            errors,
        )?;
        family(
            encoder,
            "plugward_state",
            "1 for the present state",
            MetricType::Gauge,
            states,
        )?;
        let help = "Latency of calls";
        family(
            encoder,
            "plugward_call_seconds",
            help,
            MetricType::Histogram,
            latencies,
        )
    }

    fn gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let gauge = MetricType::Gauge;
        let rows = self.rows(|p| Gauge(p.status().in_flight.into()));
        family(
            encoder,
            "plugward_in_flight",
            "Calls under way",
            gauge,
            rows,
        )?;
        let rows = self.rows(|p| Gauge(p.gate.waiting().into()));
        family(
            encoder,
            "plugward_queue_depth",
            "Callers that wait",
            gauge,
            rows,
        )?;
        let rows = self.rows(|p| Gauge(p.spares.ready().into()));
        family(
            encoder,
            "plugward_spares_ready",
            "Warm spares that are ready",
            gauge,
            rows,
        )?;
        let rows = self.rows(|p| Gauge(p.abandoned_threads().into()));
        family(
            encoder,
            "plugward_abandoned_threads",
            "Hanging threads",
            gauge,
            rows,
        )?;
        family(
            encoder,
            "plugward_worker_resident_bytes",
            "Resident memory of the worker process",
            gauge,
            self.resident(),
        )?;
        let rows = self.rows(|p| Counter(p.restarts.load(Relaxed).into()));
        family(
            encoder,
            "plugward_restarts",
            "Restarts",
            MetricType::Counter,
            rows,
        )
    }

    fn runtime_families(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let RuntimeFigures {
            log,
            lock_wait,
            lock_timeouts,
        } = &self.figures;
        let mut counter = |name: &str, help: &str, n: u64| {
            single(encoder, name, help, MetricType::Counter, Counter(n))
        };
        counter("plugward_log_records", "Log records", log.written)?;
        counter(
            "plugward_log_dropped",
            "Log records that were dropped",
            log.dropped,
        )?;
        counter(
            "plugward_log_sink_errors",
            "Records the sink refused",
            log.sink_errors,
        )?;
        counter(
            "plugward_lock_timeouts",
            "Lock waits that were given up",
            *lock_timeouts,
        )?;
        let help = "How long writers waited for locks";
        let waits = Seconds(lock_wait.clone());
        single(
            encoder,
            "plugward_lock_wait_seconds",
            help,
            MetricType::Histogram,
            waits,
        )
    }
}

/// Bytes that a process has resident; `None` where nobody can tell, or it is gone.
fn resident(pid: u32) -> Option<i64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.plugin_families(&mut encoder)?;
        self.gauges(&mut encoder)?;
        self.runtime_families(&mut encoder)
    }
}
