//! The metrics page (OpenMetrics text): one table of names, read from every shard.

use super::{Counter, FRONT_LABELS, Front, Histogram, Shard};
use std::fmt::Write;

enum Kind {
    Counter,
    Gauge,
}

/// Name, help, kind, where.
type Row<T> = (&'static str, &'static str, Kind, fn(&T) -> &Counter);

const FRONT_ROWS: &[Row<Front>] = &[
    ("weir_accepted", "Connections accepted.", Kind::Counter, |f| &f.accepted),
    ("weir_connections", "Open connections.", Kind::Gauge, |f| &f.open),
    ("weir_websockets", "Open WebSockets.", Kind::Gauge, |f| &f.websockets),
    ("weir_messages_in", "Messages and requests received.", Kind::Counter, |f| &f.messages_in),
    ("weir_bytes_in", "Bytes received.", Kind::Counter, |f| &f.bytes_in),
    ("weir_messages_out", "Frames and answers queued.", Kind::Counter, |f| &f.messages_out),
    ("weir_bytes_out", "Bytes sent.", Kind::Counter, |f| &f.bytes_out),
    ("weir_violations", "Connections ended for a protocol error.", Kind::Counter, |f| {
        &f.violations
    }),
    ("weir_slow_closed", "Connections ended for slow reading.", Kind::Counter, |f| &f.slow_closed),
];

const SHARD_ROWS: &[Row<Shard>] = &[
    ("weir_turns", "Turns of the shard.", Kind::Counter, |s| &s.turns),
    ("weir_mailbox_depth", "Mails waiting at the last turn.", Kind::Gauge, |s| &s.mailbox_depth),
    ("weir_mail_delayed", "Mails that found a mailbox full.", Kind::Counter, |s| &s.mail_delayed),
    ("weir_records", "Records appended.", Kind::Counter, |s| &s.records),
    ("weir_log_bytes", "Bytes appended to logs.", Kind::Counter, |s| &s.log_bytes),
    ("weir_log_disk_bytes", "Bytes of log files.", Kind::Gauge, |s| &s.log_disk_bytes),
    ("weir_topics", "Topics owned.", Kind::Gauge, |s| &s.topics),
    ("weir_log_writes", "Log writes completed.", Kind::Counter, |s| &s.writes),
    ("weir_log_syncs", "Log syncs completed.", Kind::Counter, |s| &s.syncs),
    ("weir_log_poisoned", "Segments poisoned by a failed write.", Kind::Counter, |s| &s.poisoned),
    ("weir_log_read_only", "Partitions that take no more.", Kind::Gauge, |s| &s.read_only),
    ("weir_appends_refused", "Appends refused.", Kind::Counter, |s| &s.refused),
    ("weir_accept_exhausted", "Accepts put off, no descriptor.", Kind::Counter, |s| {
        &s.accept_exhausted
    }),
    ("weir_recovered_records", "Records found at start.", Kind::Gauge, |s| &s.recovered_records),
    ("weir_recovered_cut_bytes", "Bytes cut at start.", Kind::Gauge, |s| &s.recovered_cut_bytes),
    ("weir_recovered_gaps", "Damaged ranges at start.", Kind::Gauge, |s| &s.recovered_gaps),
    ("weir_subscriptions", "Subscriptions of connections.", Kind::Gauge, |s| &s.subscriptions),
    (
        "weir_catch_up_skipped",
        "Records gone before a subscription read them.",
        Kind::Counter,
        |s| &s.catch_up_skipped,
    ),
    ("weir_mesh_records_skipped", "Queue messages gone unconsumed.", Kind::Counter, |s| {
        &s.queue_skipped
    }),
    ("weir_mesh_messages_refused", "User messages not stored.", Kind::Counter, |s| &s.mesh_refused),
];

/// Names and helps of what is counted for each flow.
const FLOW_ROWS: [(&str, &str); 3] = [
    ("weir_flow_records_out", "Rows that came out of a flow."),
    ("weir_flow_errors", "Records that failed in a flow, and outputs that were refused."),
    ("weir_flow_late", "Records that came after their window had closed."),
];

/// The page with what is counted for each flow: its label and the numbers of [`FLOW_ROWS`].
#[must_use]
pub fn with_flows(mut page: String, flows: &[(String, [u64; 3])]) -> String {
    if flows.is_empty() {
        return page;
    }
    let end = page.rfind(END).unwrap_or(page.len());
    page.truncate(end);
    for (index, (name, help)) in FLOW_ROWS.iter().enumerate() {
        head(&mut page, name, help, &Kind::Counter);
        for (label, counts) in flows {
            let label = label.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(page, "{name}_total{{flow=\"{label}\"}} {}", counts[index]);
        }
    }
    page.push_str(END);
    page
}

/// The last line of a page.
const END: &str = "# EOF\n";

/// The whole page.
#[must_use]
pub fn render<'a>(
    shards: impl Iterator<Item = &'a Shard> + Clone,
    ready: bool,
    raw_queries: u64,
) -> String {
    let mut out = String::with_capacity(16 << 10);
    for (name, help, kind, read) in FRONT_ROWS {
        head(&mut out, name, help, kind);
        for (index, label) in FRONT_LABELS.iter().enumerate() {
            let sum: u64 = shards.clone().map(|s| read(&s.fronts[index]).get()).sum();
            let _ = writeln!(out, "{name}{}{{front_end=\"{label}\"}} {sum}", suffix(kind));
        }
    }
    for (name, help, kind, read) in SHARD_ROWS {
        head(&mut out, name, help, kind);
        if matches!(name, &"weir_mesh_records_skipped" | &"weir_mesh_messages_refused") {
            let sum: u64 = shards.clone().map(|s| read(s).get()).sum();
            let _ = writeln!(out, "{name}_total {sum}");
            continue;
        }
        for (shard, metrics) in shards.clone().enumerate() {
            let _ = writeln!(
                out,
                "{name}{}{{shard=\"{shard}\"}} {}",
                suffix(kind),
                read(metrics).get()
            );
        }
    }
    drops(&mut out, shards.clone());
    histogram(&mut out, "weir_log_sync_seconds", "Time of syncs.", shards.clone().map(|s| &s.sync));
    histogram(
        &mut out,
        "weir_turn_seconds",
        "Time of busy turns.",
        shards.clone().map(|s| &s.turn),
    );
    let recovery = shards.clone().map(|s| s.recovery_ns.get()).max().unwrap_or(0);
    head(&mut out, "weir_recovery_seconds", "Time of recovery at start.", &Kind::Gauge);
    let _ = writeln!(out, "weir_recovery_seconds {}", recovery as f64 / 1e9);
    head(&mut out, "weir_ready", "Whether the appliance is ready.", &Kind::Gauge);
    let _ = writeln!(out, "weir_ready {}", u8::from(ready));
    head(&mut out, "weir_raw_queries_running", "Queries of the raw front-end.", &Kind::Gauge);
    let _ = writeln!(out, "weir_raw_queries_running {raw_queries}");
    head(&mut out, "weir_resident_bytes", "Resident memory.", &Kind::Gauge);
    let _ = writeln!(out, "weir_resident_bytes {}", crate::metrics::resident());
    let users = FRONT_LABELS.iter().position(|label| *label == "users").unwrap_or(0);
    let clients: u64 = shards.clone().map(|s| s.fronts[users].websockets.get()).sum();
    head(&mut out, "connmix_engine_servers_clients", "Open end-user connections.", &Kind::Gauge);
    let _ = writeln!(out, "connmix_engine_servers_clients {clients}");
    nsdb(&mut out, shards.clone());
    let slow: u64 = shards.map(|s| s.fronts[0].slow_closed.get()).sum();
    head(&mut out, "weir_jsonjet_slow_closed", "Connections closed with 1013.", &Kind::Counter);
    let _ = writeln!(out, "weir_jsonjet_slow_closed_total {slow}\n# EOF");
    out
}

/// One sample each.
const NSDB_ROWS: &[Row<Shard>] = &[
    ("weir_nsdb_subscriptions", "Pairs of socket and query.", Kind::Gauge, |s| {
        &s.nsdb_subscriptions
    }),
    ("weir_nsdb_records_dropped", "Bits not pushed.", Kind::Counter, |s| &s.nsdb_dropped),
    ("weir_nsdb_records_skipped", "Records that are no bits.", Kind::Counter, |s| &s.nsdb_skipped),
    ("weir_nsdb_pushes", "Push messages.", Kind::Counter, |s| &s.nsdb_pushes),
];

fn nsdb<'a>(out: &mut String, shards: impl Iterator<Item = &'a Shard> + Clone) {
    let front = FRONT_LABELS.iter().position(|label| *label == "nsdb").unwrap_or(0);
    let open: u64 = shards.clone().map(|s| s.fronts[front].websockets.get()).sum();
    head(out, "weir_nsdb_connections", "Open sockets.", &Kind::Gauge);
    let _ = writeln!(out, "weir_nsdb_connections {open}");
    for (name, help, kind, read) in NSDB_ROWS {
        head(out, name, help, kind);
        let sum: u64 = shards.clone().map(|s| read(s).get()).fold(0, u64::wrapping_add);
        let _ = writeln!(out, "{name}{} {sum}", suffix(kind));
    }
}

fn drops<'a>(out: &mut String, shards: impl Iterator<Item = &'a Shard> + Clone) {
    head(out, "weir_outbox_dropped", "Deliveries dropped.", &Kind::Counter);
    let oldest: u64 = shards.clone().map(|s| s.dropped_oldest.get()).sum();
    let newest: u64 = shards.map(|s| s.dropped_newest.get()).sum();
    let _ = writeln!(out, "weir_outbox_dropped_total{{reason=\"drop_oldest\"}} {oldest}");
    let _ = writeln!(out, "weir_outbox_dropped_total{{reason=\"drop_newest\"}} {newest}");
}

fn head(out: &mut String, name: &str, help: &str, kind: &Kind) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let _ = writeln!(out, "# TYPE {name} {kind}\n# HELP {name} {help}");
}

fn suffix(kind: &Kind) -> &'static str {
    match kind {
        Kind::Counter => "_total",
        Kind::Gauge => "",
    }
}

fn histogram<'a>(
    out: &mut String,
    name: &str,
    help: &str,
    all: impl Iterator<Item = &'a Histogram> + Clone,
) {
    let _ = writeln!(out, "# TYPE {name} histogram\n# HELP {name} {help}");
    let mut cumulative = 0;
    for bucket in 0..super::BUCKETS - 1 {
        cumulative += all.clone().map(|h| h.buckets[bucket].get()).sum::<u64>();
        let bound = (1_u64 << bucket) as f64 / 1e6;
        let _ = writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {cumulative}");
    }
    let count: u64 = all.clone().map(|h| h.count.get()).sum();
    let sum: u64 = all.map(|h| h.sum_us.get()).sum();
    let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
    let _ = writeln!(out, "{name}_sum {}\n{name}_count {count}", sum as f64 / 1e6);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_complete_and_every_line_has_its_form() {
        let shards = [Shard::default(), Shard::default()];
        shards[1].sync.record_ns(150_000);
        shards[0].fronts[0].accepted.add(3);
        let page = render(shards.iter(), true, 2);
        assert!(page.contains("weir_accepted_total{front_end=\"jsonjet\"} 3"), "{page}");
        assert!(page.contains("weir_log_sync_seconds_bucket{le=\"0.000256\"} 1"));
        assert!(page.contains("weir_log_sync_seconds_bucket{le=\"0.000128\"} 0"));
        assert!(page.contains("\nconnmix_engine_servers_clients 0\n"));
        assert!(page.ends_with("# EOF\n"));
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(!name.is_empty() && value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
