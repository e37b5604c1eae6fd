//! Times by a form such as `YYYY-MM-DD HH24:MI:SS.MS`: TO_CHAR and TO_TIMESTAMP.

use super::{in_zone, local, offset};
use crate::model::table::Precision;
use chrono::{Datelike, NaiveDate, Timelike};
use chrono_tz::Tz;

/// Parts of a form, longer ones first where one begins another.
const PARTS: &[&str] = &[
    "YYYY", "YYY", "YY", "Y", "MONTH", "MON", "MM", "MI", "MS", "DDD", "DD", "DAY", "DY", "D",
    "HH24", "HH12", "HH", "SS", "US", "NS", "TZH", "AM", "PM", "A.M.", "P.M.",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A piece of a form.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    /// A part, and how it was typed.
    Part(&'static str, &'a str),
    /// What stands for itself.
    Plain(&'a str),
}

fn pieces(form: &str) -> Vec<Piece<'_>> {
    let mut list = Vec::new();
    let mut rest = form;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('"') {
            let end = inner.find('"').unwrap_or(inner.len());
            list.push(Piece::Plain(inner.get(..end).unwrap_or_default()));
            rest = inner.get(end + 1..).unwrap_or_default();
            continue;
        }
        let begins = |part: &&&str| {
            rest.get(..part.len()).is_some_and(|typed| typed.eq_ignore_ascii_case(part))
        };
        let length = match PARTS.iter().find(begins) {
            Some(part) => {
                list.push(Piece::Part(part, rest.get(..part.len()).unwrap_or_default()));
                part.len()
            }
            None => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                list.push(Piece::Plain(rest.get(..length).unwrap_or_default()));
                length
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    list
}

/// A name with capitals as the form was typed: `MON`, `Mon` or `mon`.
fn cased(name: &str, typed: &str) -> String {
    let mut letters = typed.chars();
    let upper = |c: Option<char>| c.is_some_and(char::is_uppercase);
    match (upper(letters.next()), upper(letters.next())) {
        (true, true) => name.to_uppercase(),
        (true, false) => name.to_owned(),
        _ => name.to_lowercase(),
    }
}

fn name_of(list: &[&str], at: u32, length: usize, typed: &str) -> String {
    let name = list.get(at as usize).copied().unwrap_or_default();
    cased(name.get(..length.min(name.len())).unwrap_or_default(), typed)
}

/// Writes a time; `None`: it is beyond the calendar.
#[must_use]
pub fn write(time: i64, form: &str, precision: Precision, zone: Tz) -> Option<String> {
    let at = local(time, precision, zone)?;
    let mut out = String::new();
    for piece in pieces(form) {
        let (part, typed) = match piece {
            Piece::Part(part, typed) => (part, typed),
            Piece::Plain(text) => {
                out.push_str(text);
                continue;
            }
        };
        let (year, half) = (at.year().rem_euclid(10_000), at.hour12());
        out.push_str(&match part {
            "YYYY" => format!("{year:04}"),
            "YYY" => format!("{:03}", year % 1000),
            "YY" => format!("{:02}", year % 100),
            "Y" => format!("{}", year % 10),
            "MONTH" => name_of(&MONTHS, at.month0(), 9, typed),
            "MON" => name_of(&MONTHS, at.month0(), 3, typed),
            "MM" => format!("{:02}", at.month()),
            "MI" => format!("{:02}", at.minute()),
            "MS" => format!("{:03}", at.nanosecond() / 1_000_000),
            "US" => format!("{:06}", at.nanosecond() / 1_000),
            "NS" => format!("{:09}", at.nanosecond()),
            "DDD" => format!("{:03}", at.ordinal()),
            "DD" => format!("{:02}", at.day()),
            "DAY" => name_of(&DAYS, at.weekday().num_days_from_sunday(), 9, typed),
            "DY" => name_of(&DAYS, at.weekday().num_days_from_sunday(), 3, typed),
            "D" => at.weekday().number_from_sunday().to_string(),
            "HH24" => format!("{:02}", at.hour()),
            "HH12" | "HH" => format!("{:02}", half.1),
            "SS" => format!("{:02}", at.second()),
            "TZH" => at.format("%z").to_string().chars().take(3).collect(),
            "A.M." | "P.M." => cased(if half.0 { "P.M." } else { "A.M." }, dotless(typed)),
            _ => cased(if half.0 { "PM" } else { "AM" }, typed),
        });
    }
    Some(out)
}

/// Twice its first letter: what stands second is a point.
fn dotless(typed: &str) -> &'static str {
    if typed.starts_with(char::is_uppercase) { "XX" } else { "xx" }
}

/// What a text says, part by part.
#[derive(Debug)]
struct Said {
    year: i32,
    month: u32,
    day: u32,
    ordinal: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanosecond: u32,
    afternoon: Option<bool>,
    zone: Option<i32>,
}

/// Reads a time; `None`: the text is not of the form, or no time.
#[must_use]
pub fn read(text: &str, form: &str, precision: Precision, zone: Tz) -> Option<i64> {
    let mut said = Said {
        year: 1970,
        month: 1,
        day: 1,
        ordinal: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        afternoon: None,
        zone: None,
    };
    let mut rest = text;
    for piece in pieces(form) {
        match piece {
            Piece::Plain(plain) if plain.trim().is_empty() => rest = rest.trim_start(),
            // Any sign stands for any other; what a form has more than a text is passed over.
            Piece::Plain(plain) => match rest.strip_prefix(plain) {
                Some(behind) => rest = behind,
                None if rest.starts_with(|c: char| c.is_ascii_punctuation()) => {
                    rest = rest.get(1..)?;
                }
                None => {}
            },
            Piece::Part(part, _) => rest = said.take(part, rest.trim_start())?,
        }
    }
    let day = match said.ordinal {
        Some(ordinal) => NaiveDate::from_yo_opt(said.year, ordinal)?,
        None => NaiveDate::from_ymd_opt(said.year, said.month, said.day)?,
    };
    let hour = match (said.afternoon, said.hour) {
        (Some(false), 12) => 0,
        (Some(true), hour) if hour < 12 => hour + 12,
        (_, hour) => hour,
    };
    let plain = day.and_hms_nano_opt(hour, said.minute, said.second, said.nanosecond)?;
    match said.zone {
        None => in_zone(plain, precision, zone),
        Some(hours) => {
            let sign = if hours < 0 { '-' } else { '+' };
            let offset = offset(&format!("{sign}{:02}", hours.abs()))?;
            let utc = plain.and_local_timezone(offset).single()?;
            Some(precision.of_ns(utc.timestamp_nanos_opt()?))
        }
    }
}

/// So many digits at most, and what stands behind.
fn digits(text: &str, most: usize) -> Option<(u32, usize, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    Some((text.get(..count)?.parse().ok()?, count, text.get(count..)?))
}

/// The place of the name that a text begins with, and what stands behind.
fn named<'a>(text: &'a str, list: &[&str], length: usize) -> Option<(u32, &'a str)> {
    let found = list.iter().enumerate().find_map(|(at, name)| {
        let name = name.get(..length.min(name.len()))?;
        let typed = text.get(..name.len())?;
        typed.eq_ignore_ascii_case(name).then_some((at as u32, name.len()))
    });
    let (at, length) = found?;
    Some((at, text.get(length..)?))
}

impl Said {
    fn take<'a>(&mut self, part: &str, text: &'a str) -> Option<&'a str> {
        let number = |most: usize, into: &mut u32| {
            let (number, _, rest) = digits(text, most)?;
            *into = number;
            Some(rest)
        };
        match part {
            "MM" => number(2, &mut self.month),
            "DD" => number(2, &mut self.day),
            "HH24" | "HH12" | "HH" => number(2, &mut self.hour),
            "MI" => number(2, &mut self.minute),
            "SS" => number(2, &mut self.second),
            "YYYY" | "YYY" | "YY" | "Y" => {
                let (number, count, rest) = digits(text, part.len())?;
                let century = if count < 4 { 2000 } else { 0 };
                self.year = i32::try_from(number).ok()? + century;
                Some(rest)
            }
            "MS" | "US" | "NS" => {
                let most = match part {
                    "MS" => 3,
                    "US" => 6,
                    _ => 9,
                };
                let (number, count, rest) = digits(text, most)?;
                self.nanosecond = number.checked_mul(10_u32.checked_pow(9 - count as u32)?)?;
                Some(rest)
            }
            "DDD" => {
                let (number, _, rest) = digits(text, 3)?;
                self.ordinal = Some(number);
                Some(rest)
            }
            "D" => digits(text, 1).map(|(_, _, rest)| rest),
            "MONTH" | "MON" => {
                let (at, rest) = named(text, &MONTHS, if part == "MON" { 3 } else { 9 })?;
                self.month = at + 1;
                Some(rest)
            }
            "DAY" | "DY" => {
                named(text, &DAYS, if part == "DY" { 3 } else { 9 }).map(|(_, rest)| rest)
            }
            "TZH" => {
                let (sign, rest) = text.split_at_checked(1)?;
                let (hours, _, rest) = digits(rest, 2)?;
                let hours = i32::try_from(hours).ok()?;
                self.zone = Some(if sign == "-" { -hours } else { hours });
                Some(rest)
            }
            _ => {
                let (at, rest) = named(text, &["A.M.", "P.M.", "AM", "PM"], 4)?;
                self.afternoon = Some(at % 2 == 1);
                Some(rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_go_both_ways() {
        let at = 1_700_000_000_123;
        for (form, text) in [
            ("YYYY-MM-DD HH24:MI:SS.MS", "2023-11-14 22:13:20.123"),
            ("DD/Mon/YYYY HH12:MI:SS.MS pm", "14/Nov/2023 10:13:20.123 pm"),
            ("DDD YYYY HH24MISS US", "318 2023 221320 123000"),
            (
                "\"am\" MONTH DD, YYYY A.M. HH:MI:SS.NS",
                "am NOVEMBER 14, 2023 P.M. 10:13:20.123000000",
            ),
        ] {
            assert_eq!(write(at, form, Precision::Ms, Tz::UTC).unwrap(), text);
            assert_eq!(read(text, form, Precision::Ms, Tz::UTC), Some(at), "{form}");
        }
        assert_eq!(read("2023-13-01", "YYYY-MM-DD", Precision::Ms, Tz::UTC), None);
        assert_eq!(read("x", "YYYY", Precision::Ms, Tz::UTC), None);
        let east = read("2023-11-15 06 +08", "YYYY-MM-DD HH24 TZH", Precision::Ms, Tz::UTC);
        assert_eq!(east, Some(1_699_999_200_000));
        assert_eq!(
            write(at, "Day dy DAY D", Precision::Ms, Tz::UTC).unwrap(),
            "Tuesday tue TUESDAY 3"
        );
    }

    #[test]
    fn any_form_and_text_end() {
        for form in ["\"", "é", "YYYYYYYY", "HH24é", "MSUSNSTZH", "\"\"\""] {
            for text in ["", "é", "+", "999999999999", "-é"] {
                let _ = read(text, form, Precision::Ns, Tz::UTC);
            }
            assert!(write(0, form, Precision::Ns, Tz::UTC).is_some());
        }
    }
}
