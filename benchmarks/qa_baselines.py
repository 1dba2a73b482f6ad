"""Accuracy of a question answerer by type of question, beside two answers that need no video.

One is the most frequent training answer of the type; the other is the model itself, which is shown the clip
of another question. What is above both was seen.

Example:
    python benchmarks/qa_baselines.py configs/moving_shapes/qa_classify.py work_dirs/qa_classify/epoch_8.pth
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from stgt_mm.config import load_config
from stgt_mm.evaluation.tables import aligned
from stgt_mm.functional.answers import question_type

ROOT = Path(__file__).resolve().parents[1]
Rows = list[dict[str, Any]]


def read_lines(path: str | Path) -> Rows:
    """Reads a JSONL file of questions."""
    return [json.loads(line) for line in Path(path).read_text(encoding='utf-8').splitlines()]


def shuffled_videos(questions: Rows, seed: int = 0) -> Rows:
    """Gives every question the clip of another one, so that the clips stay the same in number."""
    order = list(range(len(questions)))
    random.Random(seed).shuffle(order)
    other = dict(zip(order, order[1:] + order[:1]))  # one cycle: none keeps its own
    clips = [{key: line[key] for key in ('video', 'video_id')} for line in questions]
    return [{**line, **clips[other[index]]} for index, line in enumerate(questions)]


def kind_of(line: dict[str, Any]) -> str:
    """The type of a question, as ``VideoQAMetric`` has it."""
    return line.get('question_type') or question_type(line['question'])


def most_frequent(train: Rows) -> dict[str, str]:
    """The most frequent training answer of each type."""
    counts: dict[str, Counter] = {}
    for line in train:
        counts.setdefault(kind_of(line), Counter())[line['answer']] += 1
    return {kind: found.most_common(1)[0][0] for kind, found in counts.items()}


def table(
    test: Rows, own: dict[str, float], shuffled: dict[str, float], guesses: dict[str, str]
) -> list[str]:
    """Lays out accuracies by type; the margin is over the better one of the two baselines."""
    rows = [['type', 'most frequent', 'questions', 'model', 'by frequency', 'videos shuffled', 'margin']]
    for kind, guess in sorted(guesses.items()):
        answers = [line['answer'] for line in test if kind_of(line) == kind]
        if not answers:
            continue
        blind = 100.0 * answers.count(guess) / len(answers)
        values = [own[f'qa/{kind}'], blind, shuffled[f'qa/{kind}']]
        cells = [f'{value:.1f}' for value in (*values, values[0] - max(values[1:]))]
        rows.append([kind, guess, str(len(answers)), *cells])
    return aligned(rows)


def main() -> None:
    """Tests the model twice and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    args = parser.parse_args()
    cfg = load_config(args.config)
    test = read_lines(cfg.test_dataloader.dataset.ann_file)
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder, 'shuffled.jsonl')
        other.write_text(''.join(f'{json.dumps(line)}\n' for line in shuffled_videos(test)), encoding='utf-8')
        found = []
        for ann_file in (cfg.test_dataloader.dataset.ann_file, other):
            out = Path(folder, 'results.json')
            command = [
                ROOT / 'tools/test.py',
                args.config,
                args.checkpoint,
                '--out',
                out,
                '--work-dir',
                folder,
            ]
            command += ['--cfg-options', f'test_dataloader.dataset.ann_file={ann_file}']
            subprocess.run([sys.executable, *map(str, command)], check=True, stdout=subprocess.DEVNULL)
            found.append(json.loads(out.read_text(encoding='utf-8'))['metrics'])
    guesses = most_frequent(read_lines(cfg.train_dataloader.dataset.ann_file))
    print('\n'.join(table(test, *found, guesses)))


if __name__ == '__main__':
    main()
