//! What is folded over sheets gives what rows give.

use super::rows::Top;
use super::scan::{Part, Scan};
use super::*;
use crate::model::name::TopicName;
use crate::model::record::{Offset, TimeNs};
use crate::model::table::rows::{Deed, Rows as Packed, Written, encode};
use crate::model::table::{Column, Precision};
use crate::model::topic::Topic;
use crate::query::dialect::taos::ast::Statement;
use crate::query::dialect::taos::parse;
use crate::query::program::{Fault, Lookups};
use crate::query::pull::{Bench, Output, Records, Stopped};
use crate::query::tables::expr::bind::About;
use crate::query::tables::relation::RelationColumn;
use crate::query::tables::store::Sheet;
use crate::query::tables::{Rights, Who};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Nothing but a clock.
struct Nothing;

impl Bench for Nothing {
    fn topic(&mut self, _: &TopicName) -> Option<Arc<Topic>> {
        None
    }
    fn has_database(&mut self, _: &str) -> bool {
        false
    }
    fn open_at(&mut self, _: &Arc<Topic>, _: Offset) -> Result<Box<dyn Records>, Fault> {
        Err(Fault::new("there is none"))
    }
    fn observed_fields(&mut self, _: &Arc<Topic>) -> Result<Arc<[String]>, Fault> {
        Ok(Arc::default())
    }
    fn lookups(&mut self) -> Arc<Lookups> {
        Arc::default()
    }
    fn now(&self) -> TimeNs {
        1_000_000
    }
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    fn limit_time(&mut self, _: u64) {}
    fn files_dir(&self) -> Option<&Path> {
        None
    }
    fn emit(&mut self, _: Output) -> Result<(), Stopped> {
        Ok(())
    }
    fn check(&mut self) -> Result<(), Stopped> {
        Ok(())
    }
}

fn who() -> Who {
    let (may_touch, may_write) = (Box::new(|_: &str| true), Box::new(|_: &str| true));
    let rights = Rights { read: true, write: true, admin: true, may_touch, may_write };
    let rights = Arc::new(rights);
    let about = About::default();
    Who { about, rights, zone: chrono_tz::Tz::UTC, topics_max: 1 }
}

/// Numbers that look like chance and are not.
fn dice(seed: &mut u64, sides: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % sides
}

fn column(id: u16, name: &str, kind: Kind) -> Column {
    Column { id, name: name.into(), kind }
}

/// Subtables with holes, nulls, equal times, and a column that only some have.
fn scan(seed: &mut u64) -> Scan {
    let mut parts = Vec::new();
    for part in 0..1 + dice(seed, 5) {
        let mut sheet = Sheet::default();
        for _ in 0..dice(seed, 4) {
            let count = 1 + dice(seed, 40);
            let mut cells = |sides: u64, make: &dyn Fn(i64) -> Cell| -> Vec<Cell> {
                let one = |_| match dice(seed, 8) {
                    0 => Cell::Null,
                    _ => make(dice(seed, sides) as i64 - 20),
                };
                (0..count).map(one).collect()
            };
            let mut times: Vec<i64> = (0..count).map(|n| n as i64 * 700).collect();
            let v = cells(60, &Cell::Int);
            let f = cells(60, &|n| Cell::Double(n as f64 / 4.0));
            let s = cells(60, &|n| Cell::text(if n % 2 == 0 { "even" } else { "odd" }));
            let shift = dice(seed, 30_000) as i64;
            times.iter_mut().for_each(|time| *time += shift);
            let mut written = vec![
                Written {
                    column: column(0, "ts", Kind::Timestamp),
                    cells: times.into_iter().map(Cell::Int).collect(),
                },
                Written { column: column(1, "v", Kind::Int), cells: v },
                Written { column: column(2, "f", Kind::Double), cells: f },
            ];
            if part % 2 == 0 {
                written.push(Written { column: column(3, "s", Kind::Varchar(8)), cells: s });
            }
            let bytes = encode(Deed::Write, Precision::Ms, "", &[], &written);
            sheet.write(&Packed::parse(&bytes).unwrap(), None);
        }
        let tail = vec![Cell::Int(part as i64 % 2), Cell::text(&format!("t{part}"))];
        parts.push(Part { sheet: Arc::new(sheet), tail, oldest: dice(seed, 2) as i64 * 3000 });
    }
    Scan { ids: vec![1, 2, 3], parts }
}

fn relation(scan: &Scan, as_rows: bool) -> Relation {
    let columns = [
        ("ts", Kind::Timestamp, false),
        ("v", Kind::Int, false),
        ("f", Kind::Double, false),
        ("s", Kind::Varchar(8), false),
        ("g", Kind::Int, true),
        ("tbname", Kind::Varchar(192), true),
    ];
    let column = |(name, kind, tag): (&str, Kind, bool)| RelationColumn {
        table: None,
        name: name.into(),
        kind,
        shown: name != "tbname",
        tag,
    };
    let columns = columns.into_iter().map(column).collect();
    let mut relation =
        Relation { columns, time: Some(0), precision: Precision::Ms, ..Relation::default() };
    if as_rows {
        let rows = &mut relation.rows;
        scan.each((None, None), &mut |row| {
            rows.push(row.to_vec());
            Ok(true)
        })
        .unwrap();
    } else {
        relation.scan = Some(scan.clone());
    }
    relation
}

const LISTS: &[&str] = &[
    "count(*), sum(v), avg(f), spread(v)",
    "min(v)",
    "max(f), count(s)",
    "max(v), g",
    "first(v), last(f), last_row(s)",
    "last_row(*)",
    "first(ts), last(ts), count(v + 1)",
    "sum(f), min(s)",
    "top(v, 3)",
    "stddev(v)",
    "diff(v)",
    "_wstart, count(*), last(v)",
    "v, f, ts",
    "v + f, s, g, 1, tbname",
    "ts, v",
    "*",
];
const CONDITIONS: &[&str] = &[
    "",
    "where ts >= 5000",
    "where ts > 4000 and ts < 12345",
    "where 9000 >= ts and v > 0",
    "where s = 'even' or v is null",
    "where g = 1",
    "where ts > 10000000",
    "where v > 1000",
    "where v > 5 and f <= 3.5",
    "where 3.5 < v and ts > 2000 and f >= -4",
    "where f = 2 and g = 1",
    "where tbname in ('t0', 't3') and (v > 0 or g = 0) and g >= 0",
];
const TAILS: &[&str] = &[
    "",
    "partition by tbname",
    "group by g",
    "partition by tbname interval(5s)",
    "interval(7s, 1s)",
    "interval(10s) sliding(5s)",
    "partition by g, s interval(3s)",
    "group by s having count(*) > 3",
    "order by v desc limit 5",
    "order by s, ts limit 3 offset 2",
    "order by ts desc limit 7",
    "order by f limit 9 offset 1",
    "limit 4 offset 1",
    "order by ts",
    "order by ts limit 30 offset 17",
    "limit 0",
];

/// Rows as they are shown, in text, so that doubles compare by their digits.
fn shown(query: &Query, relation: Relation, with_top: bool) -> Result<Vec<String>, Wrong> {
    let mut bench = Nothing;
    let mut world = World::new(&mut bench, &who());
    let limit = query.limit;
    let top = limit
        .count
        .filter(|_| with_top)
        .map(|count| Top { count: (count + limit.offset) as usize, order: &query.order });
    let bound = bound_to(&mut world, &query.first, &relation, &query.order)?;
    let (_, mut out) = over(&mut world, &query.first, relation, bound, top)?;
    sort(&mut out, &query.order);
    let sliced = !query.first.partition.is_empty() || !query.first.group.is_empty();
    super::limit(&mut out, limit, sliced && query.order.is_empty());
    Ok(out.iter().map(|row| format!("{} {:?}", row.slice, row.cells)).collect())
}

/// The same by a cursor, where there is one, so many rows at a time.
fn stepped(query: &Query, relation: Relation, most: usize) -> Option<Vec<String>> {
    let mut bench = Nothing;
    let mut world = World::new(&mut bench, &who());
    let bound = bound_to(&mut world, &query.first, &relation, &query.order).ok()?;
    let mut cursor = stepwise(query, relation, bound).ok().filter(|_| is_plain(query))?;
    let (mut list, mut asked) = (Vec::new(), 0);
    let mut pause = || {
        asked += 1;
        asked % 2 == 0
    };
    loop {
        match cursor.next(most, &mut pause) {
            Step::Some(columns) => {
                assert!((1..=most).contains(&columns.rows));
                assert!(columns.list.iter().all(|values| values.len() == columns.rows));
                list.extend((0..columns.rows).map(|at| format!("0 {:?}", columns.row(at))));
            }
            Step::Pause => {}
            Step::End => return Some(list),
        }
    }
}

#[test]
fn sheets_give_what_their_rows_give() {
    let mut seed = 7;
    let (mut compared, mut with_rows, mut steps) = (0, 0, 0);
    for _ in 0..25 {
        let scan = scan(&mut seed);
        for list in LISTS {
            for (condition, tail) in
                CONDITIONS.iter().flat_map(|c| TAILS.iter().map(move |t| (c, t)))
            {
                let text = format!("select {list} from d.t {condition} {tail}");
                let Ok((Statement::Query(query), _)) = parse(&text) else { panic!("{text}") };
                let want = shown(&query, relation(&scan, true), false);
                let got = shown(&query, relation(&scan, false), true);
                assert_eq!(got, want, "{text}");
                let most = 1 + dice(&mut seed, 50) as usize;
                if let Some(rows) = stepped(&query, relation(&scan, false), most) {
                    assert_eq!(want.as_ref(), Ok(&rows), "{text} in steps of {most}");
                    steps += rows.len();
                }
                compared += 1;
                with_rows += usize::from(want.is_ok_and(|rows| !rows.is_empty()));
            }
        }
    }
    assert!(steps > 50_000, "{steps}");
    assert!(compared > 45_000 && with_rows > 15_000, "{compared} compared, {with_rows} with rows");
}
