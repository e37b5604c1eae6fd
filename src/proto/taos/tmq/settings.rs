//! How a consumer is set up: members of `subscribe` and keys of its `config`, which go before them
//! (taos, 8.1).

use super::super::codec::Ask;
use crate::model::value::Value;
use crate::query::dialect::taos::Wrong;
use crate::query::tables::tmq::Reset;
use std::ops::RangeInclusive;

/// Bytes of a group's or client's name.
const NAME_BYTES_MAX: usize = 192;
/// Definitions that one consumer reads.
const TOPICS_MAX: usize = 1024;

/// A key of `config` and the members that it stands for, the stronger ones first.
const KEYS: &[(&str, &[&str])] = &[
    ("group.id", &["group_id"]),
    ("client.id", &["client_id"]),
    ("auto.offset.reset", &["offset_reset", "offset_rest"]),
    ("enable.auto.commit", &["auto_commit"]),
    ("auto.commit.interval.ms", &["auto_commit_interval_ms"]),
    ("msg.with.table.name", &["with_table_name"]),
    ("experimental.snapshot.enable", &["snapshot_enable"]),
    ("session.timeout.ms", &["session_timeout_ms"]),
    ("max.poll.interval.ms", &["max_poll_interval_ms"]),
    ("msg.enable.batchmeta", &["enable_batch_meta"]),
    ("msg.consume.excluded", &["msg_consume_excluded"]),
    ("msg.consume.rawdata", &["msg_consume_rawdata"]),
    ("enable.replay", &[]),
    ("fetch.max.wait.ms", &[]),
    ("min.poll.rows", &[]),
];

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `group.id`.
    pub group: String,
    /// `client.id`.
    pub client: String,
    /// Definitions.
    pub topics: Vec<String>,
    /// Where to begin.
    pub reset: Reset,
    /// Polls commit.
    pub auto_commit: bool,
    /// How often, in milliseconds.
    pub commit_every_ms: u64,
    /// Milliseconds without a poll after which the consumer is put out of its group.
    pub poll_within_ms: u64,
    /// Definitions come several at a time.
    pub batch_meta: bool,
    /// What SHOW tells.
    pub shown: String,
}

fn invalid(key: &str, value: &str) -> Wrong {
    Wrong::new(0x0118, format!("invalid value for key '{key}': {value}"))
}

/// Keys and values as they hold.
struct Given(Vec<(&'static str, String)>);

impl Given {
    fn read(ask: &Ask<'_>) -> Result<Self, Wrong> {
        let mut all = Vec::new();
        for (key, members) in KEYS {
            let mut found = String::new();
            for member in *members {
                let text = ask.text(member)?;
                if found.is_empty() {
                    found = text;
                }
            }
            all.push((*key, found));
        }
        let config = ask.arg("config");
        if matches!(config, Value::Missing | Value::Null) {
            return Ok(Self(all));
        }
        let fields = config.fields().ok_or_else(|| ask.wrong())?;
        for (name, value) in fields.iter() {
            let text = match value {
                Value::String(text) => text.to_string(),
                Value::Null | Value::Missing => continue,
                _ => return Err(ask.wrong()),
            };
            match all.iter_mut().find(|(key, _)| *key == &**name) {
                Some((_, own)) => *own = text,
                None if name.starts_with("td.connect.") => {}
                None => {
                    let text = format!("unknown configuration key: {}", &**name);
                    return Err(Wrong::new(0x0118, text));
                }
            }
        }
        Ok(Self(all))
    }

    fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(own, _)| *own == key).map_or("", |(_, value)| value)
    }

    fn flag(&self, key: &str) -> Result<bool, Wrong> {
        match self.get(key) {
            "" | "false" | "0" => Ok(false),
            "true" | "1" => Ok(true),
            other => Err(invalid(key, other)),
        }
    }

    fn number(&self, key: &str, range: RangeInclusive<u64>, default: u64) -> Result<u64, Wrong> {
        match self.get(key) {
            "" => Ok(default),
            text => {
                let number = text.parse().ok().filter(|number| range.contains(number));
                number.ok_or_else(|| invalid(key, text))
            }
        }
    }

    fn name(&self, key: &str) -> Result<String, Wrong> {
        let text = self.get(key);
        if text.len() > NAME_BYTES_MAX { Err(invalid(key, text)) } else { Ok(text.to_owned()) }
    }
}

impl Wanted {
    /// Reads a request.
    ///
    /// # Errors
    /// A key that is not known, a value that is none.
    pub fn read(ask: &Ask<'_>) -> Result<Self, Wrong> {
        let given = Given::read(ask)?;
        let mut topics: Vec<String> = Vec::new();
        for topic in ask.list("topics")? {
            let Value::String(topic) = topic else { return Err(ask.wrong()) };
            if topics.iter().all(|known| *known != *topic) {
                topics.push(topic.to_string());
            }
        }
        let group = given.name("group.id")?;
        if group.is_empty() {
            return Err(invalid("group.id", ""));
        }
        if topics.is_empty() || topics.len() > TOPICS_MAX {
            return Err(invalid("topics", ""));
        }
        let reset = match given.get("auto.offset.reset") {
            "" | "latest" => Reset::Latest,
            "earliest" => Reset::Earliest,
            "none" => Reset::None,
            other => return Err(invalid("auto.offset.reset", other)),
        };
        for key in ["msg.with.table.name", "experimental.snapshot.enable", "enable.replay"] {
            given.flag(key)?;
        }
        for key in ["msg.consume.excluded", "msg.consume.rawdata"] {
            given.flag(key)?;
        }
        let any = 0..=u64::from(u32::MAX);
        given.number("session.timeout.ms", 6_000..=1_800_000, 12_000)?;
        given.number("fetch.max.wait.ms", any.clone(), 0)?;
        given.number("min.poll.rows", any.clone(), 0)?;
        let shown = given.0.iter().filter(|(_, value)| !value.is_empty());
        let shown = shown.map(|(key, value)| format!("{key}:{value}"));
        Ok(Self {
            group,
            client: given.name("client.id")?,
            topics,
            reset,
            auto_commit: given.flag("enable.auto.commit")?,
            commit_every_ms: given.number("auto.commit.interval.ms", any, 5_000)?,
            poll_within_ms: given.number(
                "max.poll.interval.ms",
                1_000..=u64::from(u32::MAX),
                300_000,
            )?,
            batch_meta: given.flag("msg.enable.batchmeta")?,
            shown: shown.collect::<Vec<_>>().join(","),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str) -> Result<Wanted, Wrong> {
        let text = format!("{{\"action\":\"subscribe\",\"args\":{args}}}");
        Wanted::read(&Ask::read(text.as_bytes()).unwrap())
    }

    #[test]
    fn keys_go_before_members_and_new_spellings_before_old_ones() {
        let wanted = read(
            r#"{"group_id":"g","client_id":null,"offset_rest":"latest","offset_reset":"earliest",
               "topics":["a","b","a"],"auto_commit":"true","config":{"group.id":"h",
               "td.connect.ip":"x","max.poll.interval.ms":"1000","msg.enable.batchmeta":"1"}}"#,
        );
        let wanted = wanted.unwrap();
        assert_eq!((wanted.group.as_str(), wanted.topics.len()), ("h", 2));
        assert_eq!((wanted.reset, wanted.auto_commit), (Reset::Earliest, true));
        assert_eq!((wanted.commit_every_ms, wanted.poll_within_ms), (5_000, 1_000));
        assert!(
            wanted.batch_meta && !read(r#"{"group_id":"g","topics":["a"]}"#).unwrap().auto_commit
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (args, text) in [
            (r#"{"topics":["t"]}"#, "invalid value for key 'group.id': "),
            (r#"{"group_id":"g"}"#, "invalid value for key 'topics': "),
            (
                r#"{"group_id":"g","topics":["t"],"config":{"x.y":"1"}}"#,
                "unknown configuration key: x.y",
            ),
            (
                r#"{"group_id":"g","topics":["t"],"offset_reset":"middle"}"#,
                "invalid value for key 'auto.offset.reset': middle",
            ),
            (
                r#"{"group_id":"g","topics":["t"],"session_timeout_ms":"5999"}"#,
                "invalid value for key 'session.timeout.ms': 5999",
            ),
            (
                r#"{"group_id":"g","topics":["t"],"max_poll_interval_ms":"999"}"#,
                "invalid value for key 'max.poll.interval.ms': 999",
            ),
            (
                r#"{"group_id":"g","topics":["t"],"auto_commit":"maybe"}"#,
                "invalid value for key 'enable.auto.commit': maybe",
            ),
        ] {
            let wrong = read(args).unwrap_err();
            assert_eq!((wrong.code, wrong.text.as_str()), (0x0118, text));
        }
        assert_eq!(read(r#"{"group_id":1,"topics":["t"]}"#).unwrap_err().code, 0xFFFF);
    }
}
