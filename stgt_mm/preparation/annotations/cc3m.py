"""CC3M (Conceptual Captions): a list of captions and addresses of images.

Source: Sharma et al., "Conceptual Captions" (ACL 2018).
"""

import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stgt_mm.datasets.records import AnnotationError
from stgt_mm.preparation.annotations.conversion import layout_pattern
from stgt_mm.preparation.annotations.notes import Notes
from stgt_mm.preparation.annotations.reading import count_lines, read_lines
from stgt_mm.progress import track

SHARD_SIZE = 10_000
LAYOUTS = {'img2dataset': '{shard}/{key}.jpg', 'row': '{row}.jpg', 'lavis': '{row}_{crc32}.jpg'}


def layout_fields(row: int, url: str, shard_size: int) -> dict[str, Any]:
    """Names an image by its line (from 0) as img2dataset does, and by the checksum of its address.

    img2dataset writes five digits of the shard, then as many as the images of a shard need.
    """
    shard, index = divmod(row, shard_size)
    digits = math.ceil(math.log10(shard_size))
    key = f'{10**digits * shard + index:0{digits + 5}d}'
    return {'row': row, 'shard': f'{shard:05d}', 'key': key, 'crc32': zlib.crc32(url.encode('utf-8'))}


FIELDS = layout_fields(0, '', SHARD_SIZE)


def cc3m_records(
    path: str | Path, notes: Notes, layout: str = 'img2dataset', shard_size: int = SHARD_SIZE
) -> Iterator[dict[str, Any]]:
    """Yields records of ``Train_GCC-training.tsv`` and its like, lines of caption TAB address.

    A first line ``caption TAB url``, which img2dataset needs, is passed over and not counted.
    """
    if shard_size < 1:
        raise ValueError(f'--shard-size {shard_size}: at least 1.')
    pattern = layout_pattern(layout, LAYOUTS, FIELDS)
    header = 0
    for number, line in track(read_lines(path, notes), Path(path).name, count_lines(path)):
        values = [value.strip() for value in line.split('\t')]
        if number == 1 and [value.lower() for value in values] == ['caption', 'url']:
            header = 1
            continue
        if len(values) != 2 or not values[1]:
            raise AnnotationError(
                f"{path}:{number}: {line[:80]!r} is not 'caption TAB address'. Fetch the file again; do not "
                'remove the line: the names of images follow from line numbers.'
            )
        text, url = values
        if notes.accepts(text, f'{Path(path).name}:{number} {text!r}'):
            fields = layout_fields(number - 1 - header, url, shard_size)
            yield {'video': pattern.format(**fields), 'text': text}
