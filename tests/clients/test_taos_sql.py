"""The SQL of the taos front-end: statements, one after the other, and their answers."""

import re

from harness import Server, Ws, eq, http_call, rows, shared, test
from test_taos import Taos, T, database

# `@n` in a statement is the time T + n. Wanted: rows, the code of an error, or None: that it succeeds.
GROUPS = [
    ('expressions and conditions', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), b bool, u bigint unsigned, n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', true, 1, 'x') (@1000, 2, null, 'b', false, 18446744073709551615, '中') (@2000, null, 2.5, 'c', null, null, null)",
         [[3]]),
        ("select 1, 'a', \"b\", 1.5, true, null, 1e3, -1", [[1, 'a', 'b', 1.5, True, None, 1000, -1]]),
        ("select t.* from t limit 1", [['2023-11-14T22:13:20.000Z', 1, 1.5, 'a', True, 1, 'x']]),
        ("select tt.v from t tt limit 1", [[1]]),
        ("select t.v as x, v y from t order by x", [[None, None], [1, 1], [2, 2]]),
        ("select * from t where s in ('a','c') and not v is null", [['2023-11-14T22:13:20.000Z', 1, 1.5, 'a', True, 1, 'x']]),
        ("select * from t where s not in ('a','c')", [['2023-11-14T22:13:21.000Z', 2, None, 'b', False, 18446744073709551615, '中']]),
        ("select s from t where s not like 'a%'", [['b'], ['c']]),
        ("select s from t where s match '^[ab]$'", [['a'], ['b']]),
        ("select s from t where s nmatch '^[ab]$'", [['c']]),
        ("select v from t where v between 1 and 2", [[1], [2]]),
        ("select v from t where v not between 1 and 1", [[2]]),
        ("select v from t where ts between '2023-11-14 22:13:20' and '2023-11-14 22:13:21'", [[1], [2]]),
        ("select v from t where ts > now - 10d", []),
        ("select v from t where s > 1", []),
        ("select v from t where v = '2'", [[2]]),
        ("select v from t where v = 'abc'", []),
        ("select v+f, v-1, v*2, v/0, v%2, ts+1s, ts-ts, ts+1 from t",
         [[2.5, 0, 2, None, 1, '2023-11-14T22:13:21.000Z', 0, '2023-11-14T22:13:20.001Z'], [None, 1, 4, None, 0, '2023-11-14T22:13:22.000Z', 0, '2023-11-14T22:13:21.001Z'], [None, None, None, None, None, '2023-11-14T22:13:23.000Z', 0, '2023-11-14T22:13:22.001Z']]),
        ("select -v from t", [[-1], [-2], [None]]),
    ]),
    ('order and limits', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), b bool, u bigint unsigned, n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', true, 1, 'x') (@1000, 2, null, 'b', false, 18446744073709551615, '中') (@2000, null, 2.5, 'c', null, null, null)",
         [[3]]),
        ("select v from t order by 1 desc nulls last", [[2], [1], [None]]),
        ("select v from t order by v nulls last", [[1], [2], [None]]),
        ("select v from t order by v+1 desc", [[2], [1], [None]]),
        ("select v from t limit 1 offset 1", [[2]]),
        ("select v from t limit 1, 1", [[2]]),
        ("select distinct s, v from t order by s", [['a', 1], ['b', 2], ['c', None]]),
    ]),
    ('aggregates', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), b bool, u bigint unsigned, n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', true, 1, 'x') (@1000, 2, null, 'b', false, 18446744073709551615, '中') (@2000, null, 2.5, 'c', null, null, null)",
         [[3]]),
        ("select count(*), count(v), sum(v), avg(v), min(v), max(v), spread(v), stddev(v), first(v), last(v), last_row(v) from t",
         [[3, 2, 3, 1.5, 1, 2, 1, 0.5, 1, 2, None]]),
        ("select sum(u), sum(f) from t", [[None, 4]]),
        ("select max(s), min(s) from t", [['c', 'a']]),
        ("select v, max(f) from t", [[None, 2.5]]),
        ("select first(*), last(*), last_row(*) from t",
         [['2023-11-14T22:13:20.000Z', 1, 1.5, 'a', True, 1, 'x', '2023-11-14T22:13:22.000Z', 2, 2.5, 'c', False, 18446744073709551615, '中', '2023-11-14T22:13:22.000Z', None, 2.5, 'c', None, None, None]]),
        ("select count(*) from t where v > 10", [[0]]),
        ("select sum(v) from t where v > 10", []),
        ("select sum(v), count(v) from t where v > 10", [[None, 0]]),
        ("select top(v,1), s from t", [[2, 'b']]),
        ("select bottom(v,2) from t", [[1], [2]]),
        ("select top(v,101) from t", 0x2802),
        ("select diff(v) from t", [[1], [None]]),
        ("select diff(v, 1) from t", [[1], [None]]),
        ("select cast(v as varchar(3)), cast('12' as int), cast(1.9 as int), cast(ts as bigint), cast(1700000000000 as timestamp) from t limit 1",
         [['1', 12, 1, 1700000000000, '2023-11-14T22:13:20.000Z']]),
        ("select to_iso8601(ts), to_iso8601(ts, '+08:00'), to_iso8601(ts, 'Z') from t limit 1",
         [['2023-11-14T22:13:20.000Z', '2023-11-15T06:13:20.000+08:00', '2023-11-14T22:13:20.000Z']]),
        ("select to_iso8601(1700000000000)", [['2023-11-14T22:13:20.000Z']]),
        ("select to_unixtimestamp('2023-11-14T22:13:20.000Z')", [[1700000000000]]),
        ("select timetruncate(ts, 1m), timetruncate('2023-11-14 22:13:20', 1d), timetruncate(ts, 1w) from t limit 1",
         [['2023-11-14T22:13:00.000Z', '2023-11-14T00:00:00.000Z', '2023-11-09T00:00:00.000Z']]),
        ("select s, count(*) from t group by s having count(*) > 0 order by s", [['a', 1], ['b', 1], ['c', 1]]),
        ("select _rowts, _c0, v from t limit 1", [['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:20.000Z', 1]]),
        ("select _rowts from t limit 1", [['2023-11-14T22:13:20.000Z']]),
        ("select count(*) c from t partition by s", [[1], [1], [1]]),
        ("select top(v, 1), max(v) from t", [[2, 2]]),
        ("select f, count(*), v from t group by f", 0x2600),
    ]),
    ('windows and fill', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), b bool, u bigint unsigned, n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', true, 1, 'x') (@1000, 2, null, 'b', false, 18446744073709551615, '中') (@2000, null, 2.5, 'c', null, null, null)",
         [[3]]),
        ("select _wstart, _wend, _wduration, count(*) from t interval(1s)",
         [['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:21.000Z', 1000, 1], ['2023-11-14T22:13:21.000Z', '2023-11-14T22:13:22.000Z', 1000, 1], ['2023-11-14T22:13:22.000Z', '2023-11-14T22:13:23.000Z', 1000, 1]]),
        ("select _wstart, count(*) from t interval(1s, 500a)",
         [['2023-11-14T22:13:19.500Z', 1], ['2023-11-14T22:13:20.500Z', 1], ['2023-11-14T22:13:21.500Z', 1]]),
        ("select _wstart, count(*) from t interval(2s) sliding(1s)",
         [['2023-11-14T22:13:19.000Z', 1], ['2023-11-14T22:13:20.000Z', 2], ['2023-11-14T22:13:21.000Z', 2], ['2023-11-14T22:13:22.000Z', 1]]),
        ("select _wstart, count(*) from t interval(1s) sliding(2s)", 0x2600),
        ("select _qstart, _qend, _wstart, count(*) from t where ts >= @0 and ts < @3000 interval(1s)",
         [['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:22.999Z', '2023-11-14T22:13:20.000Z', 1], ['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:22.999Z', '2023-11-14T22:13:21.000Z', 1], ['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:22.999Z', '2023-11-14T22:13:22.000Z', 1]]),
        ("select _wstart, avg(v) from t where ts >= @0 and ts < @5000 interval(1s) fill(value, 9)",
         [['2023-11-14T22:13:20.000Z', 1], ['2023-11-14T22:13:21.000Z', 2], ['2023-11-14T22:13:22.000Z', None], ['2023-11-14T22:13:23.000Z', 9], ['2023-11-14T22:13:24.000Z', 9]]),
        ("select _wstart, avg(v) from t where ts >= @0 and ts < @5000 interval(1s) fill(prev)",
         [['2023-11-14T22:13:20.000Z', 1], ['2023-11-14T22:13:21.000Z', 2], ['2023-11-14T22:13:22.000Z', None], ['2023-11-14T22:13:23.000Z', 2], ['2023-11-14T22:13:24.000Z', 2]]),
        ("select _wstart, avg(v) from t where ts >= @0 and ts < @5000 interval(1s) fill(linear)",
         [['2023-11-14T22:13:20.000Z', 1], ['2023-11-14T22:13:21.000Z', 2], ['2023-11-14T22:13:22.000Z', None], ['2023-11-14T22:13:23.000Z', None], ['2023-11-14T22:13:24.000Z', None]]),
        ("select _wstart, avg(v) from t interval(1s) fill(linear)", 0x263B),
        ("select _wstart, count(*) from t where ts between @0 and @1500 interval(1s) fill(null)",
         [['2023-11-14T22:13:20.000Z', 1], ['2023-11-14T22:13:21.000Z', 1]]),
        ("select _wstart, sum(v) from t where ts >= @100000 and ts < @102000 interval(1s) fill(null)", []),
        ("select _wstart, sum(v) from t where ts >= @100000 and ts < @102000 interval(1s) fill(null_f)",
         [['2023-11-14T22:15:00.000Z', None], ['2023-11-14T22:15:01.000Z', None]]),
        ("select _wstart, sum(v) from t where ts >= @100000 and ts < @102000 interval(1s) fill(value, 3)", []),
        ("select _wstart, sum(v) from t where ts >= @100000 and ts < @102000 interval(1s) fill(value_f, 3)",
         [['2023-11-14T22:15:00.000Z', 3], ['2023-11-14T22:15:01.000Z', 3]]),
        ("select _wstart, sum(v) from t where ts >= @0 and ts < @2000 interval(1s) fill(value)", 0x2600),
    ]),
    ('definitions of tables', [
        ("create table t (ts timestamp, v int, s varchar(16))", None),
        ("create table if not exists t (ts timestamp, v int)", None),
        ("create table t (ts timestamp, v int)", 0x0603),
        ("create table x (v int)", 0x2641),
        ("create table x (v int, ts timestamp)", 0x2641),
        ("create table x (ts timestamp, v int, v int)", 0x263C),
        ("create table x (ts timestamp, j json)", 0x2634),
        ("create stable st2 (ts timestamp, v int) tags (j json, k int)", 0x2634),
        ("create stable st (ts timestamp, v int, s nchar(4)) tags (g int, l varchar(8))", None),
        ("create stable st (ts timestamp, v int) tags (g int)", 0x0360),
        ("create table st (ts timestamp, v int) tags (g int)", 0x0360),
        ("create table a using st tags (1, 'x') b using st (l) tags ('y')", None),
        ("create table a using st tags (1, 'x')", 0x0603),
        ("create table c using st tags (1)", 0x260D),
        ("create table c using nost tags (1)", 0x2603),
        ("create table if not exists c using st tags (3, 'z') if not exists d using st tags (4, 'q')", None),
    ]),
    ('writing', [
        ("create stable st (ts timestamp, v int, s nchar(4)) tags (g int, l varchar(8))", None),
        ("create table a using st tags (1, 'x') b using st (l) tags ('y') c using st tags (3, 'z')", None),
        ("insert into a values (@0, 1, 'a') b values (@0, 2, 'b') c (ts, v) values (@1000, 3)", [[3]]),
        ("select * from st",
         [['2023-11-14T22:13:20.000Z', 1, 'a', 1, 'x'], ['2023-11-14T22:13:20.000Z', 2, 'b', None, 'y'], ['2023-11-14T22:13:21.000Z', 3, None, 3, 'z']]),
        ("select tbname, * from st where g = 1", [['a', '2023-11-14T22:13:20.000Z', 1, 'a', 1, 'x']]),
        ("select count(*) from st group by tbname", [[1], [1], [1]]),
        ("select tbname, count(*) from st partition by tbname order by tbname", [['a', 1], ['b', 1], ['c', 1]]),
        ("select tbname, v from st partition by tbname limit 1", [['a', 1], ['b', 2], ['c', 3]]),
        ("select l, last(v) from st partition by l slimit 1 soffset 1", [['y', 2]]),
        ("select st.v from st where st.tbname = 'b'", [[2]]),
        ("insert into a values (null, 1, 'a')", 0x2605),
        ("insert into a (v) values (1)", 0x2605),
        ("insert into a values (@0, 'x', 'a')", 0x2605),
        ("insert into a values (@0, '12', 15)", [[1]]),
        ("insert into a values (@0, 3000000000, 'a')", 0x2605),
        ("insert into a values (@0, 1, 'abcdef')", 0x2653),
        ("insert into a values (@0, 1)", 0x2600),
        ("insert into a (ts, q) values (@0, 1)", 0x2602),
        ("insert into a (ts, v, v) values (@0, 1, 1)", 0x263C),
        ("insert into nope values (@0, 1)", 0x2603),
        ("insert into st values (@0, 1, 'a')", 0x2605),
        ("insert into a values (1, 1, 'a')", 0x060B),
        ("insert into a values (9999999999999999, 1, 'a')", 0x060B),
        ("insert into a values ('2023-11-14 22:13:25', 5, 'a')", [[1]]),
        ("insert into a (ts, v) using st tags (1, 'x') values (@9000, 8)", [[1]]),
        ("insert into zz using st (g) tags (9) (ts, v) values (@9000, 8)", [[1]]),
        ("insert into a values (@0, 1, 'a') nope values (@0, 1)", 0x2603),
        ("delete from a where ts = @0", [[1]]),
        ("delete from st where g = 1 and ts > @0", [[2]]),
        ("delete from a where v = 1", 0x2655),
        ("select tbname, ts, v from st order by ts",
         [['b', '2023-11-14T22:13:20.000Z', 2], ['c', '2023-11-14T22:13:21.000Z', 3], ['zz', '2023-11-14T22:13:29.000Z', 8]]),
    ]),
    ('changes of tables', [
        ("create table t (ts timestamp, v int, s varchar(16))", None),
        ("create stable st (ts timestamp, v int, s nchar(4)) tags (g int, l varchar(8))", None),
        ("create table a using st tags (1, 'x')", None),
        ("create table c using st tags (1, 'x')", None),
        ("create table d using st tags (1, 'x')", None),
        ("alter table t add column w int", None),
        ("alter table t modify column s varchar(32)", None),
        ("alter table t modify column s varchar(8)", 0x2605),
        ("alter table t rename column w ww", None),
        ("alter stable st rename column v vv", 0x2600),
        ("alter table st add tag h float", None),
        ("alter stable st drop tag h", None),
        ("alter stable st rename tag l ll", None),
        ("alter stable st modify tag ll varchar(20)", None),
        ("alter table st drop tag ll", None),
        ("alter table st add tag g int", 0x0369),
        ("alter table st drop tag zz", 0x036A),
        ("alter table st add column v int", 0x036B),
        ("alter table st drop column zz", 0x036C),
        ("alter table a set tag g = 5", None),
        ("alter table a set tag g = 5, q = 3", 0x036A),
        ("alter stable nost add column v int", 0x0362),
        ("alter table nost add column v int", 0x2603),
        ("describe st",
         [['ts', 'TIMESTAMP', 8, '', 'delta-i', 'lz4', 'medium'], ['v', 'INT', 4, '', 'simple8b', 'lz4', 'medium'], ['s', 'NCHAR', 4, '', 'disabled', 'lz4', 'medium'], ['g', 'INT', 4, 'TAG', 'disabled', 'disabled', 'disabled']]),
        ("desc a",
         [['ts', 'TIMESTAMP', 8, '', 'delta-i', 'lz4', 'medium'], ['v', 'INT', 4, '', 'simple8b', 'lz4', 'medium'], ['s', 'NCHAR', 4, '', 'disabled', 'lz4', 'medium'], ['g', 'INT', 4, 'TAG', 'disabled', 'disabled', 'disabled']]),
        ("desc nope", 0x2603),
        ("show tables", [['t'], ['a'], ['c'], ['d']]),
        ("show tables like 'a%'", [['a']]),
        ("show normal tables", [['t']]),
        ("show child tables", [['a'], ['c'], ['d']]),
        ("show stables", [['st']]),
        ("show stables like 's_'", [['st']]),
        ("show topics", []),
        ("drop table nope", 0x2603),
        ("drop table if exists nope", None),
        ("drop stable nope", 0x0362),
        ("drop stable if exists nope", None),
        ("drop stable t", 0x0362),
        ("drop table c, d", None),
        ("drop stable st", None),
    ]),
    ('functions over rows', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', '中x') (@1000, 2, null, 'b', 'yy') (@2000, null, 2.5, 'c', null) (@4000, 4, 3.5, 'a', 'z')", [[4]]),
        ("select twa(v), elapsed(ts), elapsed(ts, 1s), irate(v), leastsquares(v, 1, 1) from t",
         [[2.625, 4000, 4, 0.6666666666666666, '{slop:1.500000, intercept:-0.666667}']]),
        ("select histogram(v, 'user_input', '[0,2,5]', 0) from t",
         [['{"lower_bin":0, "upper_bin":2, "count":2}'], ['{"lower_bin":2, "upper_bin":5, "count":1}']]),
        ("select histogram(v, 'user_input', '[0,2,5]', 1) from t",
         [['{"lower_bin":0, "upper_bin":2, "count":0.666667}'], ['{"lower_bin":2, "upper_bin":5, "count":0.333333}']]),
        ("select histogram(v, 'bad', '[0,2,5]', 1) from t", 0x2802),
        ("select hyperloglog(s), mode(s), apercentile(v, 50), apercentile(v, 50, 't-digest'), percentile(v, 50), percentile(v, 0, 100) from t",
         [[3, 'a', 2, 2, 2, '[1.000000, 4.000000]']]),
        ("select count(*) from (select sample(v, 2) from t)", [[2]]),
        ("select tail(v, 2) from t", [[None], [4]]),
        ("select tail(v, 1, 1), ts from t", [[None, '2023-11-14T22:13:22.000Z']]),
        ("select unique(s), ts from t", [['a', '2023-11-14T22:13:20.000Z'], ['b', '2023-11-14T22:13:21.000Z'], ['c', '2023-11-14T22:13:22.000Z']]),
        ("select derivative(v, 1s, 0) from t", [[1], [0.6666666666666666]]),
        ("select csum(v) from t", [[1], [3], [7]]),
        ("select mavg(v, 2) from t", [[1.5], [3]]),
        ("select ts, v, statecount(v, 'GT', 1) from t",
         [['2023-11-14T22:13:20.000Z', 1, -1], ['2023-11-14T22:13:21.000Z', 2, 1], ['2023-11-14T22:13:22.000Z', None, None], ['2023-11-14T22:13:24.000Z', 4, 2]]),
        ("select ts, stateduration(v, 'GE', 2, 1s) from t",
         [['2023-11-14T22:13:20.000Z', -1], ['2023-11-14T22:13:21.000Z', 0], ['2023-11-14T22:13:22.000Z', None], ['2023-11-14T22:13:24.000Z', 3]]),
        ("select ts, diff(v), diff(f) from t",
         [['2023-11-14T22:13:21.000Z', 1, None], ['2023-11-14T22:13:22.000Z', None, None], ['2023-11-14T22:13:24.000Z', None, 1]]),
    ]),
    ('functions of values', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', '中x') (@1000, 2, null, 'b', 'yy') (@2000, null, 2.5, 'c', null) (@4000, 4, 3.5, 'a', 'z')", [[4]]),
        ("select char(77, 121), char_length(n), length(n), length(s), ascii(s) from t limit 1", [['My', 2, 8, 1, 97]]),
        ("select position('b' in 'abc'), substring_index('a.b.c', '.', 2), substring('hello' from 2 for 3), trim(leading 'x' from 'xxa'), trim('  a '), replace('aXb','X','yy'), repeat('ab', 3), concat('a', 'b'), concat_ws('-', 'a', 'b', 'c'), upper('a'), substr('hello', -3, 2)",
         [[2, 'a.b', 'ell', 'a', 'a', 'ayyb', 'ababab', 'ab', 'a-b-c', 'A', 'll']]),
        ("select to_char(ts, 'YYYY-MM-DD HH24:MI:SS'), to_timestamp('2023-11-14 22', 'YYYY-MM-DD HH24'), date(ts), dayofweek(ts), week(ts), weekday(ts), weekofyear(ts) from t limit 1",
         [['2023-11-14 22:13:20', '2023-11-14T22:00:00.000Z', '2023-11-14', 3, 46, 1, 46]]),
        ("select to_json('{\"a\":1}')", [[{'a': 1}]]),
        ("select timediff('2023-11-14 22:13:20', '2023-11-14 22:13:10'), timediff('2023-11-14 22:13:20', '2023-11-14 22:13:10', 1s), timetruncate('2023-11-14 22:13:20', 1d), to_iso8601(1700000000000, '+08:00')",
         [[10000, 10, '2023-11-14T00:00:00.000Z', '2023-11-15T06:13:20.000+08:00']]),
        ("select abs(-1), acos(1), ceil(1.2), floor(1.8), log(8,2), pow(2,3), round(2.5), round(-2.5), round(1.256, 2), sqrt(4), pi(), exp(0), ln(1), mod(7,3), sign(-2), truncate(1.299, 2), degrees(0), radians(0), greatest(1, 2.5), least('a','b')",
         [[1, 0, 2, 1, 3, 8, 3, -3, 1.26, 2, 3.141592653589793, 1, 0, 1, -1, 1.29, 0, 0, 2.5, 'a']]),
        ("select round() from t", 0x2801),
        ("select abs('x') from t", 0x2802),
        ("select upper(1) from t", 0x2802),
        ("select concat('a', null)", [[None]]),
        ("select case when v > 1 then 1 else 1.5 end, case v when 1 then 'one' else 'other' end from t",
         [[1.5, 'one'], [1, 'other'], [1.5, 'other'], [1, 'other']]),
    ]),
    ('interp', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', '中x') (@1000, 2, null, 'b', 'yy') (@2000, null, 2.5, 'c', null) (@4000, 4, 3.5, 'a', 'z')", [[4]]),
        ("select interp(v, 1) from t range(@500, @3500) every(1s) fill(linear)", [[2], [2], [3], [4]]),
        ("select _irowts, _isfilled, interp(v, 1) from t range(@0, @4000) every(1s) fill(prev)",
         [['2023-11-14T22:13:20.000Z', False, 1], ['2023-11-14T22:13:21.000Z', False, 2], ['2023-11-14T22:13:22.000Z', True, 2], ['2023-11-14T22:13:23.000Z', True, 2], ['2023-11-14T22:13:24.000Z', False, 4]]),
        ("select _irowts, interp(v, 1), interp(f, 1) from t range(@0, @4000) every(1s) fill(value, 7, 8)",
         [['2023-11-14T22:13:20.000Z', 1, 1.5], ['2023-11-14T22:13:21.000Z', 2, 8], ['2023-11-14T22:13:22.000Z', 7, 2.5], ['2023-11-14T22:13:23.000Z', 7, 8], ['2023-11-14T22:13:24.000Z', 4, 3.5]]),
        ("select _irowts, interp(v, 1) from t range(@0, @4000) every(1s) fill(null)",
         [['2023-11-14T22:13:20.000Z', 1], ['2023-11-14T22:13:21.000Z', 2], ['2023-11-14T22:13:22.000Z', None], ['2023-11-14T22:13:23.000Z', None], ['2023-11-14T22:13:24.000Z', 4]]),
        ("select interp(v) from t range(@500) fill(next)", [[2]]),
        ("create stable st (ts timestamp, v int) tags (g int)", None),
        ("insert into a using st tags (1) values (@0, 1) (@1000, 2) b using st tags (2) values (@0, 3) (@2000, 4)", [[4]]),
        ("select tbname, interp(v) from st partition by tbname range(@500, @1500) every(1s) fill(prev)", [['a', 1], ['a', 2], ['b', 3], ['b', 3]]),
        ("select interp(v) from t", 0x2600),
        ("select _irowts, interp(v) from t range(@2000, @4000) every(1s) fill(prev)",
         [['2023-11-14T22:13:22.000Z', None], ['2023-11-14T22:13:23.000Z', None], ['2023-11-14T22:13:24.000Z', 4]]),
    ]),
    ('joins and tags', [
        ("create stable st (ts timestamp, v int) tags (g int, l varchar(8))", None),
        ("insert into a using st tags (1, 'x') values (@0, 1) (@1000, 2) b using st tags (2, 'y') values (@0, 3) (@2000, 4)", [[4]]),
        ("create table c using st tags (3, 'z')", None),
        ("select tags tbname, g, l from st", [['a', 1, 'x'], ['b', 2, 'y'], ['c', 3, 'z']]),
        ("select tags g from st where g > 1", [[2], [3]]),
        ("select distinct tbname from st", [['a'], ['b']]),
        ("select a.ts, a.v, b.v from a, b where a.ts = b.ts", [['2023-11-14T22:13:20.000Z', 1, 3]]),
        ("select a.v, b.v from a join b on a.ts = b.ts", [[1, 3]]),
        ("select x.v, y.v from a x inner join b y on x.ts = y.ts and y.v > 3", []),
        ("select a.ts, a.v, b.v from a left join b on a.ts = b.ts", [['2023-11-14T22:13:20.000Z', 1, 3], ['2023-11-14T22:13:21.000Z', 2, None]]),
        ("select t1.v, t2.v from st t1, st t2 where t1.ts = t2.ts and t1.g = 1 and t2.g = 2", [[1, 3]]),
        ("select count(*) from a join b on a.ts = b.ts", [[1]]),
        ("select a.v from a join b on a.v > b.v", 0x2600),
        ("select * from a join b on a.ts = b.ts", [['2023-11-14T22:13:20.000Z', 1, '2023-11-14T22:13:20.000Z', 3]]),
    ]),
    ('json tags', [
        ("create stable js (ts timestamp, v int) tags (j json)", None),
        ("insert into j1 using js tags ('{\"k\":\"a\",\"n\":5,\"b\":true}') values (@0, 1) j2 using js tags ('{\"k\":\"b\"}') values (@0, 2) j3 using js tags (null) values (@0, 3)",
         [[3]]),
        ("select j from js", [[{'k': 'a', 'n': 5, 'b': True}], [{'k': 'b'}], [None]]),
        ("select j->'k', v from js", [['a', 1], ['b', 2], [None, 3]]),
        ("select j->'n' from js where j->'k' = 'a'", [[5]]),
        ("select v from js where j->'n' > 4", [[1]]),
        ("select v from js where j contains 'n'", [[1]]),
        ("select v from js where j->'b' = true", [[1]]),
        ("select v from js where j is null", [[3]]),
        ("select v from js where j->'k' like 'a%'", [[1]]),
        ("select j->'k', count(*) from js group by j->'k'", [['a', 1], ['b', 1], [None, 1]]),
        ("insert into x1 using js tags ('nojson') values (@0, 1)", 0x2605),
    ]),
    ('rows of a query and of several tables', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', '中x') (@1000, 2, null, 'b', 'yy') (@2000, null, 2.5, 'c', null) (@4000, 4, 3.5, 'a', 'z')", [[4]]),
        ("create table t2 (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t2 select * from t", [[4]]),
        ("select count(*) from t2", [[4]]),
        ("insert into t2 (ts, v) select ts, v from t where v > 2", [[1]]),
        ("select v, s from t2", [[1, 'a'], [2, 'b'], [None, 'c'], [4, 'a']]),
        ("create stable st (ts timestamp, v int) tags (g int, l varchar(8))", None),
        ("insert into st (tbname, g, l, ts, v) values ('k1', 7, 'q', @0, 1) ('k2', 8, 'r', @0, 2)", [[2]]),
        ("insert into st (tbname, ts, v) values ('k1', @1000, 9)", [[1]]),
        ("select tbname, g, v from st where g > 6", [['k1', 7, 1], ['k2', 8, 2], ['k1', 7, 9]]),
        ("select ts from t union all select ts from t2 order by ts limit 2", [['2023-11-14T22:13:20.000Z'], ['2023-11-14T22:13:20.000Z']]),
        ("select 1 union all select 1.5", [[1], [1]]),
        ("select v from t union select v from t2", [[1], [2], [None], [4]]),
    ]),
    ('what is shown', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', '中x') (@1000, 2, null, 'b', 'yy') (@2000, null, 2.5, 'c', null) (@4000, 4, 3.5, 'a', 'z')", [[4]]),
        ("create stable st (ts timestamp, v int) tags (g int, l varchar(8))", None),
        ("create table a using st tags (1, 'x') b using st tags (2, null)", None),
        ("show create table t",
         [['t', "CREATE TABLE `t` (`ts` TIMESTAMP ENCODE 'delta-i' COMPRESS 'lz4' LEVEL 'medium', `v` INT ENCODE 'simple8b' COMPRESS 'lz4' LEVEL 'medium', `f` DOUBLE ENCODE 'delta-d' COMPRESS 'lz4' LEVEL 'medium', `s` VARCHAR(16) ENCODE 'disabled' COMPRESS 'lz4' LEVEL 'medium', `n` NCHAR(8) ENCODE 'disabled' COMPRESS 'lz4' LEVEL 'medium')"]]),
        ("show create stable st",
         [['st', "CREATE STABLE `st` (`ts` TIMESTAMP ENCODE 'delta-i' COMPRESS 'lz4' LEVEL 'medium', `v` INT ENCODE 'simple8b' COMPRESS 'lz4' LEVEL 'medium') TAGS (`g` INT, `l` VARCHAR(8))"]]),
        ("show create table a", [['a', 'CREATE TABLE `a` USING `st` (`g`, `l`) TAGS (1, "x")']]),
        ("show create stable a", 0x0362),
        ("show table tags from st", [['a', 1, 'x'], ['b', 2, None]]),
        ("show table tags g from st", [[1], [2]]),
        ("show grants", [['community', 'unlimited', 'unlimited', 'false', 'ungranted', 'unlimited', 'unlimited', 'unlimited']]),
        ("show variables",
         [['timezone', 'UTC', 'server'], ['locale', 'en_US.UTF-8', 'server'], ['charset', 'UTF-8', 'server'], ['version', '3.3.6.0', 'server']]),
        ("show queries", []),
        ("show apps", []),
        ("show functions", []),
        ("show cluster alive", [[1]]),
        ("show streams", []),
        ("select version, (expire_time < now) from information_schema.ins_cluster", [['community', None]]),
        ("select * from information_schema.nope", 0x2603),
        ("select table_name, `columns`, stable_name, type from information_schema.ins_tables where db_name = database()",
         [['t', 5, None, 'NORMAL_TABLE'], ['a', 2, 'st', 'CHILD_TABLE'], ['b', 2, 'st', 'CHILD_TABLE']]),
        ("select stable_name, `columns`, tags from information_schema.ins_stables where db_name = database()", 0x2600),
        ("select table_name, tag_name, tag_type, tag_value from information_schema.ins_tags where db_name = database()",
         [['a', 'g', 'INT', '1'], ['a', 'l', 'VARCHAR(8)', 'x'], ['b', 'g', 'INT', '2'], ['b', 'l', 'VARCHAR(8)', None]]),
        ("select table_name, table_type, col_name, col_type, col_length from information_schema.ins_columns where db_name = database()",
         [['t', 'NORMAL_TABLE', 'ts', 'TIMESTAMP', 8], ['t', 'NORMAL_TABLE', 'v', 'INT', 4], ['t', 'NORMAL_TABLE', 'f', 'DOUBLE', 8], ['t', 'NORMAL_TABLE', 's', 'VARCHAR(16)', 16], ['t', 'NORMAL_TABLE', 'n', 'NCHAR(8)', 8], ['st', 'SUPER_TABLE', 'ts', 'TIMESTAMP', 8], ['st', 'SUPER_TABLE', 'v', 'INT', 4], ['a', 'CHILD_TABLE', 'ts', 'TIMESTAMP', 8], ['a', 'CHILD_TABLE', 'v', 'INT', 4], ['b', 'CHILD_TABLE', 'ts', 'TIMESTAMP', 8], ['b', 'CHILD_TABLE', 'v', 'INT', 4]]),
    ]),
    ('options that are kept', [
        ("create table o (ts timestamp, v int encode 'simple8b' compress 'zstd' level 'high', k int composite key) comment 'hi ''x''' ttl 5 sma(v)",
         None),
        ("show create table o",
         [['o', 'CREATE TABLE `o` (`ts` TIMESTAMP ENCODE \'delta-i\' COMPRESS \'lz4\' LEVEL \'medium\', `v` INT ENCODE \'simple8b\' COMPRESS \'zstd\' LEVEL \'high\', `k` INT ENCODE \'simple8b\' COMPRESS \'lz4\' LEVEL \'medium\' COMPOSITE KEY) COMMENT "hi \'x\'" TTL 5 SMA (v)']]),
        ("desc o",
         [['ts', 'TIMESTAMP', 8, '', 'delta-i', 'lz4', 'medium'], ['v', 'INT', 4, '', 'simple8b', 'zstd', 'high'], ['k', 'INT', 4, 'COMPOSITE KEY', 'simple8b', 'lz4', 'medium']]),
        ("alter table o comment 'neu'", None),
        ("select ttl, table_comment from information_schema.ins_tables where db_name = database()", [[5, 'neu']]),
    ]),
    ('decimals and shapes', [
        ("create table dd (ts timestamp, d decimal(10,2), e decimal(38,4), g geometry(64), b blob, vb varbinary(4))", None),
        ("insert into dd values (@0, 1.255, '12345678901234567890.1234', 'POINT(1 2)', 'abc', '\\x0a1b') (@1000, '-3', 5, null, null, null)", [[2]]),
        ("select * from dd",
         [['2023-11-14T22:13:20.000Z', '1.26', '12345678901234567890.1234', '0101000000000000000000f03f0000000000000040', '616263', '0a1b'], ['2023-11-14T22:13:21.000Z', '-3.00', '5.0000', None, None, None]]),
        ("select d + 1, d * d, d / 3, d - e, -d from dd",
         [['2.26', '1.5876', '0.420000', '-12345678901234567888.8634', '-1.26'], ['-2.00', '9.0000', '-1.000000', '-8.0000', '3.00']]),
        ("select sum(d), avg(d), min(d), max(e), spread(d), count(d) from dd", [['-1.74', -0.87, '-3.00', '12345678901234567890.1234', 4.26, 2]]),
        ("select sum(d) from dd interval(1s)", [['1.26'], ['-3.00']]),
        ("select d+1, d*d, d/3, d*1.5 from dd", [['2.26', '1.5876', '0.420000', 1.8900000000000001], ['-2.00', '9.0000', '-1.000000', -4.5]]),
        ("select d from dd where d > 1.25 and d < 1.27", [['1.26']]),
        ("select d from dd where d = '1.26'", [['1.26']]),
        ("select diff(d) from dd", [['-4.26']]),
        ("select abs(d), round(d) from dd", [[1.26, 1], [3, -3]]),
        ("select d from dd order by d", [['-3.00'], ['1.26']]),
        ("select d, count(*) from dd group by d", [['1.26', 1], ['-3.00', 1]]),
        ("select cast(d as int), cast(d as varchar(10)) from dd", [[1, '1.26'], [-3, '-3.00']]),
        ("insert into dd (ts, d) values (@2000, 123456789.1)", 0x2605),
        ("insert into dd (ts, g) values (@2000, 'NOPE')", 0x2605),
        ("insert into dd (ts, g) values (@2000, 'POLYGON((1 1,2 2,3 3,1 1))')", 0x2653),
        ("desc dd",
         [['ts', 'TIMESTAMP', 8, '', 'delta-i', 'lz4', 'medium'], ['d', 'DECIMAL(10,2)', 8, '', 'disabled', 'lz4', 'medium'], ['e', 'DECIMAL(38,4)', 16, '', 'disabled', 'lz4', 'medium'], ['g', 'GEOMETRY', 64, '', 'disabled', 'lz4', 'medium'], ['b', 'BLOB', 4194304, '', 'disabled', 'lz4', 'medium'], ['vb', 'VARBINARY', 4, '', 'disabled', 'lz4', 'medium']]),
        ("select cast(1.239 as decimal(5,2)), cast('7' as decimal(20,3))", [['1.24', '7.000']]),
        ("create table bad (ts timestamp, d decimal(39,2))", 0x2600),
        ("create table bad (ts timestamp, d decimal(5,6))", 0x2600),
    ]),
    ('other windows', [
        ("create table t (ts timestamp, v int, f double, s varchar(16), n nchar(8))", None),
        ("insert into t values (@0, 1, 1.5, 'a', '中x') (@1000, 2, null, 'b', 'yy') (@2000, null, 2.5, 'c', null) (@4000, 4, 3.5, 'a', 'z')", [[4]]),
        ("select _wstart, _wend, _wduration, count(*) from t session(ts, 1s)",
         [['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:22.000Z', 2000, 3], ['2023-11-14T22:13:24.000Z', '2023-11-14T22:13:24.000Z', 0, 1]]),
        ("select _wstart, count(*), s from t state_window(s)",
         [['2023-11-14T22:13:20.000Z', 1, 'a'], ['2023-11-14T22:13:21.000Z', 1, 'b'], ['2023-11-14T22:13:22.000Z', 1, 'c'], ['2023-11-14T22:13:24.000Z', 1, 'a']]),
        ("select _wstart, _wend, count(*) from t event_window start with v = 1 end with v = 2",
         [['2023-11-14T22:13:20.000Z', '2023-11-14T22:13:21.000Z', 2]]),
        ("select _wstart, count(*) from t count_window(3)", [['2023-11-14T22:13:20.000Z', 3], ['2023-11-14T22:13:24.000Z', 1]]),
        ("select _wstart, count(*) from t count_window(2, 1)",
         [['2023-11-14T22:13:20.000Z', 2], ['2023-11-14T22:13:21.000Z', 2], ['2023-11-14T22:13:22.000Z', 2], ['2023-11-14T22:13:24.000Z', 1]]),
        ("select v + 1, count(*) from t group by v + 1", [[2, 1], [3, 1], [None, 1], [5, 1]]),
        ("(select 1) union all (select 2)", [[1], [2]]),
        ("select ts, max(v) from t order by max(v)", [['2023-11-14T22:13:24.000Z', 4]]),
        ("select elapsed(v) from t", 0x2802),
        ("select mavg(v, 0) from t", 0x2802),
        ("select sample(v, 0) from t", 0x2802),
        ("select percentile(v, 101) from t", 0x2802),
        ("select diff(v, 3) from t", [[1], [2]]),
        ("select count(*) from (select a from (select v as a from t) where a > 1)", [[2]]),
        ("create table fl (ts timestamp, x float)", None),
        ("insert into fl values (@0, 1.1) (@1000, 2.2)", [[2]]),
        ("select x from fl where x = 1.1 or x in (2.2)", [[1.1], [2.2]]),
        ("select x from fl where x > 1.1", [[2.2]]),
    ]),
]


@rows(GROUPS)
def answers(statements):
    taos = database(shared())
    for sql, want in statements:
        answer = taos.ask(re.sub(r"@(\d+)", lambda found: str(T + int(found.group(1))), sql))
        if isinstance(want, int):
            eq(answer["code"], want, sql)
        else:
            assert answer["code"] == 0, (sql, answer)
            if want is not None:
                eq(answer["data"], want, sql)


def code(server, sql, user="root", password="taosdata"):
    answer = http_call(server.ports["taos"], "POST", "/rest/sql", body=sql.encode(), auth=(user, password))
    return answer.json["code"]


@test
def users_are_made_sign_in_and_survive():
    with Server() as server:
        for sql, user, password, want in [
            ("create database d", "root", "taosdata", 0),
            ("create table d.t (ts timestamp, v int)", "root", "taosdata", 0),
            ("create user u pass 'one'", "root", "taosdata", 0),
            ("create user u pass 'one'", "root", "taosdata", 0x0350),
            ("drop user nobody", "root", "taosdata", 0x0351),
            ("alter user nobody pass 'x'", "root", "taosdata", 0x0351),
            ("grant all on d.* to nobody", "root", "taosdata", 0x0351),
            ("select 1", "u", "one", 0),
            ("select 1", "u", "two", 0x0357),
            ("select * from d.t", "u", "one", 0x2603),
            ("create database e", "u", "one", 0x0303),
            ("create user v pass 'x'", "u", "one", 0x0303),
            ("grant read on d.* to u", "root", "taosdata", 0),
            ("select * from d.t", "u", "one", 0),
            ("insert into d.t values (now, 1)", "u", "one", 0x0303),
            ("grant write on e.* to u", "root", "taosdata", 0),
            ("insert into d.t values (now, 1)", "u", "one", 0x0303),
            ("delete from d.t", "u", "one", 0x0303),
            ("grant write on d to u", "root", "taosdata", 0),
            ("insert into d.t values (now, 1)", "u", "one", 0),
            ("revoke all on d.* from u", "root", "taosdata", 0),
            ("select * from d.t", "u", "one", 0x2603),
            ("alter user u pass 'two'", "root", "taosdata", 0),
            ("select 1", "u", "one", 0x0357),
            ("alter user u enable 0", "root", "taosdata", 0),
            ("select 1", "u", "two", 0x0357),
            ("alter user u enable 1", "root", "taosdata", 0),
            ("drop user root", "root", "taosdata", 0x0303),
            ("alter user root pass 'other'", "root", "taosdata", 0),
            ("select 1", "root", "taosdata", 0x0357),
        ]:
            eq(code(server, sql, user, password), want, sql)
        server.restart(by_kill=True)
        eq(code(server, "select 1", "u", "two"), 0)
        eq(code(server, "drop user u", "root", "other"), 0)
        eq(code(server, "select 1", "u", "two"), 0x0357)


@test
def users_of_the_configuration_are_the_only_ones():
    with Server('[[user]]\nname = "a"\npassword = "b"\nroles = ["read", "write", "admin"]\n') as server:
        for sql in ["create user u pass 'x'", "alter user a pass 'x'", "drop user a", "grant all on d.* to a"]:
            eq(code(server, sql, "a", "b"), 0x0303, sql)
        eq(code(server, "select 1"), 0x0357)


@test
def a_dropped_user_is_closed_and_a_connection_is_shown():
    with Server() as server:
        eq(code(server, "create user u pass 'one'"), 0)
        with Ws(server, "taos", "/ws") as client:
            args = {"user": "u", "password": "one", "app": "meter", "connector": "lib", "list_instances": True}
            answer = client.ask({"action": "conn", "args": args})
            eq([answer["code"], answer["list_instances"]], [0, [f"127.0.0.1:{server.ports['taos']}"]])
            client.send({"action": "query", "args": {"req_id": 1, "sql": "show connections"}})
            names = client.recv()["fields_names"]
            eq([name in names for name in ("user_app", "user_ip", "connector_info", "version")], [True] * 4)
            eq(code(server, "drop user u"), 0)
            eq(client.closed()[0], 1008)


# Statement of version 1, values in columns, what is read back.
BOUND = [
    ("decimal(10,2)", ["1.255", 3, None], [["1.26"], ["3.00"], [None]]),
    ("decimal(30,4)", ["-12345678901234567890.5", 0.25, None], [["-12345678901234567890.5000"], ["0.2500"], [None]]),
    ("geometry(64)", ["0101000000000000000000f03f0000000000000040", None, None],
     [["0101000000000000000000f03f0000000000000040"], [None], [None]]),
]


@rows([(kind, kind, values, want) for kind, values, want in BOUND])
def statements_bind(kind, values, want):
    taos = database(shared())
    taos.rows(f"create table t (ts timestamp, v {kind})")
    with Ws(taos.server, "taos", "/rest/stmt") as client:
        def ask(action, **args):
            answer = client.ask({"action": action, "args": {"req_id": 1, **args}})
            eq(answer["code"], 0, str(answer))
            return answer
        ask("conn", user="root", password="taosdata", db=taos.database)
        id = ask("init")["stmt_id"]
        ask("prepare", stmt_id=id, sql="insert into t values(?, ?)")
        ask("bind", stmt_id=id, columns=[[T, T + 1, T + 2], values])
        ask("add_batch", stmt_id=id)
        eq(ask("exec", stmt_id=id)["affected"], 3)
    eq(taos.rows("select v from t"), want)


@test
def the_vgroup_of_a_table_and_who_may_come_from_where():
    with Server('[[user]]\nname = "a"\npassword = "b"\nroles = ["read", "write", "admin"]\n'
                '[[user]]\nname = "far"\npassword = "b"\nhosts = ["10.*"]\nroles = ["read"]\n') as server:
        eq(code(server, "create database d vgroups 4", "a", "b"), 0)
        port = server.ports["taos"]
        for body, want in [(b'["t1", "t2"]', {"code": 0, "vgIDs": [int, int]}), (b"[]", {"code": 0, "vgIDs": []}),
                           (b"[1]", {"code": 65535, "desc": str}), (b"x", {"code": 65535, "desc": str})]:
            eq(http_call(port, "POST", "/rest/sql/d/vgid", body=body, auth=("a", "b")).json, want)
        eq(http_call(port, "POST", "/rest/sql/no/vgid", body=b"[]", auth=("a", "b")).json["code"], 0x0388)
        eq(code(server, "select 1", "far", "b"), 65535)
        eq(code(server, "select 1", "far", "c"), 0x0357)
