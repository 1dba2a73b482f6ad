"""CC3M (Conceptual Captions): a list of captions and addresses of images."""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.common import NO_WORD, Notes, bar, has_word
from stgt_mm.preparation.annotations.downloaded import Layout, count_lines
from stgt_mm.preparation.annotations.reading import existing, read_lines

SHARD = 10_000
LAYOUTS = {'img2dataset': '{shard}/{key}.jpg', 'row': '{row}.jpg', 'lavis': '{row}_{crc32}.jpg'}


def cc3m_records(
    path: str | Path, notes: Notes, layout: str = 'img2dataset', shard_size: int = SHARD
) -> Iterator[dict[str, Any]]:
    """Reads ``Train_GCC-training.tsv`` and its like, line by line.

    Source: Sharma et al., Conceptual Captions, ACL 2018 (the data set and its table).

    Args:
        path: Lines of caption TAB address; a first line ``caption TAB url``, which img2dataset needs, is
            passed over and not counted.
        notes: Where captions without a word are counted.
        layout: Where an image lies below its root: a key of :data:`LAYOUTS`, or a pattern of ``{row}`` (line,
            from 0), ``{shard}`` (five digits), ``{key}`` (img2dataset's name), ``{crc32}`` (of the address).
        shard_size: ``number_sample_per_shard`` of img2dataset.

    Yields:
        Records with ``video`` (the image) and ``text``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the layout has an unknown field, or the shard size is not positive.
        AnnotationError: If a line is not two values.
    """
    if shard_size < 1:
        raise ValueError(f'--shard-size {shard_size}: at least 1.')
    where = Layout(layout, _fields(0, '', shard_size), LAYOUTS)
    path = existing(path)
    header = 0
    for number, line in bar(read_lines(path, notes), path.name, count_lines(path)):
        values = line.split('\t')
        if number == 1 and [value.strip().lower() for value in values] == ['caption', 'url']:
            header = 1
            continue
        if len(values) != 2 or not values[1].strip():
            raise AnnotationError(
                f"{path}:{number}: {line[:80]!r} is not 'caption TAB address'. Fetch the file again; do not "
                'remove the line: the names of images follow from line numbers.'
            )
        text, url = (value.strip() for value in values)
        if has_word(text):
            yield {'video': where.path(**_fields(number - 1 - header, url, shard_size)), 'text': text}
        else:
            notes.add(NO_WORD, f'{path.name}:{number} {text!r}')


def _fields(row: int, url: str, shard_size: int) -> dict[str, Any]:
    """Names as img2dataset makes them: five digits of the shard, then as many as a shard needs."""
    shard, index = divmod(row, shard_size)
    digits = math.ceil(math.log10(shard_size))
    return {
        'row': row,
        'shard': f'{shard:05d}',
        'key': f'{10**digits * shard + index:0{digits + 5}d}',
        'crc32': zlib.crc32(url.encode('utf-8')),
    }
