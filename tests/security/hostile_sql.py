"""Statements that try to leave the views of `/sql`: a list by hand, and a grammar of tricks that is drawn from with a fixed seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Final

SEED: Final = 20261130
SOURCES: Final = (
    "raw_costs", "publications", "removed_generations", "cost_by_day", "cost_trends", "cost_by_resource", "schema_migrations",
    "{database}.raw_costs", "{database}.costs_current", "`raw_costs`", '"cost_by_day"', "`{database}`.`publications`", "Raw_Costs",
    "default.raw_costs", "system.tables", "system.users", "system.processes", "system.settings", "system.parts", "system.one",
    "system.query_log", "system.columns", "information_schema.tables", "INFORMATION_SCHEMA.COLUMNS", "system.numbers",
    "file('/etc/passwd', 'LineAsString')", "file('*.bin', 'RawBLOB')", "url('http://127.0.0.1:9/', 'CSV', 'a String')",
    "s3('http://127.0.0.1:9/a', 'CSV', 'a String')", "remote('127.0.0.1', '{database}', 'raw_costs')", "numbers(10)", "zeros(10)",
    "remoteSecure('127.0.0.1', system.one)", "merge('{database}', '^raw')", "merge('^raw')", "cluster('default', system.one)",
    "view(SELECT * FROM raw_costs)", "viewExplain('EXPLAIN', '', (SELECT 1))", "values('a Int8', 1)", "generateRandom('a Int8')",
    "generateSeries(1, 10)", "null('a Int8')", "input('a Int8')", "executable('id', 'CSV', 'a String')", "loop(raw_costs)",
    "mergeTreeIndex('{database}', 'raw_costs')", "mergeTreeParts('{database}', 'raw_costs')", "dictionary('any')", "sqlite('/a', 'b')",
    "postgresql('127.0.0.1:9', 'a', 'b', 'c', 'd')", "mysql('127.0.0.1:9', 'a', 'b', 'c', 'd')", "hdfs('hdfs://a/b', 'CSV')",
    "azureBlobStorage('a', 'b', 'c')", "iceberg('a')", "deltaLake('a')", "mongodb('127.0.0.1:9', 'a', 'b', 'c', 'd', 'e Int8')",
    "redis('127.0.0.1:9', 'a', 'a Int8')", "jdbc('a', 'b')", "odbc('a', 'b')", "format(JSONEachRow, '{{}}')", "Python('a')",
    "fuzzJSON('a')", "timeSeriesData(raw_costs)", "primes(3)", "filesystem('/')", "costs_current FINAL, raw_costs",
)  # fmt: skip
"""What may not be read."""

READING: Final = (
    "SELECT * FROM {source}",
    "FROM {source} SELECT *",
    "SELECT count() FROM/**/{source}",
    "SELECT * -- FROM costs_daily\n FROM {source}",
    "(SELECT * FROM {source})",
    "SELECT * FROM (SELECT * FROM {source})",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM {source}) AS costs_daily) AS costs_current",
    "WITH x AS (SELECT * FROM {source}) SELECT * FROM x",
    "WITH costs_daily AS (SELECT * FROM {source}) SELECT * FROM costs_daily",
    "WITH raw_costs AS (SELECT * FROM {source}) SELECT * FROM raw_costs",
    "WITH RECURSIVE x AS (SELECT * FROM {source} UNION ALL SELECT * FROM x) SELECT * FROM x",
    "WITH (SELECT count() FROM {source}) AS n SELECT n",
    "SELECT (SELECT count() FROM {source})",
    "SELECT 1 IN {source}",
    "SELECT 1 GLOBAL NOT IN {source}",
    "SELECT 1 IN (SELECT 1 FROM {source})",
    "SELECT EXISTS (SELECT 1 FROM {source})",
    "SELECT 1 FROM costs_daily WHERE EXISTS (SELECT 1 FROM {source})",
    "SELECT 1 AS a UNION ALL SELECT count() FROM {source}",
    "SELECT 1 AS a EXCEPT SELECT count() FROM {source}",
    "SELECT 1 AS a INTERSECT SELECT count() FROM {source}",
    "SELECT * FROM costs_daily AS a CROSS JOIN {source} AS b",
    "SELECT * FROM costs_daily, {source}",
    "SELECT * FROM costs_daily AS a LEFT JOIN (SELECT * FROM {source}) AS b ON 1",
    "SELECT * FROM costs_daily ORDER BY (SELECT count() FROM {source})",
    "SELECT count() FROM costs_daily GROUP BY (SELECT count() FROM {source})",
    "SELECT count() FROM costs_daily HAVING count() > (SELECT count() FROM {source})",
    "SELECT * FROM costs_daily LIMIT (SELECT count() FROM {source})",
    "SELECT arrayMap(x -> (SELECT count() FROM {source}), [1])",
    "SELECT if(1, (SELECT count() FROM {source}), 0)",
    "EXPLAIN SELECT * FROM {source}",
    "EXPLAIN AST SELECT * FROM {source}",
    "SELECT * FROM (EXPLAIN SELECT * FROM {source})",
    "DESCRIBE TABLE {source}",
    "SHOW CREATE TABLE {source}",
    "CREATE TABLE stolen AS {source}",
    "CREATE VIEW stolen AS SELECT * FROM {source}",
    "INSERT INTO publications SELECT * FROM {source}",
    "SELECT 1; SELECT * FROM {source}",
    "SELECT * FROM {source} INTO OUTFILE '/tmp/stolen'",
    "SELECT * FROM {source} FORMAT JSON",
    "SELECT * FROM {source} SETTINGS additional_table_filters = {{}}",
)

CALLS: Final = (
    "getSetting('additional_table_filters')", "getSettingOrDefault('readonly', 1)", "currentUser()", "user()", "hostName()",
    "hostname()", "FQDN()", "version()", "currentDatabase()", "database()", "uptime()", "tcpPort()", "serverUUID()", "queryID()",
    "connectionId()", "getMacro('a')", "getServerSetting('max_connections')", "serverTimezone()", "buildId()", "filesystemAvailable()",
    "file('/etc/passwd')", "FILE('/etc/passwd')", "dictGet('a', 'b', 1)", "dictGetOrDefault('a', 'b', 1, 2)", "dictHas('a', 1)",
    "joinGet('raw_costs', 'billed_cost', 1)", "hasColumnInTable('{database}', 'raw_costs', 'tags')", "sleep(3)", "sleepEachRow(3)",
    "throwIf(1)", "throwIf(customer_id = '{other}', service_name)", "getSubcolumn(tags, 'a')", "identity(1)", "materialize(1)",
    "catboostEvaluate('/a', 1)", "demangle('a')", "addressToLine(1)", "addressToSymbol(1)", "initializeAggregation('sum', 1)",
    "finalizeAggregation(CAST('a' AS AggregateFunction(count)))", "runningAccumulate(1)", "arrayReduce('sum', [1])", "range(1000000000)",
    "repeat('a', 1000000000)", "space(1000000000)", "randomString(1000000000)", "fuzzBits('a', 0.5)", "generateUUIDv4()", "rand()",
    "blockNumber()", "rowNumberInAllBlocks()", "currentRoles()", "enabledProfiles()", "defaultRoles()", "currentProfiles()",
    "isMergeTreePartCoveredBy('a', 'b')", "shardNum()", "displayName()", "getClientHTTPHeader('Authorization')", "@@version",
    "formatQuery('SELECT 1')", "toTypeName(1)", "dumpColumnStructure(1)",
    "defaultValueOfTypeName('Int8')", "bar(1, 0, 10)",
    "evalMLMethod(1, 2)", "toModifiedJulianDay('a')", "encrypt('aes-128-ecb', 'a', 'b')", "JSONExtractRaw('a')",
    "structureToCapnProtoSchema('a')",
    "sumState(1)", "sumMergeState(1)", "{{a:String}}", "{{a:Identifier}}", "CAST('a' AS AggregateFunction(sum, Int8))",
    "`sum`(getSetting('a'))",
    "transform(1, [1], [2])", "ngramDistance('a', 'b')", "toDecimal256('1', 2)", "bitShiftLeft('a', 100)", "CAST(1, concat('Str', 'ing'))",
    "lowCardinalityIndices(customer_id)", "mapFromArrays([1], [2])", "aggThrow(0.5)(1)", "trap('a')", "icuVersion()", "neighbor(1, 1)",
)  # fmt: skip
"""Functions and other expressions that may not be used."""

CALLING: Final = (
    "SELECT {call}",
    "SELECT {call} AS a FROM costs_current",
    "SELECT * FROM costs_daily WHERE toString({call}) != ''",
    "SELECT count() FROM costs_daily GROUP BY {call}",
    "SELECT * FROM costs_daily ORDER BY {call}",
    "SELECT count() AS n FROM costs_daily HAVING n > length(toString({call}))",
    "SELECT arrayMap(x -> {call}, [1])",
    "SELECT if(1, {call}, {call})",
    "SELECT CAST({call} AS String)",
    "SELECT max(toString({call})) OVER () FROM costs_daily",
    "WITH {call} AS a SELECT a FROM costs_daily",
    "SELECT 1 FROM costs_daily AS a JOIN costs_daily AS b ON toString({call}) = b.service_name",
    "SELECT 1 FROM costs_daily LIMIT toUInt8({call})",
    "SELECT * EXCEPT (tags) APPLY (x -> {call}) FROM costs_current",
    "SELECT * FROM costs_daily ARRAY JOIN [{call}] AS a",
    "SELECT tuple(1, {call}).2",
)

FAILS_ON_OTHERS: Final = (
    "intDiv(1, {table}customer_id != '{other}')",
    "toInt64(if({table}customer_id = '{other}', {table}service_name, '1'))",
    "toInt64(if({table}service_name LIKE 'Secret%', {table}service_name, '1'))",
    "length(toString(toDate(if({table}customer_id = '{own}', '2026-01-01', {table}service_name))))",
    "toInt64({table}billed_cost * if({table}customer_id = '{own}', 1, toDecimal128('99999999999999999999', 0)) >= 0)",
    "CAST(if({table}customer_id = '{own}', '1', {table}customer_id) AS Int64)",
)
"""Expressions that fail on rows of the other customer, and so would tell that there are some, if they were computed there."""

FAILING: Final = (
    "SELECT count() AS n FROM {view} WHERE {bare} >= 0",
    "SELECT count() AS n FROM {view} WHERE {bare} >= 0 AND customer_id = '{other}'",
    "SELECT count() AS n FROM {view} WHERE customer_id = '{other}' OR {bare} >= 0",
    "SELECT count() AS n FROM (SELECT * FROM {view} WHERE {bare} >= 0)",
    "SELECT sum({bare}) AS n FROM {view}",
    "SELECT {bare} AS n FROM {view} ORDER BY n LIMIT 1",
    "SELECT count() AS n FROM {view} GROUP BY {bare}",
    "SELECT count() AS n FROM {view} GROUP BY customer_id, service_name, billed_cost HAVING {bare} >= 0",
    "SELECT count() AS n FROM {view} AS a JOIN (SELECT 1 AS x) AS y ON {qualified} = y.x",
    "SELECT count() AS n FROM (SELECT 1 AS x) AS y LEFT JOIN {view} AS a ON {qualified} = y.x",
    "SELECT count() AS n FROM {view} AS a JOIN {view} AS b ON a.service_name = b.service_name WHERE {qualified} >= 0",
    "SELECT count() AS n FROM {view} WHERE generation IN (SELECT generation FROM {view} WHERE {bare} >= 0)",
    "SELECT count() AS n FROM {view} WHERE {bare} IN (SELECT {bare} FROM {view})",
    "SELECT max({bare}) OVER (PARTITION BY {bare}) AS n FROM {view}",
    "SELECT 1 AS n FROM {view} QUALIFY row_number() OVER (ORDER BY {bare}) > 0",
    "WITH (SELECT max({bare}) FROM {view}) AS m SELECT m AS n FROM {view} WHERE {bare} <= m",
    "SELECT DISTINCT {bare} AS n FROM {view} ARRAY JOIN [1, 2] AS x WHERE x >= {bare} - 1",
    "SELECT count() AS n FROM {view} WHERE {bare} >= 0 UNION ALL SELECT count() FROM {view} WHERE {bare} >= 0",
)

BY_HAND: Final = (
    "DROP TABLE raw_costs", "TRUNCATE TABLE raw_costs", "ALTER TABLE raw_costs DELETE WHERE 1", "OPTIMIZE TABLE raw_costs",
    "DELETE FROM raw_costs WHERE 1", "UPDATE raw_costs SET billed_cost = 0 WHERE 1", "RENAME TABLE raw_costs TO x", "SET readonly = 0",
    "USE system", "KILL QUERY WHERE 1", "SYSTEM FLUSH LOGS", "SYSTEM SHUTDOWN", "GRANT ALL ON *.* TO default", "CREATE USER x",
    "ATTACH TABLE x", "DETACH TABLE raw_costs", "BACKUP TABLE raw_costs TO File('/tmp/x')", "RESTORE ALL FROM File('/tmp/x')",
    "CREATE FUNCTION f AS () -> 1", "CREATE TEMPORARY TABLE x (a Int8)", "SHOW TABLES", "SHOW DATABASES", "SHOW SETTINGS LIKE '%'",
    "SHOW PROCESSLIST", "EXISTS raw_costs", "WATCH raw_costs", "CHECK TABLE raw_costs", "BEGIN TRANSACTION", "VALUES (1)", "PREPARE x",
    "EXECUTE AS default SELECT 1", "COPY raw_costs TO '/tmp/x'", "CALL x", "SELECT", "", ";", "''", "SELECT 1;;SELECT 2",
    "SELECT 1 FORMAT TSV; DROP TABLE raw_costs", "SELECT 1 /* ; */ ; DROP TABLE raw_costs", "graph = 1 SELECT 1", "optimize = 1 SELECT 1",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 INTERSECT SELECT 2 INTO OUTFILE '/tmp/x'", "SELECT 1 PARALLEL WITH SELECT 2", "SELECT 1 EXCEPT SELECT 2 FORMAT TSV",
    "WITH x AS (SELECT 1) INSERT INTO publications SELECT * FROM x", "SELECT 1 INTO OUTFILE '/tmp/x' AND STDOUT COMPRESSION 'gzip'",
    "SELECT 1 SETTINGS max_threads = 64", "SELECT * FROM costs_daily SETTINGS max_execution_time = 0",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)", "SELECT * FROM costs_daily SAMPLE 0.1", "SELECT * FROM costs_daily PREWHERE 1",
    "SELECT 1 INTO OUTFILE '/tmp/x' TRUNCATE FORMAT TSV", "SELECT COLUMNS('.*') FROM raw_costs",
    "SELECT * REPLACE (1 AS tags) FROM raw_costs",
    "SELECT 1 AS `a\nFunction sum`, 2 FROM raw_costs", "SELECT `a (children 1)\n    Literal 'x'` FROM raw_costs",
    "SELECT * FROM `costs_daily\n   TableIdentifier raw_costs`", "SELECT * FROM costs_daily AS `x)\nTABLE id: 1, table_name: y`, raw_costs",
    "SELECT '\\nTABLE id: 3, table_name: x' FROM raw_costs", "SELECT $a$ ' $a$ FROM raw_costs", "SELECT * FROM \u2018raw_costs\u2019",
    "SELECT 1 AS FORMAT FROM raw_costs", "SELECT\u00a01\u00a0FROM\u00a0raw_costs", "SELECT 1 FROM\u200braw_costs",
    "SELECT 1 FROM\fraw_costs",
)  # fmt: skip


def hostile_statements(database: str, other: str, count: int) -> list[str]:
    """All statements by hand, then as many drawn as make up `count`, the same ones every time."""
    drawn = random.Random(SEED)  # noqa: S311 - no secret
    every = [*_combined(READING, "source", SOURCES), *_combined(CALLING, "call", CALLS)]
    drawn.shuffle(every)
    return [*BY_HAND, *(one.format(database=database, other=other) for one in every[: count - len(BY_HAND)])]


def _combined(frames: tuple[str, ...], name: str, values: tuple[str, ...]) -> Iterator[str]:
    for frame, value in itertools.product(frames, values):
        escaped = frame.replace("{" + name + "}", "\0").replace("\0", value)
        yield escaped


def failing_statements(view: str, own: str, other: str) -> Iterator[str]:
    """Statements that fail if they are computed on a row of `other`, and answer something on rows of `own`."""
    for frame, expression in itertools.product(FAILING, FAILS_ON_OTHERS):
        bare = expression.format(table="", own=own, other=other)
        qualified = expression.format(table="a.", own=own, other=other)
        yield frame.format(view=view, bare=bare, qualified=qualified, other=other)
