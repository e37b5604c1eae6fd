//! `weir serve --demo`: three simulated sensors, and what to try on the screen.
//!
//! The sensors are an ordinary client of the published protocol: what they do, a user can do.

use super::client::{Client, Target, quoted, reachable};
use crate::config::Config;
use crate::sys::clock;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The stream that is fed.
pub const STREAM: &str = "sensor_data";
/// Between two records of one sensor.
const PERIOD: Duration = Duration::from_millis(500);
/// Before a lost connection is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How soon a stop is seen.
const STEP: Duration = Duration::from_millis(50);
/// Eight hours of three sensors: a demo left alone does not fill the disk.
const OPTIONS: &str = " with { retain: 200000 }";

/// Feeds [`STREAM`] until `stop`. Lost connections are made again.
pub fn run(address: SocketAddr, token: Option<String>, stop: &Arc<AtomicBool>) {
    let target = Target { server: reachable(address).to_string(), token };
    let mut sensors = Sensors::new(clock::realtime_ns().unsigned_abs());
    let mut warned = false;
    while !stop.load(Ordering::Acquire) {
        let Err(error) = feed(&target, &mut sensors, stop) else { return };
        if !warned && !stop.load(Ordering::Acquire) {
            tracing::warn!(target: "weir", error, "the demo's sensors try again each second");
            warned = true;
        }
        pause(RETRY, stop);
    }
}

fn feed(target: &Target, sensors: &mut Sensors, stop: &AtomicBool) -> Result<(), String> {
    let mut client = Client::connect(target)?;
    client.create(STREAM, OPTIONS)?;
    while !stop.load(Ordering::Acquire) {
        client.insert(STREAM, &sensors.records(clock::realtime_ns() / 1_000_000))?;
        pause(PERIOD, stop);
    }
    client.close();
    Ok(())
}

fn pause(time: Duration, stop: &AtomicBool) {
    let mut left = time;
    while !left.is_zero() && !stop.load(Ordering::Acquire) {
        thread::sleep(left.min(STEP));
        left = left.saturating_sub(STEP);
    }
}

/// Name, kind, unit, resting value, reach of the slow drift, reach of the noise.
const SENSORS: [(&str, &str, &str, f64, f64, f64); 3] = [
    ("furnace", "temperature", "C", 182.0, 6.0, 0.3),
    ("spindle", "vibration", "mm/s", 2.4, 0.9, 0.15),
    ("hall-2", "power", "kW", 41.0, 9.0, 0.8),
];

/// Values that wander about their resting values.
struct Sensors {
    random: u64,
    drift: [f64; SENSORS.len()],
}

impl Sensors {
    fn new(seed: u64) -> Self {
        Self { random: seed | 1, drift: [0.0; SENSORS.len()] }
    }

    /// From -1 to 1 (xorshift64*).
    fn noise(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// One record of each, JSON texts separated by commas.
    fn records(&mut self, time_ms: i64) -> String {
        let mut out = String::new();
        for (i, (name, kind, unit, rest, reach, noise)) in SENSORS.iter().enumerate() {
            // A random walk that is drawn back to the middle, so that it never leaves its reach.
            self.drift[i] = self.drift[i] * 0.98 + self.noise() * 0.1;
            let drift = self.drift[i].clamp(-1.0, 1.0);
            let value = rest + drift * reach + self.noise() * noise;
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(
                out,
                "{comma}{{\"sensor\":{},\"kind\":{},\"value\":{value:.2},\"unit\":{},\
                 \"time\":{time_ms}}}",
                quoted(name),
                quoted(kind),
                quoted(unit)
            );
        }
        out
    }
}

/// The lines to try; `own` is the program as it was called.
#[must_use]
pub fn greeting(config: &Config, own: &str) -> String {
    let mut out = String::from("weir is running. Three simulated sensors write twice a second.\n");
    let listen = &config.listen;
    let flag = match listen.jsonjet.map(reachable).map(|address| address.to_string()) {
        Some(address) if Some(&address[..]) != super::table::SERVER.default => {
            format!(" --server {address}")
        }
        _ => String::new(),
    };
    if let Some(address) = listen.jsonjet.map(reachable) {
        let _ = write!(
            out,
            "\nSee the records arrive:\n  {own} sub {STREAM}{flag}\n  \
             {own} sub {STREAM} --from earliest{flag}\n  \
             npx wscat -c ws://{address}/ws -x \
             '{{\"type\":\"subscribe\",\"streamName\":\"{STREAM}\"}}' \
             -w 60\n\
             \nInsert one:\n  {own} pub {STREAM} '{{\"sensor\":\"mine\",\"value\":1}}'{flag}\n  \
             curl http://{address}/api/insert \
             -d '{{\"target\":\"{STREAM}\",\"data\":{{\"sensor\":\"mine\",\"value\":2}}}}'\n\
             \nSee what there is:\n  {own} topics{flag}\n  \
             {own} query '{STREAM} | summarize {{ sensor, n: count(), mean: avg(value) }} \
             by sensor'{flag}\n"
        );
    }
    if let Some(address) = listen.taos.map(reachable) {
        let _ = write!(
            out,
            "\nThe same records in SQL, as a table:\n  \
             curl -u root:taosdata http://{address}/rest/sql/main \
             -d 'select sensor, max(value) from {STREAM} group by sensor'\n"
        );
    }
    if let Some(address) = listen.admin.map(reachable) {
        let _ = write!(out, "\nOpen:\n  http://{address}/\n  http://{address}/metrics\n");
    }
    out.push_str("\nCtrl-C stops it.\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json;

    #[test]
    fn records_are_json_and_stay_in_reach() {
        let mut sensors = Sensors::new(7);
        for _ in 0..2_000 {
            let text = format!("[{}]", sensors.records(1));
            let records = json::elements(text.as_bytes()).unwrap();
            assert_eq!(records.len(), SENSORS.len());
            for (record, (_, _, _, rest, reach, noise)) in records.iter().zip(SENSORS) {
                let mut value = f64::NAN;
                json::members(record.text, |key, found| {
                    if key == b"value" {
                        value = std::str::from_utf8(found.text).unwrap().parse().unwrap();
                    }
                })
                .unwrap();
                assert!((value - rest).abs() <= reach + noise + 0.01, "{value}");
            }
        }
    }

    #[test]
    fn the_greeting_names_what_is_on() {
        let mut config = Config::default();
        let text = greeting(&config, "target/release/weir");
        for part in [
            "  target/release/weir sub sensor_data\n",
            "127.0.0.1:3333/api/insert",
            "127.0.0.1:6041/rest/sql/main",
            "127.0.0.1:8400/metrics",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        config.listen.jsonjet = Some(SocketAddr::from(([0, 0, 0, 0], 1)));
        (config.listen.admin, config.listen.taos) = (None, None);
        let text = greeting(&config, "weir");
        assert!(text.contains("weir topics --server 127.0.0.1:1\n") && !text.contains("metrics"));
        assert!(!text.contains("/rest/sql"));
    }
}
