"""Old weeks into day summaries: who was active on which day stays, what exactly was done goes."""

from state.awards import MAYBE_AWARD
from state.bulk import fold_pending
from state.duck import connect, literal
from state.log import DAYS, EVENTS, FOLDED, NAMES, files, load_hot, parquet_sql
from state.segments import PARQUET, enter_file, forget_files, next_name, remove_files, sync
from state.store import Store, get_meta, set_meta
from state.weeks import DAY, week_of

#: One row a user, day, role, topic, project and namespace. The topic, and not only its service, stays, so
#: that a rebuild under other definitions (what creates an account) is still possible; of an award its badge stays.
_SUMMARY = f"""
    SELECT username, sent_at::DATE AS day, role, topic, service, project, namespace, unit,
        CASE WHEN {MAYBE_AWARD} THEN object END AS object,
        count(*)::BIGINT AS events, min(sent_at) AS first_at, max(sent_at) AS last_at,
        count(size)::BIGINT AS sized, sum(size)::BIGINT AS size_net,
        sum(size) FILTER (size > 0)::BIGINT AS size_added, sum(size) FILTER (size < 0)::BIGINT AS size_removed,
        bool_or(is_bot) AS is_bot
    FROM log GROUP BY ALL ORDER BY day, username"""


def expire(store: Store, ttl_days: int) -> int:
    """Replace every week that lies wholly more than `ttl_days` behind the watermark; how many there were.

    One writing step a week. An expired week is closed: later events for it are counted and dropped.
    """
    watermark = get_meta(store.conn, "watermark")
    if not ttl_days or watermark is None:
        return 0
    fold_pending(store)
    last = week_of(watermark - ttl_days * DAY) - 1
    weeks = store.conn.execute(
        "SELECT week FROM segment WHERE kind = ? AND week <= ? UNION SELECT week FROM event WHERE week <= ?",
        (EVENTS, last, last),
    ).fetchall()
    for (week,) in sorted(weeks):
        _expire_week(store, week)
    with store.writing() as conn:
        set_meta(conn, "expired_through", max(last, get_meta(conn, "expired_through", last)))
    return len(weeks)


def _expire_week(store: Store, week: int) -> None:
    target = store.directory / DAYS
    target.mkdir(exist_ok=True)
    with store.writing() as conn, connect(store.directory) as duck:
        old = files(conn, EVENTS, [week], folded=FOLDED)
        load_hot(duck, conn, "week = ?", (week,))
        parts = [f"SELECT {NAMES} FROM hot"]
        if old:
            parts.append(f"SELECT {NAMES} FROM {parquet_sql(store.directory, old)}")
        duck.execute(f"CREATE TABLE log AS {' UNION ALL '.join(parts)}")
        (messages,) = duck.execute("SELECT count(DISTINCT msg_id) FROM log").fetchall()[0]
        name = next_name(conn, DAYS, week)
        written = store.directory / "tmp" / f"days-{week}.parquet"
        duck.execute(
            f"COPY ({_SUMMARY}) TO {literal(str(written))} ({PARQUET}, KV_METADATA {{messages: '{messages}'}})"
        )
        sync(written)
        written.rename(store.directory / name)
        sync(target)
        enter_file(conn, duck, store.directory, name, week, FOLDED)
        forget_files(conn, old)
        conn.execute("DELETE FROM event WHERE week = ?", (week,))
        conn.execute("DELETE FROM message WHERE week = ?", (week,))
        set_meta(conn, "expired_through", max(week, get_meta(conn, "expired_through", week)))
    remove_files(store.directory, old)
