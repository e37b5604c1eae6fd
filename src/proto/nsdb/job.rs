//! What runs on query workers: anything that reads the log of a metric, or asks for many.
//!
//! Method: session and job share a cell that the job fills; what goes through the shards is only
//! word that it is done. Every job first looks at what nobody has looked at, so that the schema it
//! judges by is that of the moment of its snapshot.

use super::codec;
use super::map;
use super::metric::Metric;
use crate::config::User;
use crate::model::json::write_string;
use crate::model::name::TopicName;
use crate::model::record::Offset;
use crate::model::topic::{Topic, TopicId};
use crate::query::dialect::nsdb::check::{check, check_condition};
use crate::query::dialect::nsdb::run::{Run, Trouble};
use crate::query::dialect::nsdb::{Condition, Kind, Schema, Select, print};
use crate::query::kept::open_kept;
use crate::query::program::Fault;
use crate::query::pull::{Bench, Job, Output, Stopped};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// Seconds that a query may take.
const SECONDS_MAX: u64 = 30;

/// A SELECT and what it is asked of.
#[derive(Debug)]
pub struct Query {
    /// `db`
    pub database: String,
    /// `namespace`
    pub namespace: String,
    /// Of the metric that it reads.
    pub name: TopicName,
    /// With range and filters.
    pub select: Select,
    /// 128 bits of its canonical print.
    pub id: u128,
    push: OnceLock<Box<[u8]>>,
}

impl Query {
    /// Of these names; `None`: no metric can be called so.
    pub fn new(database: String, namespace: String, select: Select) -> Option<Self> {
        let name = map::topic_name(&database, &namespace, &select.metric)?;
        let text = format!("{database}\0{namespace}\0{}", print::canonical(&select));
        let (id, push) = (print::stable_hash(&text), OnceLock::new());
        Some(Self { database, namespace, name, select, id, push })
    }

    /// A push up to its records; made once.
    pub fn push_head(&self) -> &[u8] {
        self.push.get_or_init(|| {
            let mut head = codec::texts(&[
                ("db", &self.database),
                ("namespace", &self.namespace),
                ("metric", &self.select.metric),
                ("quid", &self.quid()),
            ]);
            head.extend_from_slice(b",\"records\":[");
            head.into()
        })
    }

    /// Its identifier as clients see it.
    pub fn quid(&self) -> String {
        print::uuid(self.id)
    }
}

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    /// Evaluate; `unique`: with `uniqueValues`.
    Select { query: Arc<Query>, unique: bool, bytes_max: usize },
    /// Only check.
    Check(Arc<Query>),
    /// Evaluate for a tick, once for all sockets.
    Tick { query: Arc<Query>, tick: u64, bytes_max: usize },
    /// Look at what is unread.
    Read(Arc<Topic>),
    /// Name and type of every field.
    Fields(TopicName),
    /// Metrics that hold a bit and may be seen.
    List(Option<Arc<User>>),
    /// Which retained bits satisfy the condition.
    Find { name: TopicName, condition: Box<Condition> },
}

/// What it came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing to say.
    Done,
    /// A result: an array of records, all before the offset; of which topic; the value is DECIMAL.
    Records { json: Arc<[u8]>, head: Offset, topic: Arc<Topic>, float: bool },
    /// JSON of all fields.
    Fields(Vec<u8>),
    /// Database, namespace, metric.
    Metrics(Vec<(String, String, String)>),
    /// Ranges of offsets, ascending.
    Found { topic: TopicId, ranges: Vec<(Offset, Offset)> },
}

/// Why it came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Never written, or dropped.
    UnknownMetric,
    /// It means nothing; the text.
    Meaning(String),
    /// Too large; the text.
    TooLarge(String),
    /// Not done in time.
    TimedOut,
    /// Something else.
    Other(String),
    /// The client has gone.
    Cancelled,
}

impl Failure {
    /// Status and text.
    pub fn describe(self, metric: &str) -> (u16, String) {
        match self {
            Failure::UnknownMetric => (404, super::codes::unknown_metric(metric)),
            Failure::Meaning(text) => (400, text),
            Failure::TooLarge(text) => (413, text),
            Failure::TimedOut => (504, "query timed out".into()),
            Failure::Other(text) => (500, text),
            Failure::Cancelled => (503, "the query was stopped".into()),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Other(fault.0.into_owned())
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Cancelled => Failure::Cancelled,
            Stopped::TimedOut => Failure::TimedOut,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::TooLarge(_) => Failure::TooLarge(trouble.to_string()),
            other => Failure::Meaning(other.to_string()),
        }
    }
}

type Answer<T> = Result<T, Failure>;

/// What a job leaves for its session.
pub type Slot = Arc<OnceLock<Answer<Outcome>>>;

/// A task on its way.
#[derive(Debug)]
pub struct Work {
    task: Task,
    slot: Slot,
}

impl Work {
    /// The job, and where its outcome will be.
    pub fn new(task: Task) -> (Box<Self>, Slot) {
        let slot = Slot::default();
        (Box::new(Self { task, slot: Arc::clone(&slot) }), slot)
    }
}

impl Job for Work {
    fn run(self: Box<Self>, bench: &mut dyn Bench) {
        bench.limit_time(SECONDS_MAX);
        let outcome = self.task.run(bench);
        let _ = self.slot.set(outcome);
        let _ = bench.emit(Output::Finished(Vec::new()));
    }
}

impl Task {
    fn run(&self, bench: &mut dyn Bench) -> Answer<Outcome> {
        match self {
            Task::Select { query, unique, bytes_max } => {
                let (topic, metric, schema) = find(bench, &query.name)?;
                check(&query.select, &schema).map_err(Failure::Meaning)?;
                evaluate(bench, query, &topic, &metric, *unique, *bytes_max)
            }
            Task::Check(query) => {
                let (_, _, schema) = find(bench, &query.name)?;
                check(&query.select, &schema).map_err(Failure::Meaning)?;
                Ok(Outcome::Done)
            }
            Task::Tick { query, tick, bytes_max } => self::tick(bench, query, *tick, *bytes_max),
            Task::Read(topic) => read_on(bench, topic).map(|_| Outcome::Done),
            Task::Fields(name) => {
                let (_, _, schema) = find(bench, name)?;
                Ok(Outcome::Fields(fields(&schema)))
            }
            Task::List(user) => list(bench, user.as_deref()),
            Task::Find { name, condition } => {
                let (topic, metric, schema) = find(bench, name)?;
                check_condition(condition, &schema).map_err(Failure::Meaning)?;
                find_matching(bench, condition, &topic, &metric)
            }
        }
    }
}

/// A metric that holds a bit.
fn find(bench: &mut dyn Bench, name: &TopicName) -> Answer<(Arc<Topic>, Arc<Metric>, Arc<Schema>)> {
    let topic = bench.topic(name).ok_or(Failure::UnknownMetric)?;
    let (metric, schema) = read_on(bench, &topic)?;
    if !schema.is_known() {
        return Err(Failure::UnknownMetric);
    }
    Ok((topic, metric, schema))
}

/// Looks at what nobody has looked at.
fn read_on(bench: &mut dyn Bench, topic: &Arc<Topic>) -> Answer<(Arc<Metric>, Arc<Schema>)> {
    let metric = Metric::of(topic).ok_or(Failure::UnknownMetric)?;
    let from = metric.folded();
    let mut schema = metric.schema();
    let mut records = bench.open_at(topic, from)?;
    let mut to = from;
    while records.next_chunk(&mut |offset, record| {
        // Gaps are passed over, or nothing behind one would ever count as looked at.
        metric.pass(to, offset);
        to = offset + 1;
        metric.read(&mut schema, offset, record, &mut |_| {});
        ControlFlow::Continue(())
    })? {
        bench.check()?;
    }
    metric.fold();
    Ok((Arc::clone(&metric), metric.schema()))
}

fn evaluate(
    bench: &mut dyn Bench,
    query: &Query,
    topic: &Arc<Topic>,
    metric: &Metric,
    unique: bool,
    bytes_max: usize,
) -> Answer<Outcome> {
    let mut schema = metric.schema();
    let float = schema.field("value").is_some_and(|(kind, _)| kind == Kind::Decimal);
    let now_ms = bench.now().div_euclid(1_000_000);
    let own = Arc::clone(&schema);
    let mut run = Run::new(&query.select, &own, unique, bytes_max);
    let condition = &query.select.condition;
    let mut records = open_kept(bench, topic)?;
    let head = records.head();
    let mut wanted = Ok(true);
    while records.next_chunk(&mut |offset, record| {
        metric.read(&mut schema, offset, record, &mut |bit| {
            if wanted == Ok(true) && condition.holds(bit, now_ms) {
                wanted = run.push(bit);
            }
        });
        if wanted == Ok(true) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })? && wanted == Ok(true)
    {
        bench.check()?;
    }
    wanted?;
    let json = run.finish()?.into();
    Ok(Outcome::Records { json, head, topic: Arc::clone(topic), float })
}

/// A result that the sockets of one query share.
fn tick(bench: &mut dyn Bench, query: &Query, tick: u64, bytes_max: usize) -> Answer<Outcome> {
    let empty = |topic: Option<Arc<Topic>>| {
        topic.ok_or(Failure::UnknownMetric).map(|topic| Outcome::Records {
            json: b"[]".as_slice().into(),
            head: 0,
            topic,
            float: false,
        })
    };
    let (topic, metric, schema) = match find(bench, &query.name) {
        Ok(found) => found,
        Err(Failure::Cancelled) => return Err(Failure::Cancelled),
        Err(_) => return empty(bench.topic(&query.name)),
    };
    let known = metric.clocks().get(&query.id).and_then(|clock| clock.result.clone());
    if let Some((at, json)) = known
        && at == tick
    {
        return Ok(Outcome::Records { json, head: 0, topic, float: false });
    }
    if check(&query.select, &schema).is_err() {
        return empty(Some(topic));
    }
    let outcome = match evaluate(bench, query, &topic, &metric, true, bytes_max) {
        Ok(outcome) => outcome,
        Err(Failure::Cancelled) => return Err(Failure::Cancelled),
        Err(_) => return empty(Some(topic)),
    };
    if let (Outcome::Records { json, .. }, Some(clock)) =
        (&outcome, metric.clocks().get_mut(&query.id))
    {
        clock.result = Some((tick, Arc::clone(json)));
    }
    Ok(outcome)
}

fn fields(schema: &Schema) -> Vec<u8> {
    let mut out = b"{\"fields\":[".to_vec();
    for (index, (name, kind)) in schema.list().into_iter().enumerate() {
        out.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        write_string(&mut out, name);
        out.extend_from_slice(format!(",\"type\":\"{}\"}}", kind.name()).as_bytes());
    }
    out.extend_from_slice(b"]}");
    out
}

fn list(bench: &mut dyn Bench, user: Option<&User>) -> Answer<Outcome> {
    let mut found = Vec::new();
    for topic in bench.topics(None) {
        let Some((database, namespace, metric)) = map::parts(&topic.name) else { continue };
        if !user.is_none_or(|user| user.may_touch(topic.name.short())) {
            continue;
        }
        // A topic that goes meanwhile is none.
        if let Ok((_, schema)) = read_on(bench, &topic)
            && schema.is_known()
        {
            found.push((database.to_owned(), namespace.to_owned(), metric.to_owned()));
        }
        bench.check()?;
    }
    found.sort();
    Ok(Outcome::Metrics(found))
}

fn find_matching(
    bench: &mut dyn Bench,
    condition: &Condition,
    topic: &Arc<Topic>,
    metric: &Metric,
) -> Answer<Outcome> {
    let mut schema = metric.schema();
    let now_ms = bench.now().div_euclid(1_000_000);
    let mut ranges: Vec<(Offset, Offset)> = Vec::new();
    let mut records = bench.open(topic)?;
    while records.next_chunk(&mut |offset, record| {
        let mut holds = false;
        metric.read(&mut schema, offset, record, &mut |bit| {
            holds |= condition.holds(bit, now_ms);
        });
        if holds {
            match ranges.last_mut() {
                Some((_, end)) if *end == offset => *end += 1,
                _ => ranges.push((offset, offset + 1)),
            }
        }
        ControlFlow::Continue(())
    })? {
        bench.check()?;
    }
    Ok(Outcome::Found { topic: topic.id, ranges })
}
