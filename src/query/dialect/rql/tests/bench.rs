//! An appliance of a few topics and files, in memory.

use crate::model::name::TopicName;
use crate::model::record::{Body, Offset, Record, TimeNs};
use crate::model::topic::{Retention, Shared, Storage, Topic};
use crate::query::dialect::rql::world::Appliance;
use crate::query::program::{Fault, Lookups};
use crate::query::pull::{Bench, Output, Records, Stopped};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14T22:13:20Z
pub(super) const NOW: TimeNs = 1_700_000_000_000_000_000;

type Stored = (bool, Vec<u8>);

pub(super) struct TestBench {
    topics: Vec<(Arc<Topic>, Arc<Vec<Stored>>)>,
    files: PathBuf,
    pub(super) output: Vec<u8>,
    pub(super) checks: u32,
    /// Checks after which the query is stopped.
    pub(super) patience: u32,
}

const ORDERS: &[&str] = &[
    r#"{"id":1,"cust":"a","total":10.5}"#,
    r#"{"id":2,"cust":"b","total":4}"#,
    r#"{"id":3,"cust":"a","total":7}"#,
    r#"{"id":4,"note":"hello"}"#,
];

const SENSORS: &[&str] = &[
    r#"{"device":"d1","temperature":18.5,"humidity":40,"place":{"room":"hall","floor":0},"tags":["a","b"]}"#,
    r#"{"device":"d2","temperature":22,"humidity":55,"place":{"room":"lab","floor":2},"tags":[]}"#,
    r#"{"device":"d1","temperature":25.5,"place":{"room":"hall","floor":0},"tags":["b"]}"#,
    r#"{"device":"d3","temperature":null,"humidity":60}"#,
];

const FILES: &[(&str, &str)] = &[
    ("people.csv", "name,age,city\nAnn,31,Bern\nBo,25,Lyon\nCy,,Bern\n"),
    ("t.txt", "junk\n1;\"x;y\"\nNA;z\n"),
    ("l.txt", "a b\n\nc\n"),
    ("n.json", "[{\"n\":4}]"),
    ("one.json", "{\"a\": 1, \"b\": [1.5, 2]}"),
    ("rows.json", "{\"a\":1}\n{\"a\":null,\"b\":\"x\"}\n{\"b\":5}\n"),
    ("bad.json", "[1, 2"),
    ("misfit.csv", "n,m\n1,2\n3,x\n"),
    (
        "kinds.csv",
        "i;l;d;b;t;s\n1;5000000000;1.5;true;2024-02-29;x\n;2;3;false;2024-03-01;\"a;b\"\n",
    ),
    (
        "shops.json",
        r#"[{"city":"Bern","items":[{"kind":"pen","price":2},{"kind":"ink","price":9}]},
            {"city":"Lyon","items":[{"kind":"pen","price":3}]},{"city":"Oslo","items":[]}]"#,
    ),
];

impl TestBench {
    pub(super) fn new() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("weir-rql-{}-{number}", std::process::id());
        let files = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&files).unwrap();
        for (name, content) in FILES {
            std::fs::write(files.join(name), content).unwrap();
        }
        let mut bench =
            Self { topics: Vec::new(), files, output: Vec::new(), checks: 0, patience: u32::MAX };
        let json = |list: &[&str]| list.iter().map(|t| (false, t.as_bytes().to_vec())).collect();
        bench.add("orders", json(ORDERS));
        bench.add("sensor_data", json(SENSORS));
        bench.add("fresh", Vec::new());
        bench.add("main.odd name", json(&["1"]));
        bench.add("plant.s1", json(&[r#"{"v":1}"#]));
        bench.add("plant.line1.heat", json(&[r#"{"value":20}"#, r#"{"value":5}"#]));
        bench.add("site", json(&[r#"{"v":{"w":1}}"#]));
        bench.add("site.x", json(&["1"]));
        bench.add("words", vec![(true, b"one".to_vec())]);
        bench.add(
            "chat",
            vec![
                (true, b"hello".to_vec()),
                (true, br#"{"a":1,"b":{"c":[5]}}"#.to_vec()),
                (true, b"42".to_vec()),
            ],
        );
        bench
    }

    pub(super) fn add(&mut self, name: &str, records: Vec<Stored>) {
        let shared = Shared::default();
        shared.advance(records.len() as Offset, NOW);
        let topic = Topic {
            id: self.topics.len() as u32 + 1,
            name: TopicName::parse(name).unwrap(),
            retention: Retention::default(),
            storage: Storage::Log,
            queue: false,
            typed: false,
            created: NOW,
            shared,
        };
        self.topics.push((Arc::new(topic), Arc::new(records)));
    }

    pub(super) fn world(&mut self) -> Appliance<'_> {
        Appliance { bench: self, may_touch: &|name| name != "secret", fault: None }
    }
}

impl Drop for TestBench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.files);
    }
}

struct TestRecords {
    list: Arc<Vec<Stored>>,
    next: usize,
}

impl Records for TestRecords {
    fn head(&self) -> Offset {
        self.list.len() as Offset
    }

    fn next_chunk(
        &mut self,
        visit: &mut dyn FnMut(Offset, &Record<'_>) -> ControlFlow<()>,
    ) -> Result<bool, Fault> {
        for _ in 0..3 {
            let Some((frame, bytes)) = self.list.get(self.next) else { return Ok(false) };
            let body = match frame {
                true => Body::Frame { binary: false, bytes, context: b"", event: b"" },
                false => Body::Json(bytes),
            };
            let time = NOW + self.next as TimeNs * 1_000_000;
            self.next += 1;
            let record = Record { time, producer: 0, body };
            if visit(self.next as Offset - 1, &record).is_break() {
                return Ok(true);
            }
        }
        Ok(true)
    }
}

impl Bench for TestBench {
    fn topic(&mut self, name: &TopicName) -> Option<Arc<Topic>> {
        self.topics.iter().find(|(topic, _)| topic.name == *name).map(|(t, _)| Arc::clone(t))
    }

    fn has_database(&mut self, database: &str) -> bool {
        self.topics.iter().any(|(topic, _)| topic.name.database() == database)
    }

    fn open_at(&mut self, topic: &Arc<Topic>, from: Offset) -> Result<Box<dyn Records>, Fault> {
        let (_, list) = self.topics.iter().find(|(own, _)| own.id == topic.id).unwrap();
        Ok(Box::new(TestRecords { list: Arc::clone(list), next: from as usize }))
    }

    fn observed_fields(&mut self, topic: &Arc<Topic>) -> Result<Arc<[String]>, Fault> {
        let (_, list) = self.topics.iter().find(|(own, _)| own.id == topic.id).unwrap();
        let mut names: Vec<String> = Vec::new();
        for (_, bytes) in list.iter() {
            let _ = crate::model::json::members(bytes, |key, _| {
                let name = String::from_utf8(key.to_vec()).unwrap();
                if !names.contains(&name) {
                    names.push(name);
                }
            });
        }
        Ok(names.into())
    }

    fn lookups(&mut self) -> Arc<Lookups> {
        Arc::default()
    }

    fn now(&self) -> TimeNs {
        NOW
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::from(self.checks))
    }

    fn limit_time(&mut self, _seconds: u64) {}

    fn files_dir(&self) -> Option<&Path> {
        Some(&self.files)
    }

    fn emit(&mut self, output: Output) -> Result<(), Stopped> {
        if let Output::Bytes(bytes) = output {
            assert!(!bytes.is_empty(), "no empty output");
            self.output.extend_from_slice(&bytes);
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Stopped> {
        self.checks += 1;
        if self.checks > self.patience { Err(Stopped::TimedOut) } else { Ok(()) }
    }
}
