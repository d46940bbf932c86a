"""Where a conversation stands in its workflows, worked out from their moves."""

from __future__ import annotations


def standing_of(moves: str) -> str:
    """SQL for where a conversation stands, and by what it came.

    Events are taken in order of time; the last run of a workflow begins with its last start.

    Args:
        moves: SQL for an array of (nanoseconds, 1 started or 2 failed or 3 completed, workflow,
            step).

    Returns:
        SQL for a pair: workflow and last step of the workflow that moved last among those left
        open or failed, both empty without; and all workflows, with an empty step, and all of
        their steps.

    Example:
        >>> standing_of("moves").endswith("[moves])[1]")
        True
    """
    open_or_failed = """multiIf(
        countEqual(kinds, 1) > countEqual(kinds, 2) + countEqual(kinds, 3), 'open',
        kinds[-1] = 2, 'failed', ''
    )"""
    last_run = "arraySlice(own, greatest(arrayLastIndex(x -> x = 1, kinds), 1))"
    last_step = f"arrayLast(x -> x.4 != '', {last_run}).4"
    latest = f"""arraySort(arrayFilter(x -> x.4 != '', arrayMap(
        (own, workflow, kinds) -> (own[-1].1, workflow, {last_step}, {open_or_failed}),
        moves_of, workflows, arrayMap(own -> arrayMap(x -> x.2, own), moves_of)
    )))[-1]"""
    passed = """arrayDistinct(arrayConcat(
        arrayMap(w -> (w, ''), workflows), arrayMap(x -> (x.3, x.4), moves)
    ))"""
    stood = _where("latest", latest, "(latest.2, latest.3)")
    own = "arrayMap(w -> arraySort(arrayFilter(x -> x.3 = w, moves)), workflows)"
    both = _where("moves_of", own, f"({stood}, {passed})")
    return _where(
        "moves", moves, _where("workflows", "arrayDistinct(arrayMap(x -> x.3, moves))", both)
    )


def _where(name: str, value: str, sql: str) -> str:
    """SQL in which a name stands for a value, which is worked out once."""
    return f"arrayMap({name} -> {sql}, [{value}])[1]"
