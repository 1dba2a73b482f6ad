"""Files into tar shards with a table of offsets, and shards checked against it."""

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stgt_mm.datasets.annotation_table import open_table
from stgt_mm.datasets.readers.errors import VideoReadError
from stgt_mm.datasets.readers.shards import INDEX, ClipShards, ShardsError, open_shards, read_member
from stgt_mm.io.whole_file import remove_partial_files, whole_file
from stgt_mm.jobs.engine import Engine, map_records
from stgt_mm.jobs.journal import Finding, Journal
from stgt_mm.jobs.timed_pool import Outcome
from stgt_mm.preparation.verification.verify import count_lines, stamp_files

PARTS = 'parts'
_MEMBERS = pa.schema(
    [('name', pa.large_string()), ('offset', pa.int64()), ('size', pa.int64()), ('crc32', pa.uint32())]
)
_SHOWN = 20


@dataclass(frozen=True)
class Shard:
    """What one tar file is to hold."""

    name: str
    videos: tuple[str, ...]

    def __str__(self) -> str:
        return self.name

    def stamp(self, files: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
        """Size in bytes of its files, and 60 bits of names, sizes and times: what it was made from."""
        facts = [(video, *files.get(video, ())) for video in self.videos]
        digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:15]
        return sum(files[video][0] for video in self.videos if video in files), int(digest, 16)


@dataclass(frozen=True)
class Sharding:
    """What :func:`make_shards` has made; ``left_out`` has the files that are not in it, and why."""

    shards: int
    written: int
    members: int
    left_out: dict[str, str]


def make_shards(
    ann_file: str | Path,
    video_root: str | Path,
    out: str | Path,
    engine: Engine,
    clips: int = 1000,
    restart: bool = False,
) -> Sharding:
    """Puts the videos of an annotation file into tar files of ``clips`` members each, in order of mention.

    A tar file and its part of the index appear when they are whole; the journal has which are. The index is
    taken away before the first of them is written again, and comes when all are there.
    """
    if clips < 1:
        raise ValueError(f'--clips {clips}: at least 1.')
    root, out = Path(video_root).absolute(), Path(out).absolute()
    lines = list(count_lines(ann_file))
    outside = next((video for video in lines if os.path.isabs(video) or '..' in video.split('/')), None)
    if outside is not None:
        raise ValueError(
            f"'{ann_file}' names {outside!r}, which leads out of '{root}'. Write paths below it."
        )
    files = stamp_files(lines, root)
    parts = [lines[start : start + clips] for start in range(0, len(lines), clips)]
    plan = [Shard(f'clips-{number:06d}.tar', tuple(part)) for number, part in enumerate(parts)]
    pool = engine.pool(partial(write_shard, root=root, out=out))
    stamps = {shard: shard.stamp(files) for shard in plan}
    failed: dict[str, str] = {}

    def note(shard: Shard, stamp: tuple[int, int], outcome: Outcome) -> Finding | None:
        if outcome.kind == 'done':
            return Finding(shard.name, *stamp, 'read')
        failed[shard.name] = outcome.value
        return None

    with Journal(out / 'journal.sqlite', {'video_root': str(root), 'clips': clips}, restart) as journal:
        for folder in (out, out / PARTS):
            remove_partial_files(folder)
        for shard in plan:
            if not _is_whole(out, shard):
                journal.known.pop(shard.name, None)
        if any(not journal.is_current(shard.name, stamps[shard], engine.time_limit) for shard in plan):
            (out / INDEX).unlink(missing_ok=True)
        written = map_records(pool, stamps, journal, note, 'shards')
        if failed:
            raise ShardsError(_listed(f'{len(failed)} of {len(plan)} shards could not be written', failed))
        return Sharding(len(plan), written, *_write_index(out, plan))


def write_shard(shard: Shard, root: Path, out: Path) -> int:
    """Writes a tar file and its part of the index, the same bytes of the same files; returns its members."""
    rows, left_out = [], {}
    with whole_file(out / shard.name) as path:
        with tarfile.open(path, 'w', format=tarfile.PAX_FORMAT) as tar:
            for video in shard.videos:
                try:
                    content = (root / video).read_bytes()
                except OSError as error:
                    left_out[video] = error.strerror or str(error)
                    continue
                if not content:
                    left_out[video] = 'the file is empty'
                    continue
                member = tarfile.TarInfo(video)
                member.size = len(content)
                tar.addfile(member, BytesIO(content))
                padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                rows.append((video, tar.offset - padded, len(content), zlib.crc32(content)))
        facts = {'bytes': str(path.stat().st_size), 'left_out': json.dumps(left_out)}
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows), _MEMBERS.types)] if rows else None
    table = pa.table(arrays, _MEMBERS) if arrays else _MEMBERS.empty_table()
    _write_table(table.replace_schema_metadata(facts), _part(out, shard))
    return len(rows)


def _part(out: Path, shard: Shard) -> Path:
    return out / PARTS / f'{Path(shard.name).stem}.arrow'


def _is_whole(out: Path, shard: Shard) -> bool:
    part, path = open_table(_part(out, shard)), out / shard.name
    return part is not None and path.is_file() and path.stat().st_size == int(part.schema.metadata[b'bytes'])


def _write_table(table: pa.Table, path: Path) -> None:
    with whole_file(path) as partial_path, pa.ipc.new_file(str(partial_path), table.schema) as writer:
        writer.write_table(table.combine_chunks())


def _write_index(out: Path, plan: Iterable[Shard]) -> tuple[int, dict[str, str]]:
    """Joins the parts; returns the number of members, and what was left out."""
    tables, shards, left_out = [], [], {}
    for number, shard in enumerate(plan):
        part = open_table(_part(out, shard))
        facts = part.schema.metadata
        left_out |= json.loads(facts[b'left_out'])
        shards.append((shard.name, int(facts[b'bytes'])))
        numbers = pa.array([number] * len(part), pa.int32())
        tables.append(part.replace_schema_metadata().append_column('shard', numbers))
    table = pa.concat_tables(tables)
    if not len(table):
        raise ShardsError(_listed('no file could be read', left_out))
    table = table.take(pc.sort_indices(table['name'])).replace_schema_metadata({'shards': json.dumps(shards)})
    if not (out / INDEX).is_file() or not open_table(out / INDEX).equals(table, check_metadata=True):
        _write_table(table, out / INDEX)
    return len(table), left_out


def check_shards(root: str, engine: Engine) -> int:
    """Reads all members against their checksums, returns how many; ``ShardsError`` names damaged ones."""
    shards = open_shards(root)
    pool = engine.pool(partial(damaged_members, root=root))
    damaged: dict[str, str] = {}
    for number, outcome in pool.run(range(len(shards.shards))):
        damaged |= outcome.value if outcome.kind == 'done' else {shards.shards[number][0]: outcome.value}
    if damaged:
        raise ShardsError(_listed(f'{len(damaged)} of {len(shards)} members are damaged', damaged))
    return len(shards)


def damaged_members(number: int, root: str) -> dict[str, str]:
    """Reads the members of a shard; returns the addresses of those that are damaged, and why."""
    shards: ClipShards = open_shards(root)
    damaged = {}
    for name in shards.table.filter(pc.equal(shards.table['shard'], number))['name'].to_pylist():
        try:
            read_member(shards.address(name))
        except VideoReadError as error:
            damaged[error.path] = error.why
    return damaged


def _listed(what: str, reasons: Mapping[str, Any]) -> str:
    lines = [f'  {name}: {why}' for name, why in sorted(reasons.items())]
    more = [f'  ... {len(lines) - _SHOWN} more'] if len(lines) > _SHOWN else []
    return '\n'.join([f'{what}:', *lines[:_SHOWN], *more])
