//! Metrics are topics: how a name finds its topic and a topic its name (nsdb, section 1;
//! interchange, section 1).

use crate::model::name::TopicName;

/// Whether a database or namespace may be called so.
pub fn is_part(text: &str) -> bool {
    let bad = |c: char| c == '.' || c.is_whitespace() || c.is_control();
    !text.is_empty() && !text.contains(bad)
}

/// Whether a metric may be called so.
pub fn is_metric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The topic of a metric; `None`: there cannot be one.
pub fn topic_name(database: &str, namespace: &str, metric: &str) -> Option<TopicName> {
    if !is_part(database) || !is_part(namespace) || !is_metric(metric) {
        return None;
    }
    TopicName::parse(&format!("{database}.{namespace}.{metric}"))
}

/// Database, namespace and metric of a topic, if it can be a metric.
pub fn parts(name: &TopicName) -> Option<(&str, &str, &str)> {
    let mut parts = name.full().split('.');
    let (database, namespace, metric) = (parts.next()?, parts.next()?, parts.next()?);
    let fits = parts.next().is_none() && is_part(database) && is_part(namespace);
    (fits && is_metric(metric)).then_some((database, namespace, metric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_dots_make_a_metric() {
        let of = |text: &str| {
            let name = TopicName::parse(text).unwrap();
            parts(&name).map(|(d, n, m)| format!("{d} {n} {m}"))
        };
        assert_eq!(of("a.b.c").as_deref(), Some("a b c"));
        assert_eq!(of("main.b.c").as_deref(), Some("main b c"));
        for text in ["a", "a.b", "a.b.c.d", "a..c", "a.b.1c", "a.b c.d"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert!(topic_name("a.b", "c", "d").is_none() && topic_name("a", "b", "_c").is_none());
        assert_eq!(topic_name("a", "b", "c").unwrap().short(), "a.b.c");
    }
}
