"""Whether a machine was busy while a job ran: its wall time over its processor time."""

from __future__ import annotations

from bench.work.record import Record

# A thread that waits for no one takes as long as it computes. At 1.3 it waited a quarter of its time while
# others ran, and these took its caches and its clock rate too, for which processor time does not make up.
BUSY = 1.3
MARK = "busy machine"


def wall_over_processor(record: Record) -> float | None:
    """Wall time over processor time of a job: of what a probe timed, else of the whole; None if unknown.

    Unknown, too, for what a GPU computed, held alone or shared: its processor waits for that.
    """
    wall, processor = record.seconds, record.cpu_seconds
    if "timed_processor_seconds" in record.facts:
        wall, processor = record.facts["timed_wall_seconds"], record.facts["timed_processor_seconds"]
    if record.gpu or record.device not in ("", "cpu") or not processor:
        return None
    return float(wall / processor)


def was_busy(record: Record) -> bool:
    """Whether a job is known to have run on a busy machine."""
    ratio = wall_over_processor(record)
    return ratio is not None and ratio > BUSY
