"""Averages results of tests, of the three splits of UCF101 or HMDB51 for example.

Each file is what tools/test.py --out wrote. All must have been tested alike, with no video left out, and
each is of another checkpoint or another annotation. Each counts alike, whatever its number of videos.

Example:
    python tools/analysis_tools/average_results.py split1.json split2.json split3.json
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stgt_mm.analysis.tables import markdown_table
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.preparation.annotations.reading import read_json, value_of

# what the tests of several splits, checkpoints or seeds may differ in
OF_A_TEST = ('annotation', 'checkpoint', 'config', 'videos', 'clips', 'questions', 'texts')


def check(paths: Sequence[str], results: Sequence[Mapping[str, Any]]) -> None:
    """Raises a ValueError for results that do not belong together, or a result that is there twice."""
    first, tested = results[0], {}
    for path, own in zip(paths, results):
        hashes = own.get('checkpoint_sha256'), own.get('annotation_sha256')
        if hashes in tested:
            raise ValueError(f"'{path}' and '{tested[hashes]}' test one checkpoint on one annotation.")
        tested[hashes] = path
        if own['protocol'].get('skipped_videos'):
            raise ValueError(f"'{path}' leaves out {own['protocol']['skipped_videos']} videos of its split.")
        for part, left_out in (('protocol', OF_A_TEST), ('versions', ())):
            there, here = first.get(part) or {}, own.get(part) or {}
            for key in {**there, **here}:
                if key not in left_out and there.get(key) != here.get(key):
                    raise ValueError(
                        f"{part} differs in {key}: {there.get(key)!r} in '{paths[0]}', {here.get(key)!r} in "
                        f"'{path}'. Test all alike."
                    )
        if shown(own) != shown(first):
            raise ValueError(f"'{paths[0]}' and '{path}' have other metrics: {shown(first)}, {shown(own)}.")


def shown(result: Mapping[str, Any]) -> list[str]:
    """Names the metrics that have a mean: no counts."""
    return [name for name in result['metrics'] if not name.endswith('/videos')]


def main(argv: Sequence[str] | None = None) -> None:
    """Prints every value, the mean, the standard deviation of a sample and the paper's row."""
    parser = described_parser(__doc__)
    parser.add_argument('results', nargs='+', help='JSON files of tools/test.py --out, at least two')
    paths = parser.parse_args(argv).results
    results = [read_json(path, dict, 'tools/test.py --out writes such a file.') for path in paths]
    for path, result in zip(paths, results):
        value_of(result, 'metrics', path, dict), value_of(result, 'protocol', path, dict)
    if len(paths) < 2:
        raise ValueError('an average is of two results at least.')
    check(paths, results)
    paper = results[0].get('paper') or {}
    rows = []
    for name in shown(results[0]):
        values = [float(result['metrics'][name]) for result in results]
        numbers = [*values, statistics.fmean(values), statistics.stdev(values)]
        group, _, key = name.partition('/')
        rows.append([name, *(f'{value:.2f}' for value in numbers), (paper.get(group) or {}).get(key)])
    header = ['', *(Path(path).stem for path in paths), 'mean', 'std', 'paper']
    print(markdown_table(header, rows))
    if paper:
        print(f'\npaper: row {paper["key"]} ({paper["table"]}, {paper["setting"]})')


if __name__ == '__main__':
    sys.exit(run_tool(main))
