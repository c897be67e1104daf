//! The catalogue's tables, and how an older file becomes one of today.

use crate::database::Format;

/// Steps from an empty file to today's format.
pub(super) const FORMAT: Format = Format(&[
    "
    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        agent TEXT NOT NULL,
        target TEXT NOT NULL,
        labels TEXT NOT NULL,           -- JSON: [[key, value], …] in the order of the configuration
        step_s INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE metrics (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id),
        place INTEGER NOT NULL,         -- order within the job
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        unit TEXT NOT NULL,
        help TEXT NOT NULL,
        keys TEXT NOT NULL,             -- JSON: label keys in declared order
        declared INTEGER NOT NULL,      -- 1: known at run time only
        UNIQUE (job, name)
    ) STRICT;
    CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        job INTEGER NOT NULL REFERENCES jobs (id),
        labels TEXT NOT NULL,           -- JSON: [[key, true value], …]
        path TEXT NOT NULL UNIQUE,      -- below the series folder
        generation INTEGER NOT NULL,    -- 0: written to; else the number it was set aside with
        step_s INTEGER NOT NULL,
        first_slot INTEGER NOT NULL,
        last_slot INTEGER NOT NULL      -- as of the last checkpoint
    ) STRICT;
    CREATE TABLE sources (
        file INTEGER NOT NULL REFERENCES files (id),
        place INTEGER NOT NULL,         -- column in the file
        name TEXT NOT NULL,             -- data source
        metric TEXT NOT NULL,
        kind TEXT NOT NULL,
        unit TEXT NOT NULL,
        PRIMARY KEY (file, place)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE checkpoint (           -- one row, or none before the first one
        mark INTEGER NOT NULL,          -- that of the file of headers that belongs to it
        position INTEGER NOT NULL       -- of the journal: all up to it is in these tables and in the series files
    ) STRICT;
    CREATE TABLE changes (              -- to series files, since that checkpoint
        place INTEGER PRIMARY KEY,
        path TEXT NOT NULL,             -- below the series folder
        moved_to TEXT,                  -- it was renamed
        image BLOB                      -- it was written to, and this was its head before; neither: it was made
    ) STRICT;
",
    "
    CREATE TABLE gaps (
        job INTEGER NOT NULL REFERENCES jobs (id),
        from_s INTEGER NOT NULL,        -- after this instant nothing is known
        to_s INTEGER NOT NULL,          -- up to this one
        cause TEXT NOT NULL,
        detail TEXT,                    -- the kind of a failure, or why it was not scheduled
        PRIMARY KEY (job, from_s)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE followed (
        job INTEGER PRIMARY KEY REFERENCES jobs (id),
        since_s INTEGER NOT NULL,       -- of the time before nothing is known
        until_s INTEGER NOT NULL,       -- the last slot that has a reading
        step_s INTEGER NOT NULL,
        silences TEXT NOT NULL          -- JSON: [[slot, reason], …] of the time after that
    ) STRICT;
    CREATE TABLE heard (                -- one row, or none before the first checkpoint
        time_s INTEGER NOT NULL         -- when the last record was made
    ) STRICT;
",
    "
    ALTER TABLE jobs ADD COLUMN keeping TEXT;       -- JSON: how long rows are kept; nothing: as usual
    ALTER TABLE jobs ADD COLUMN heartbeat_s INTEGER; -- of counters; nothing: as usual
    ALTER TABLE files ADD COLUMN since INTEGER NOT NULL DEFAULT 0; -- the earliest slot that it has anything of
    UPDATE files SET since = first_slot;
    ALTER TABLE checkpoint ADD COLUMN next_file INTEGER NOT NULL DEFAULT 0; -- the number that the next file gets
    CREATE TABLE given_up (             -- series files that nothing here knows any more, to be removed
        path TEXT PRIMARY KEY           -- below the series folder
    ) STRICT, WITHOUT ROWID;
",
]);
