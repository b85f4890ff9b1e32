"""Write an archive of so many events by so many users: archive.py FILE EVENTS USERS WEEKS.

Everybody signs up, evenly over the weeks, and is then active less and less; few are active often. The same
numbers give the same file.
"""

import sys
from pathlib import Path

import duckdb

#: 2023-01-02, a Monday, in seconds since 1970 UTC.
START_S = 1_672_617_600

_WEEK_S = 7 * 86_400

_TOPICS = (
    "pagure.issue.new",
    "pagure.issue.comment.added",
    "discourse.post.post_created",
    "git.receive",
    "bodhi.update.comment",
    "copr.build.end",
)


def write(path: Path, events: int, users: int, weeks: int) -> None:
    """Parquet with msg_id, sent_at, topic, username, by event time; every user's creation is one of the events."""
    assert events >= users
    topics = ", ".join(f"'org.fedoraproject.prod.{topic}'" for topic in _TOPICS)
    end_s = weeks * _WEEK_S
    with duckdb.connect() as duck:
        duck.execute("SET threads = 1; SELECT setseed(0.42)")  # more threads draw in another order each time
        duck.execute(
            f"""CREATE TABLE person AS
            SELECT number, format('u{{:07d}}', number) AS username, (random() * {end_s - 2})::BIGINT AS created
            FROM range({users}) AS t(number)"""
        )
        # Active again after a month in the mean, and now and then at any time, so that no cell of the table is empty;
        # what would lie behind the end falls into the time before it.
        duck.execute(
            f"""CREATE TABLE happened AS
            SELECT created AS offset_s, username, 'org.fedoraproject.prod.fas.user.create' AS topic FROM person
            UNION ALL
            SELECT created + 1 + CASE WHEN drawn.stays THEN drawn.delay * ({end_s} - created)
                    ELSE -ln(1 - drawn.delay) * {30 * 86_400} END::BIGINT % ({end_s - 1} - created),
                username, [{topics}][1 + drawn.topic]
            FROM (
                SELECT ({users} * pow(random(), 1.5))::BIGINT % {users} AS number,
                    random() AS delay, random() < 0.1 AS stays,
                    (random() * 6)::BIGINT % 6 AS topic
                FROM range({events - users})
            ) AS drawn JOIN person USING (number)"""
        )
        duck.execute("SET threads = 2")
        duck.execute(
            f"""COPY (
                SELECT md5(concat_ws('|', offset_s, username, topic, place))::UUID::VARCHAR AS msg_id,
                    make_timestamp(({START_S} + offset_s) * 1000000) AS sent_at, topic, username
                FROM (SELECT *, row_number() OVER (PARTITION BY username, offset_s, topic) AS place FROM happened)
                ORDER BY sent_at, msg_id
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)"""
        )


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
