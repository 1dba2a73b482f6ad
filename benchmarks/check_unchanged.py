"""Shows that a redesign changed no digit: records what a checkout computes, and compares two records.

Recorded: every config as it resolves, the first losses of the quickstart's training with one process and
with two, all numbers of its test, and the hashes of converted weights. Each is made by the checkout's own
tools, so that one copy of this script serves checkouts of any age.

Example:
    python tools/dataset_converters/moving_shapes.py data/moving_shapes
    python benchmarks/check_unchanged.py record . after.json --checkpoint best_t2v_Rmean.pth
    python benchmarks/check_unchanged.py compare before.json after.json --renamed OldName=NewName
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TRAINING = 'configs/moving_shapes/stgt_tiny.py'
STEPS = 40
BATCH = 64
TIMES = ('time', 'data_time', 'cpu_time', 'seconds')
RESOLVE = """
import json, sys
from pathlib import Path
from stgt_mm.config import load_config

def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if callable(value):
        return value.__name__
    if isinstance(value, str) and value.startswith('stgt_mm.'):
        return value.rsplit('.', 1)[-1]
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)

paths = [path for path in sorted(Path('configs').rglob('*.py')) if '_base_' not in path.parts]
print(json.dumps({str(path): plain(load_config(str(path)).to_dict()) for path in paths}))
"""


def run(checkout: Path, *command: str, **options: Any) -> str:
    """Runs Python in a checkout and gives what it printed."""
    env = {**os.environ, 'PYTHONPATH': str(checkout), 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}
    done = subprocess.run(
        [sys.executable, *command], cwd=checkout, env=env, text=True, capture_output=True, **options
    )
    if done.returncode:
        raise SystemExit(f'{" ".join(command[:3])} failed in {checkout}:\n{done.stderr[-2000:]}')
    return done.stdout


def first_losses(checkout: Path, data: Path, processes: int) -> list[dict[str, float]]:
    """Trains until STEPS steps are written down, then kills the run."""
    with tempfile.TemporaryDirectory() as folder:
        link_data(checkout, data)
        share = f'train_dataloader.batch_size={BATCH // processes}'
        options = ['--work-dir', folder, '--cfg-options', share]
        if processes == 1:
            command = [sys.executable, 'tools/train.py', TRAINING, *options]
        else:
            command = ['bash', 'tools/dist_train.sh', TRAINING, str(processes), *options]
        env = {**os.environ, 'PYTHONPATH': str(checkout), 'OMP_NUM_THREADS': '1', 'PYTHON': sys.executable}
        log = Path(folder, 'output.txt')
        with log.open('w') as stream:
            child = subprocess.Popen(
                command, cwd=checkout, env=env, stdout=stream, stderr=stream, start_new_session=True
            )
            written = Path(folder, 'metrics.jsonl')
            while child.poll() is None:
                lines = written.read_text().splitlines() if written.is_file() else []
                if len(lines) >= STEPS:
                    os.killpg(child.pid, 9)
                    break
                time.sleep(0.5)
            child.wait()
        lines = written.read_text().splitlines() if written.is_file() else []
        if len(lines) < STEPS:
            raise SystemExit(f'the training ended after {len(lines)} steps:\n{log.read_text()[-2000:]}')
        return [without_times(json.loads(line)) for line in lines[:STEPS]]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """Leaves out what a clock measured."""
    return {key: value for key, value in record.items() if key not in TIMES}


def link_data(checkout: Path, data: Path) -> None:
    """Puts the rendered clips where the configs look for them."""
    place = checkout / 'data' / 'moving_shapes'
    if not place.exists():
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(data)


def test_numbers(checkout: Path, data: Path, checkpoint: Path) -> dict[str, float]:
    """All metrics of the quickstart's test."""
    link_data(checkout, data)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'results.json')
        run(checkout, 'tools/test.py', TRAINING, str(checkpoint), '--out', str(out), '--work-dir', folder)
        return json.loads(out.read_text())['metrics']


def converted_hashes(checkout: Path) -> dict[str, str]:
    """SHA-256 of the tensors that convert.py makes of small random weights in three layouts."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests'))
    import small_blip2
    import torch
    from lavis_layout import lavis_state
    from safetensors.torch import load_file

    hashes = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = small_blip2.hf_model(seed=9)
        model.save_pretrained(folder / 'hf')
        torch.save({'model': lavis_state(model, small_blip2.D, small_blip2.VOCAB)}, folder / 'lavis.pth')
        tokenizer = {'type': 'WordPieceTokenizer', 'vocab': 'nowhere/vocab.txt'}
        cfg = small_blip2.model_cfg(
            data_preprocessor={'type': 'VideoTextDataPreprocessor', 'tokenizer': tokenizer}
        )
        (folder / 'small.py').write_text(f'model = {cfg!r}\n')
        for source, path in (('hf_blip2', 'hf'), ('lavis_blip2', 'lavis.pth')):
            for part in ('all', 'backbone', 'no_backbone'):
                out = folder / f'{source}_{part}.safetensors'
                options = ('--config', str(folder / 'small.py'), '--part', part)
                run(
                    checkout,
                    'tools/model_converters/convert.py',
                    source,
                    str(folder / path),
                    str(out),
                    *options,
                )
                digest = hashlib.sha256()
                for key, value in sorted(load_file(out).items()):
                    digest.update(
                        f'{key} {tuple(value.shape)} {value.dtype}'.encode() + value.numpy().tobytes()
                    )
                hashes[f'{source}/{part}'] = digest.hexdigest()
    return hashes


def record(args: argparse.Namespace) -> None:
    """Writes what a checkout computes to a JSON file."""
    checkout, data = args.checkout.resolve(), args.data.resolve()
    found: dict[str, Any] = {'configs': json.loads(run(checkout, '-c', RESOLVE))}
    found['converted'] = converted_hashes(checkout)
    if args.checkpoint is not None:
        found['test'] = test_numbers(checkout, data, args.checkpoint.resolve())
    for processes in (1, 2):
        found[f'losses_{processes}'] = first_losses(checkout, data, processes)
    args.out.write_text(json.dumps(found, indent=1))
    print(f'written to {args.out}')


def differences(before: Any, after: Any, place: str, ignored: set[str], renamed: dict[str, str]) -> list[str]:
    """Names every place where two records differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in sorted((before.keys() | after.keys()) - ignored):
            inner = f'{place}.{key}' if place else key
            if key not in before or key not in after:
                found.append(f'{inner}: only {"before" if key in before else "after"}')
            else:
                found += differences(before[key], after[key], inner, ignored, renamed)
        return found
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after))
        return [row for i, (a, b) in pairs for row in differences(a, b, f'{place}[{i}]', ignored, renamed)]
    expected = renamed.get(before, before) if isinstance(before, str) else before
    return [] if expected == after else [f'{place}: {before} -> {after}']


def compare(args: argparse.Namespace) -> None:
    """Prints every difference; exits with 1 if there is one."""
    before, after = (json.loads(path.read_text()) for path in (args.before, args.after))
    renamed = dict(pair.split('=', 1) for pair in args.renamed)
    found = differences(before, after, '', set(args.ignore), renamed)
    print('\n'.join(found) if found else f'equal: {", ".join(sorted(before))}')
    sys.exit(bool(found))


def main() -> None:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    recording = commands.add_parser('record', help='record what a checkout computes')
    recording.add_argument('checkout', type=Path)
    recording.add_argument('out', type=Path)
    recording.add_argument(
        '--data', type=Path, default=Path('data/moving_shapes'), help='the rendered benchmark'
    )
    recording.add_argument('--checkpoint', type=Path, help='a checkpoint of the quickstart, to test')
    recording.set_defaults(do=record)
    comparing = commands.add_parser('compare', help='compare two records')
    comparing.add_argument('before', type=Path)
    comparing.add_argument('after', type=Path)
    comparing.add_argument(
        '--ignore', nargs='*', default=[], help='keys that were added or removed on purpose'
    )
    comparing.add_argument('--renamed', nargs='*', default=[], help='OLD=NEW names of types')
    comparing.set_defaults(do=compare)
    args = parser.parse_args()
    args.do(args)


if __name__ == '__main__':
    main()
