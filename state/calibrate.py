"""A calibration of the detectors out of the state's own history."""

from dataclasses import replace

from state.calibrations import read_calibrations, write_calibration
from state.duck import connect
from state.errors import HomecomingError
from state.flags import STANDING
from state.log import define_log
from state.screening import define_posts, load_all
from state.spam.calibration import Calibration
from state.spam.fit import HISTORY_WEEKS, fit
from state.spam.posts import Post
from state.store import Store, get_meta
from state.watch import changed
from state.weeks import WEEK


def calibrate(store: Store, budget: float) -> tuple[Calibration, Calibration]:
    """Fit a version to the last eight weeks, for a budget of false flags a week, and keep it; the one before, and it.

    It holds from the watermark on; the first one for the past too, once that is rebuilt. Raises HomecomingError
    where the history is too short: then nothing changes.
    """
    with store.writing() as conn, connect(store.directory) as duck:
        watermark = get_meta(conn, "watermark")
        if watermark is None:
            raise HomecomingError("calibrate: the state is empty: feed it with `homecoming backfill FILE` first")
        start, end = watermark - HISTORY_WEEKS * WEEK, watermark + 1
        previous = read_calibrations(store.directory).versions[-1]
        define_log(duck, conn, store.directory)
        define_posts(store, duck, start)
        rows = duck.execute("SELECT username, sent, msg_id, kind FROM early WHERE kind IS NOT NULL").fetchall()
        users = load_all(conn, sorted({name for name, *_ in rows}))
        registered = conn.execute(
            "SELECT registered_at FROM user WHERE registered_at >= ? ORDER BY registered_at", (start,)
        ).fetchall()
        spam = {name for (name,) in conn.execute(f"SELECT user FROM flag WHERE {STANDING} AND user NOT NULL")}
        made = fit(
            ((name, Post(*post)) for name, *post in rows),
            users,
            [at for (at,) in registered],
            start,
            end,
            previous,
            budget,
            spam,
        )
        is_first = previous.version == Calibration().version
        made = replace(made, since=0 if is_first else made.since, made_at=watermark)
        write_calibration(store.directory, made)
        changed(conn)
    return previous, made
