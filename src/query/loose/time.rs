//! Times as text: milliseconds since 1970, UTC.

use crate::query::program::Fault;
use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime};
use std::fmt::Write;

/// Milliseconds as text, by strftime codes; ISO 8601 with milliseconds without.
///
/// # Errors
/// A code that is none, or a time beyond the calendar.
pub fn format_date(ms: i64, format: Option<&str>) -> Result<String, Fault> {
    let format = format.unwrap_or("%Y-%m-%dT%H:%M:%S%.3fZ");
    let time = DateTime::from_timestamp_millis(ms)
        .ok_or_else(|| Fault::new("format_date: the time is beyond the calendar"))?;
    if StrftimeItems::new(format).any(|item| item == Item::Error) {
        return Err(Fault::new(format!("format_date: bad format '{format}'")));
    }
    let mut text = String::new();
    write!(text, "{}", time.format(format))
        .map_err(|_| Fault::new(format!("format_date: bad format '{format}'")))?;
    Ok(text)
}

/// The milliseconds of an ISO 8601 date or time; without an offset it is UTC.
#[must_use]
pub fn parse_date(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc().timestamp_millis());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        let iso = format_date(1_700_000_000_123, None).unwrap();
        assert_eq!(iso, "2023-11-14T22:13:20.123Z");
        assert_eq!(parse_date(&iso), Some(1_700_000_000_123));
        assert_eq!(format_date(0, Some("%Y/%m/%d %H")).unwrap(), "1970/01/01 00");
        assert_eq!(parse_date("2023-11-14"), Some(1_699_920_000_000));
        assert_eq!(parse_date("2023-11-14T22:13:20+01:00"), Some(1_699_996_400_000));
        assert_eq!(parse_date("soon"), None);
        assert!(format_date(0, Some("%Q")).is_err());
        assert!(format_date(i64::MAX, None).is_err());
    }
}
