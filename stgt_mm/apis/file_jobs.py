"""The encoding of a video file as a job that any process can do: of this machine, or of a Ray cluster."""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil
from typing import Any, ClassVar

import torch
from mmengine.config import Config
from torch import nn

from stgt_mm.apis.aligners import load_aligner
from stgt_mm.apis.base import Pipeline, clip_pipeline, load_model
from stgt_mm.apis.moments import MomentStream, encode_batch, encode_files
from stgt_mm.errors import UserError
from stgt_mm.jobs import Engine
from stgt_mm.search import Moment
from stgt_mm.search.windows import Windows

_AT_ONCE = 16  # files of a Ray task: a model is loaded for each task, and a lost one is done again


@dataclass(frozen=True)
class FileJob(ABC):
    """Names all that the encoding of a file needs, and keeps nothing.

    Called with a path it returns a row for each of the file's clips, or why the file cannot be read. The
    model is loaded once a process, which computes with one thread.
    """

    config: str  # its pretty_text
    checkpoint: str | None
    windows: Windows | None
    batch_size: int
    amp: torch.dtype | None
    device: str = 'cpu'
    folder: str = field(default_factory=os.getcwd)  # what paths in the config are relative to
    load: ClassVar[Callable[..., tuple[nn.Module, Config]]] = staticmethod(load_model)

    @abstractmethod
    def encode(self, model: nn.Module, batch: dict[str, Any], amp: torch.dtype | None) -> Iterable[Any]:
        """Makes a row of each clip of a batch, without tensors: these end with the process that made them."""

    def __call__(self, path: str) -> list[Any] | str:
        """Encodes a file."""
        model, pipeline = _loaded(self)
        stream = MomentStream(pipeline, [path], self.windows)
        return dict(encode_files(model, stream, self.batch_size, 0, self.amp, self.encode))[0]


@lru_cache(maxsize=1)
def _loaded(job: FileJob) -> tuple[nn.Module, Pipeline]:
    torch.set_num_threads(1)  # processes are what runs side by side, and a fork must not wait for threads
    os.chdir(job.folder)
    cfg = Config.fromstring(job.config, '.py')
    return job.load(cfg, job.checkpoint, job.device)[0], clip_pipeline(cfg)


def run_files(engine: Engine, job: FileJob, paths: Sequence[str]) -> Iterator[tuple[int, list[Any] | str]]:
    """Yields the number of each file when it is done, and its rows or what is wrong, as ``encode_files``.

    A file that takes too long, or ends its process, is one that cannot be read; any other failure stops all.
    """
    job = replace(job, device='cuda' if engine.gpus else 'cpu')
    numbers = {path: number for number, path in enumerate(paths)}
    at_once = min(_AT_ONCE, ceil(len(paths) / max(1, engine.jobs)))
    with closing(engine.pool(job, at_once).run(paths)) as outcomes, warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='lancedb fork')  # as in encode_files
        for path, outcome in outcomes:
            if outcome.kind == 'failed':
                raise UserError(f'{path}: {outcome.value}')
            yield numbers[path], outcome.value


@dataclass(frozen=True)
class MomentJob(FileJob):
    """Makes moments of a file, as span, query embeddings and, if they are kept, video tokens."""

    keep_tokens: bool = True
    load = staticmethod(load_aligner)

    def encode(self, model: nn.Module, batch: dict[str, Any], amp: torch.dtype | None) -> Iterator[Any]:
        """Makes of each clip what :func:`encode_moments` makes a moment of."""
        for own in encode_batch(model, batch, amp):
            tokens = own.tokens.numpy() if self.keep_tokens and own.tokens is not None else None
            yield own.start, own.end, own.queries.numpy(), tokens


def encode_moments(
    engine: Engine, job: MomentJob, paths: Sequence[str]
) -> Iterator[tuple[int, list[Moment] | str]]:
    """Encodes files by an engine; yields the number of each, with its moments or what is wrong with it."""
    for number, found in run_files(engine, job, paths):
        if isinstance(found, str):
            yield number, found
        else:
            yield number, [_moment(paths[number], *row) for row in found]


def _moment(path: str, start: float, end: float | None, queries: Any, tokens: Any) -> Moment:
    # copied, for what Ray hands over cannot be written to
    return Moment(path, start, end, torch.tensor(queries), None if tokens is None else torch.tensor(tokens))
