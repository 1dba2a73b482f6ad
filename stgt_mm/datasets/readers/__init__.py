"""Video readers behind one interface, and a writer for clips."""

from stgt_mm.datasets.readers.writer import write_video

__all__ = ['write_video']
