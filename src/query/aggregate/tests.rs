//! Each aggregate against its definition, with its state stored and read back.

use super::*;
use crate::model::value::{Style, read_json, write_value};

fn run(aggregate: Aggregate, values: &str) -> String {
    let list = read_json(values).unwrap();
    let mut state = aggregate.start();
    for value in list.elements().unwrap().iter() {
        aggregate.add(&mut state, value);
    }
    let mut saved = Vec::new();
    state.save(&mut saved);
    let mut loaded = aggregate.start();
    loaded.load(&mut Bytes(&saved)).unwrap();
    let print = |state: &Accumulator| {
        let mut out = Vec::new();
        write_value(&aggregate.finish(state), Style::Script, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(print(&state), print(&loaded), "a stored state goes on where it was");
    for cut in 0..saved.len() {
        assert!(aggregate.start().load(&mut Bytes(&saved[..cut])).is_none());
    }
    print(&state)
}

#[test]
fn aggregates_give_what_the_specification_says() {
    use Aggregate::*;
    for (aggregate, values, want) in [
        (Count, "[1,null,\"x\"]", "3"),
        (CountIf, "[1,0,\"\",\"x\",null]", "2"),
        (Sum, "[1,\"2.5\",true,null,\"x\",{}]", "4.5"),
        (Sum, "[]", "0"),
        (Sum, "[1e100,1,-1e100]", "1"),
        (Average, "[1,2]", "1.5"),
        (Average, "[null]", "null"),
        (Min, "[3,\"2\",10]", "2"),
        (Min, "[\"b\",\"a\",\"10\"]", "\"10\""),
        (Max, "[\"b\",\"a\"]", "\"b\""),
        (Max, "[]", "null"),
        (CountDistinct, "[1,1.0,\"1\",null,null,[1],[1]]", "4"),
        (Variance, "[1]", "null"),
        (Variance, "[1,2,3,4]", "1.6666666666666667"),
        (Deviation, "[2,4]", "1.4142135623730951"),
        (Percentile(50.0), "[4,1,3,2]", "2.5"),
        (Percentile(100.0), "[4,1]", "4"),
        (Percentile(50.0), "[]", "null"),
        (First, "[null,1]", "null"),
        (Last, "[1,\"z\"]", "\"z\""),
        (Last, "[]", "null"),
        (Collect(2), "[1,null,3]", "[1,null]"),
        (CollectSet(9), "[1,1,2,1.0]", "[1,2]"),
    ] {
        assert_eq!(run(aggregate, values), want, "{aggregate:?} of {values}");
    }
}

#[test]
fn beyond_the_bound_counts_are_close() {
    let (mut distinct, mut sample) =
        (Aggregate::CountDistinct.start(), Aggregate::Percentile(50.0).start());
    let count = 4 * KEPT_MAX as i64;
    for n in 0..count {
        Aggregate::CountDistinct.add(&mut distinct, &Value::Int(n));
        Aggregate::Percentile(50.0).add(&mut sample, &Value::Int(n));
    }
    let (Value::Int(found), Value::Double(median)) =
        (Aggregate::CountDistinct.finish(&distinct), Aggregate::Percentile(50.0).finish(&sample))
    else {
        panic!("numbers")
    };
    assert!((found - count).abs() < count / 15, "{found}");
    assert!((median - count as f64 / 2.0).abs() < count as f64 / 100.0, "{median}");
    assert!(distinct.is_approximate() && sample.is_approximate());
}
