"""Renders Moving Shapes, trains a tiny STGT on it in both stages, tests it and says what to do next.

Example:
    python tools/quickstart.py --work-dir work_dirs/quickstart
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from stgt_mm.config import load_config
from stgt_mm.io.hashing import config_sha256, file_sha256
from stgt_mm.visualization.curves import plot_run

BATCH = 64
CONFIG = 'configs/moving_shapes/stgt_tiny.py'
DATA = Path('data/moving_shapes')
# Minutes on two CPU cores, measured; only the announced time left depends on them.
STEPS = {'render': 1.2, 'train': 11.0, 'test': 1.0}


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart'))
    parser.add_argument('--fresh', action='store_true', help='train and test anew; the rendered clips stay')
    return parser.parse_args()


def minutes_left(work_dir: Path) -> dict[str, float]:
    """Estimates each step, less what an earlier run has left behind.

    Args:
        work_dir: Folder of the run.

    Returns:
        Minutes by step on two CPU cores.
    """
    left = dict(STEPS)
    if (DATA / 'contact_sheet.png').is_file():
        left['render'] = 0.1
    if is_trained(work_dir):
        left['train'] = 0.0
    elif is_current(work_dir) and (work_dir / 'last_checkpoint').is_file():
        epochs = re.findall(r'epoch_(\d+)', (work_dir / 'last_checkpoint').read_text())
        left['train'] *= 1 - int(epochs[0]) / load_config(CONFIG).train_cfg.max_epochs if epochs else 1
    return left


def announce(step: str, what: str, left: dict[str, float]) -> None:
    """Prints which step begins and how long all that is left will take.

    Args:
        step: Key of ``STEPS``.
        what: The step in words.
        left: Minutes by step.
    """
    names = list(STEPS)
    place = names.index(step)
    minutes = sum(left[name] for name in names[place:])
    print(f'\n[{place + 1}/{len(names)}] {what} (about {minutes:.0f} min left in all on 2 cores)', flush=True)


def run(*command: str) -> None:
    """Runs a tool of the repository and stops where it stops.

    Args:
        *command: A Python or shell script, and its arguments.

    Raises:
        SystemExit: With the tool's exit code if it fails.
    """
    interpreter = 'bash' if command[0].endswith('.sh') else sys.executable
    done = subprocess.run([interpreter, *command], env={**os.environ, 'PYTHON': sys.executable})
    if done.returncode:
        print(f'\nStopped in: {Path(interpreter).name} {" ".join(command)}', file=sys.stderr)
        print('Run this script again to go on from here; --fresh trains anew.', file=sys.stderr)
        raise SystemExit(done.returncode)


def fingerprint() -> str:
    """Names what a training depends on.

    Returns:
        JSON with the hash of the resolved config and that of the description of the rendered clips.
    """
    clips = DATA / 'moving_shapes.json'
    hashes = {'config': config_sha256(load_config(CONFIG)), 'clips': clips.is_file() and file_sha256(clips)}
    return json.dumps(hashes)


def is_current(work_dir: Path) -> bool:
    """Says whether the training of a work dir began with this config and these clips.

    Args:
        work_dir: Folder of the run.

    Returns:
        False too where no training began.
    """
    begun = work_dir / 'begun.json'
    return begun.is_file() and begun.read_text() == fingerprint()


def is_trained(work_dir: Path) -> bool:
    """Says whether the training of a work dir came to its end, with this config and these clips.

    Args:
        work_dir: Folder of the run.

    Returns:
        True after the last step.
    """
    marker = work_dir / 'trained.json'
    done = marker.is_file() and Path(json.loads(marker.read_text())['checkpoint']).is_file()
    return done and is_current(work_dir)


def forget(work_dir: Path) -> None:
    """Removes what lets a training be reused or go on.

    Args:
        work_dir: Folder of the run.
    """
    for name in ('begun.json', 'trained.json', 'last_checkpoint', 'results.json'):
        (work_dir / name).unlink(missing_ok=True)


def train(work_dir: Path) -> Path:
    """Trains, or goes on, or finds that it is done.

    Args:
        work_dir: Folder of the run.

    Returns:
        The checkpoint to test: the best on the validation split.
    """
    best = work_dir / 'best_t2v_Rmean.pth'
    if is_trained(work_dir):
        print(f'reused: {best}')
        return best
    if not is_current(work_dir):
        if (work_dir / 'last_checkpoint').is_file():
            print(f'the training in {work_dir} had another config or other clips: training anew', flush=True)
        forget(work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        (work_dir / 'begun.json').write_text(fingerprint())
    resume = ['--resume'] if (work_dir / 'last_checkpoint').is_file() else []
    processes = min(2, os.cpu_count() or 1)
    share = f'train_dataloader.batch_size={BATCH // processes}'
    options = ['--work-dir', str(work_dir), *resume, '--cfg-options', share]
    if processes == 1:
        run('tools/train.py', CONFIG, *options)
    else:
        # Two processes with half a batch each: for tensors this small twice as fast as one with two threads.
        run('tools/dist_train.sh', CONFIG, str(processes), *options)
    (work_dir / 'trained.json').write_text(json.dumps({'checkpoint': str(best)}))
    return best


def main() -> None:
    """Goes through the steps and prints where everything is."""
    args = parse_args()
    start = time.monotonic()
    if args.fresh:
        forget(args.work_dir)
    left = minutes_left(args.work_dir)
    announce('render', 'render the Moving Shapes benchmark', left)
    run('tools/dataset_converters/moving_shapes.py', str(DATA))
    announce('train', 'pre-train: stage 1 VTC+VTM+VTG, stage 2 CSAL+VTM+VTG', left)
    checkpoint = train(args.work_dir)
    announce('test', 'test retrieval in both directions, with re-ranking', left)
    results = args.work_dir / 'results.json'
    run('tools/test.py', CONFIG, str(checkpoint), '--out', str(results), '--work-dir', str(args.work_dir))
    plots = plot_run(args.work_dir / 'metrics.jsonl', args.work_dir)
    print(f'\nDone in {(time.monotonic() - start) / 60:.1f} min.')
    print(f'what was shown: {DATA / "contact_sheet.png"}')
    print('curves:         ' + '  '.join(str(plot) for plot in plots))
    print(f'results:        {results}')
    print('\nNext:')
    print(f'  python tools/train.py {CONFIG} --work-dir work_dirs/mean_pool \\')
    print('      --cfg-options model.neck.type=MeanPoolNeck        # the same without a graph')
    print('  python tools/dataset_converters/custom.py --help      # your own videos')
    print('  docs/                                                 # methods, data, decisions')


if __name__ == '__main__':
    try:
        main()
    except KeyboardInterrupt:
        print('\nStopped. Run this script again to go on from here.', file=sys.stderr)
        sys.exit(130)
