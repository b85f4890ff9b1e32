"""The SQLite schema, as numbered migrations that only go forward."""

from sqlite_utils import Database, Migrations

migrations = Migrations("homecoming")


@migrations(name="0001_views_and_hot_log")
def _views_and_hot_log(db: Database) -> None:
    """Times are microseconds since 1970 UTC, weeks ISO weeks counted from the one of 1970-01-01."""
    for statement in (
        # Watermark, counters and definitions that must survive a restart.
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
        # One row is one UserState; weeks is a JSON object {week: events}, early_days a JSON array.
        """CREATE TABLE user (
            name TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
            registered_at INTEGER, events INTEGER NOT NULL, weeks TEXT NOT NULL,
            early_days TEXT NOT NULL, flagged INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID""",
        """CREATE VIEW user_week AS
            SELECT user.name, CAST(entry.key AS INTEGER) AS week, entry.value AS events
            FROM user, json_each(user.weeks) AS entry""",
        """CREATE TABLE cohort_week (
            cohort INTEGER NOT NULL, offset INTEGER NOT NULL, population TEXT NOT NULL,
            users INTEGER NOT NULL, PRIMARY KEY (cohort, offset, population)) WITHOUT ROWID""",
        # The hot end of the log. key is 63 bits of md5(msg_id || x'1f' || user).
        """CREATE TABLE event (
            key INTEGER PRIMARY KEY, week INTEGER NOT NULL, msg_id TEXT NOT NULL,
            sent_at INTEGER NOT NULL, received_at INTEGER, topic TEXT NOT NULL, username TEXT,
            role TEXT NOT NULL, service TEXT NOT NULL, project TEXT, namespace TEXT, object TEXT,
            size INTEGER, unit TEXT, content_hash TEXT, is_bot INTEGER NOT NULL)""",
        # Ids of the hot weeks' messages, so that a message is counted once however many users it names.
        "CREATE TABLE message (key INTEGER PRIMARY KEY, week INTEGER NOT NULL)",
        # The manifest: what is not named here is an orphan of a crash. folded: see state.bulk.
        """CREATE TABLE segment (
            file TEXT PRIMARY KEY, week INTEGER NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('events', 'days')),
            rows INTEGER NOT NULL, bytes INTEGER NOT NULL, folded INTEGER NOT NULL)""",
        "CREATE INDEX segment_week ON segment (week)",
        "CREATE TABLE imported (source TEXT PRIMARY KEY, through INTEGER NOT NULL)",
        """CREATE TABLE coverage (
            id INTEGER PRIMARY KEY, source TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL)""",
        """CREATE TABLE dead_letter (
            key INTEGER PRIMARY KEY, received_at INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
            source TEXT NOT NULL, msg_id TEXT, topic TEXT, headers TEXT, body BLOB)""",
        # Counting them is part of every scrape, and the rows are as large as messages.
        "CREATE INDEX dead_letter_reason ON dead_letter (reason)",
        """CREATE TABLE flag (
            id TEXT PRIMARY KEY, user TEXT, rule TEXT NOT NULL, severity TEXT NOT NULL, state TEXT NOT NULL,
            raised_at INTEGER NOT NULL, posts INTEGER NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL,
            config TEXT NOT NULL)""",
    ):
        db.execute(statement)


@migrations(name="0002_decisions")
def _decisions(db: Database) -> None:
    for statement in (
        # Event time at which a wave's key fired last.
        "ALTER TABLE flag ADD COLUMN until INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX flag_user ON flag (user)",
        "CREATE INDEX flag_rule ON flag (rule, raised_at)",
        "CREATE INDEX flag_state ON flag (state, raised_at)",
        # What operators decided; never derived, so a rebuild keeps it. decided_at is processing time.
        """CREATE TABLE decision (
            id INTEGER PRIMARY KEY, flag TEXT NOT NULL, user TEXT, rule TEXT NOT NULL, crossed_at INTEGER NOT NULL,
            verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'cleared')), reason TEXT NOT NULL,
            decided_at INTEGER NOT NULL)""",
        "CREATE INDEX decision_user ON decision (user, rule)",
    ):
        db.execute(statement)


@migrations(name="0003_span_of_files")
def _span_of_files(db: Database) -> None:
    """The latest event time in a file, microseconds; null where it is not known."""
    db.execute("ALTER TABLE segment ADD COLUMN last_at INTEGER")


@migrations(name="0004_cohorts")
def _cohorts(db: Database) -> None:
    for statement in (
        # A view of the log: who has which badge, and since which event time.
        """CREATE TABLE award (
            badge TEXT NOT NULL, user TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (badge, user)) WITHOUT ROWID""",
        # Named cohorts. Those of a badge have its awards as members, the others user_tag's. touched is processing time.
        # An id is never given again, so that an expression means the same for ever.
        """CREATE TABLE tag (
            id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, project TEXT,
            notes TEXT NOT NULL DEFAULT '', owner TEXT NOT NULL DEFAULT '', grp TEXT NOT NULL DEFAULT '',
            touched INTEGER, enabled INTEGER NOT NULL DEFAULT 1, badge TEXT UNIQUE)""",
        # project is '' where a member counts in any; at is processing time.
        """CREATE TABLE user_tag (
            tag INTEGER NOT NULL, user TEXT NOT NULL, project TEXT NOT NULL, at INTEGER NOT NULL,
            PRIMARY KEY (tag, user, project)) WITHOUT ROWID""",
        # Sign-ups by time: cohorts of a week or month, and sign-ups an hour.
        "CREATE INDEX user_registered ON user (registered_at) WHERE registered_at IS NOT NULL",
    ):
        db.execute(statement)
