"""The spool's tables, and how a file of an earlier version becomes one of this."""

from __future__ import annotations

import sqlite3

from edge_runtime.errors import StorageError
from edge_runtime.storage.verdict_blob import pack_verdict
from edge_runtime.wire.verdict_json import decode_json

SCHEMA_VERSION = 2

_SCHEMA = """
    -- AUTOINCREMENT: SQLite remembers the highest seq in its own table, even when every row is gone.
    CREATE TABLE verdict (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, unix_ms INTEGER NOT NULL, trigger_id INTEGER NOT NULL,
        delivered INTEGER NOT NULL, packed BLOB NOT NULL
    ) STRICT;
    CREATE INDEX undelivered ON verdict (seq) WHERE delivered = 0;
    CREATE TABLE station (boot_id INTEGER NOT NULL, acknowledged INTEGER NOT NULL) STRICT;
    INSERT INTO station VALUES (0, 0);
    CREATE TABLE IF NOT EXISTS accepted (
        trigger_id INTEGER PRIMARY KEY, recipe INTEGER NOT NULL, part_id TEXT NOT NULL
    ) STRICT
"""
# An earlier daemon takes no notice of these, so they need no version of their own. judged: of a watched folder.
_LATER_TABLES = (
    "CREATE TABLE IF NOT EXISTS judged (name BLOB PRIMARY KEY, identity TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # When a trigger was answered, by the machine's own clock (moment.py).
    "CREATE TABLE IF NOT EXISTS answered"
    " (seq INTEGER PRIMARY KEY, machine_start TEXT NOT NULL, since_ms INTEGER NOT NULL) STRICT",
    # Which seq was the next one when this station had been running for so long: ages for the retention.
    "CREATE TABLE IF NOT EXISTS running (running_ms INTEGER PRIMARY KEY, seq INTEGER NOT NULL) STRICT",
)


def make_current(database: sqlite3.Connection, path: str) -> None:
    """Make or bring up to date the tables, inside the caller's transaction. Raises StorageError for a later version."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == 0:
        _create(database)
    elif version == 1:
        _take_over_version_1(database)
    elif version != SCHEMA_VERSION:
        raise StorageError(
            f"{path} has schema version {version}, this daemon knows {SCHEMA_VERSION}: "
            "update the daemon, or give it another state_dir"
        )
    for table in _LATER_TABLES:
        database.execute(table)


def _create(database: sqlite3.Connection) -> None:
    for statement in _SCHEMA.split(";"):
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _take_over_version_1(database: sqlite3.Connection) -> None:
    """Version 1 kept the lines as text, and nothing of the acknowledgements."""
    (boot_id,) = database.execute("SELECT boot_id FROM station").fetchone()
    highest = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'verdict'").fetchone()
    database.execute("ALTER TABLE verdict RENAME TO verdict_1")
    database.execute("DROP INDEX undelivered")
    database.execute("DROP TABLE station")
    _create(database)
    old = database.execute("SELECT seq, unix_ms, trigger_id, delivered, line FROM verdict_1 ORDER BY seq")
    database.executemany(
        "INSERT INTO verdict VALUES (?, ?, ?, ?, ?)",
        ((*row[:4], pack_verdict(decode_json(row[4].encode("ascii")))) for row in old),
    )
    database.execute("DROP TABLE verdict_1")
    database.execute("UPDATE station SET boot_id = ?", (boot_id,))
    continue_after(database, highest[0] if highest else 0)


def continue_after(database: sqlite3.Connection, seq: int) -> None:
    """Let the next verdict have a greater seq than this one, whatever the table holds."""
    database.execute("DELETE FROM sqlite_sequence WHERE name = 'verdict' AND seq < ?", (seq,))
    database.execute(
        "INSERT INTO sqlite_sequence SELECT 'verdict', ? WHERE NOT EXISTS "
        "(SELECT 1 FROM sqlite_sequence WHERE name = 'verdict')",
        (seq,),
    )
