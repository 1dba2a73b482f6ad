"""Scores detected actions as ActivityNet does: mAP at IoU 0.5 to 0.95 in steps of 0.05, and their mean.

Both files are ActivityNet's: {"database": {ID: {"subset", "annotations": [{"label", "segment"}]}}}, and
{"results": {ID: [{"label", "score", "segment"}]}}. Detections in videos of other subsets are left out.

Example:
    python tools/analysis_tools/localisation_map.py activity_net.v1-3.min.json detections.json
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.functional.localisation import Segment, localisation_map
from stgt_mm.preparation.annotations.reading import read_json, value_of


def segments(video: str, entries: Sequence[Any], place: str, *scored: str) -> Iterator[Segment]:
    """Yields the segments of a video; ``scored`` are further keys, numbers, in the order of the tuple."""
    for number, entry in enumerate(entries):
        where = f'{place}, {video}, entry {number}'
        span = value_of(entry, 'segment', where, list)
        if len(span) != 2 or not all(isinstance(second, (int, float)) for second in span):
            raise ValueError(f"{where}: 'segment' is {span}; [start, end] in seconds was expected.")
        further = (float(value_of(entry, key, where, int, float)) for key in scored)
        yield Segment(video, value_of(entry, 'label', where), *map(float, span), *further)


def main(argv: Sequence[str] | None = None) -> None:
    """Reads both files and prints the numbers."""
    parser = described_parser(__doc__)
    parser.add_argument('truth', help='JSON file with "database"')
    parser.add_argument('detections', help='JSON file with "results"')
    parser.add_argument('--subset', default='validation', help='of the truth; default %(default)s')
    args = parser.parse_args(argv)
    database: Mapping[str, Any] = value_of(read_json(args.truth, dict), 'database', args.truth, dict)
    results: Mapping[str, Any] = value_of(read_json(args.detections, dict), 'results', args.detections, dict)
    chosen = {video: own for video, own in database.items() if own.get('subset') == args.subset}
    if not chosen:
        there = sorted({str(own.get('subset')) for own in database.values()})
        raise ValueError(f"no video of '{args.truth}' is of the subset '{args.subset}'; there is: {there}.")
    truths = [
        one
        for video, own in chosen.items()
        for one in segments(video, value_of(own, 'annotations', f'{args.truth}, {video}', list), args.truth)
    ]
    # results name videos with or without the 'v_' of their files
    names = {video.removeprefix('v_'): video for video in chosen}
    found = [
        one
        for video, entries in results.items()
        if (name := names.get(video.removeprefix('v_'))) is not None
        for one in segments(name, entries, args.detections, 'score')
    ]
    print(f'{len(truths)} segments of {len(chosen)} videos, {len(found)} detections')
    for name, value in localisation_map(truths, found).items():
        print(f'{name:<9} {value:6.2f}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
