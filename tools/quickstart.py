"""Renders Moving Shapes, trains a tiny STGT on it in both stages, tests it and says what to do next.

Example:
    python tools/quickstart.py --work-dir work_dirs/quickstart
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.config import load_config
from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.io.hashing import config_sha256, file_sha256
from stgt_mm.io.marker import marker_fits, write_marker
from stgt_mm.visualization.curves import plot_run

BATCH = 64
CONFIG = 'configs/moving_shapes/stgt_tiny.py'
DATA = Path('data/moving_shapes')
BEST = 'best_t2v_Rmean.pth'  # on the validation split
# Minutes on two CPU cores, measured; only the announced time left depends on them.
STEPS = {'render': 1.2, 'train': 11.0, 'test': 1.0}


def minutes_left(work_dir: Path) -> dict[str, float]:
    """Estimates the minutes of each step on two CPU cores, less what an earlier run has left behind."""
    left = dict(STEPS)
    if (DATA / 'contact_sheet.png').is_file():
        left['render'] = 0.1
    if is_trained(work_dir):
        left['train'] = 0.0
    elif marker_fits(work_dir / 'begun.json', made_from()) and (work_dir / 'last_checkpoint').is_file():
        epochs = re.findall(r'epoch_(\d+)', (work_dir / 'last_checkpoint').read_text())
        left['train'] *= 1 - int(epochs[0]) / load_config(CONFIG).train_cfg.max_epochs if epochs else 1
    return left


def announce(step: str, what: str, left: dict[str, float]) -> None:
    """Prints which step begins and how long all that is left will take."""
    names = list(STEPS)
    place = names.index(step)
    minutes = sum(left[name] for name in names[place:])
    print(f'\n[{place + 1}/{len(names)}] {what} (about {minutes:.0f} min left in all on 2 cores)', flush=True)


def run(*command: str) -> None:
    """Runs a script of the repository; where it fails, all stops with its exit status."""
    interpreter = 'bash' if command[0].endswith('.sh') else sys.executable
    done = subprocess.run([interpreter, *command], env={**os.environ, 'PYTHON': sys.executable})
    if done.returncode:
        print(f'\nStopped in: {Path(interpreter).name} {" ".join(command)}', file=sys.stderr)
        print('Run this script again to go on from here; --fresh trains from the start.', file=sys.stderr)
        raise SystemExit(done.returncode)


def made_from() -> dict[str, Any]:
    """Names what a training depends on: the resolved config and the description of the rendered clips."""
    clips = DATA / 'moving_shapes.json'
    return {'config': config_sha256(load_config(CONFIG)), 'clips': clips.is_file() and file_sha256(clips)}


def is_trained(work_dir: Path) -> bool:
    """Says whether a training with this config and these clips came to its end and left its checkpoint."""
    return marker_fits(work_dir / 'trained.json', made_from()) and (work_dir / BEST).is_file()


def forget(work_dir: Path) -> None:
    """Removes what lets a training be reused or go on."""
    for name in ('begun.json', 'trained.json', 'last_checkpoint', 'results.json'):
        (work_dir / name).unlink(missing_ok=True)


def train(work_dir: Path) -> Path:
    """Trains, or goes on, or finds that it is done; returns the checkpoint to test."""
    if is_trained(work_dir):
        print(f'reused: {work_dir / BEST}')
        return work_dir / BEST
    if not marker_fits(work_dir / 'begun.json', made_from()):
        if (work_dir / 'last_checkpoint').is_file():
            print(
                f'the training in {work_dir} had another config or other clips: training from the start',
                flush=True,
            )
        forget(work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        write_marker(work_dir / 'begun.json', made_from())
    resume = ['--resume'] if (work_dir / 'last_checkpoint').is_file() else []
    processes = min(2, os.cpu_count() or 1)
    share = f'train_dataloader.batch_size={BATCH // processes}'
    options = ['--work-dir', str(work_dir), *resume, '--cfg-options', share]
    if processes == 1:
        run('tools/train.py', CONFIG, *options)
    else:
        # Two processes with half a batch each: for tensors this small twice as fast as one with two threads.
        run('tools/dist_train.sh', CONFIG, str(processes), *options)
    write_marker(work_dir / 'trained.json', made_from())
    return work_dir / BEST


def main(argv: Sequence[str] | None = None) -> None:
    """Goes through the steps and prints where everything is."""
    parser = described_parser(__doc__)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart'))
    parser.add_argument(
        '--fresh', action='store_true', help='train and test from the start; the rendered clips stay'
    )
    args = parser.parse_args(argv)
    try:
        go_through(args.work_dir, args.fresh)
    except KeyboardInterrupt:
        print('\nStopped. Run this script again to go on from here.', file=sys.stderr)
        raise


def go_through(work_dir: Path, fresh: bool) -> None:
    """Renders, trains, tests and draws."""
    start = time.monotonic()
    if fresh:
        forget(work_dir)
    left = minutes_left(work_dir)
    announce('render', 'render the Moving Shapes benchmark', left)
    run('tools/dataset_converters/moving_shapes.py', str(DATA))
    announce('train', 'pre-train: stage 1 VTC+VTM+VTG, stage 2 CSAL+VTM+VTG', left)
    checkpoint = train(work_dir)
    announce('test', 'test retrieval in both directions, with re-ranking', left)
    results = work_dir / 'results.json'
    run('tools/test.py', CONFIG, str(checkpoint), '--out', str(results), '--work-dir', str(work_dir))
    plots = plot_run(work_dir / 'metrics.jsonl', work_dir)
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
    sys.exit(run_tool(main))
