"""Work on millions of records: processes that nothing hangs, a Ray cluster, a journal of what is done."""

from stgt_mm.jobs.engine import Engine

__all__ = ['Engine']
