"""Asks a trained model about a video and prints its answers with their scores.

Example:
    python demo/ask.py --video clip.mp4 --question "what is the man doing"
    python demo/ask.py --video a.mp4 b.mp4 --question "who is it?" --config my_qa.py --checkpoint epoch_9.pth

Several questions are all about one video, one question is about all videos, as many of both are pairs.
Without a question the answer is a caption, by a model whose prompt asks nothing.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from stgt_mm.engine.cli import described_parser, run_tool

CONFIG = 'configs/moving_shapes/qa_classify.py'
SCORES = {
    'classify': 'probability',
    'rank': 'log-likelihood',
    'generate': 'log-likelihood weighted by length',
}


def checkpoint_of(config: str) -> str:
    """Returns where a training of a config leaves its best checkpoint; the error says how to make it."""
    name = Path(config).stem
    best = Path('work_dirs') / name / 'best_qa_accuracy.pth'
    if best.is_file():
        return str(best)
    steps = [f'python tools/train.py {config}']
    if Path(config).parent.name == 'moving_shapes' and not Path('work_dirs/quickstart').is_dir():
        steps.insert(0, 'python tools/quickstart.py')
    lines = '\n'.join(f'  {step}' for step in steps)
    raise FileNotFoundError(
        f"there is no '{best}' (working directory {Path.cwd()}). It is made by:\n{lines}\n"
        'A model that lies elsewhere is named by --config FILE and --checkpoint FILE.'
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the options, asks and prints."""
    parser = described_parser(__doc__)
    parser.add_argument('--video', nargs='+', required=True, metavar='FILE')
    parser.add_argument('--question', nargs='+', default=[''], metavar='TEXT')
    parser.add_argument('--config', default=CONFIG, help=f'default {CONFIG}')
    parser.add_argument('--checkpoint', help='default work_dirs/<config name>/best_qa_accuracy.pth')
    parser.add_argument('--k', type=int, default=5, help='answers of each question')
    parser.add_argument('--device', help="'cpu' or 'cuda:0', default a GPU if there is one")
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='settings to override'
    )
    args = parser.parse_args(argv)
    checkpoint = args.checkpoint or checkpoint_of(args.config)

    from stgt_mm.apis import VideoQuestionAnswererInferencer
    from stgt_mm.config import load_config, parse_overrides
    from stgt_mm.evaluation.tables import aligned

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    found = VideoQuestionAnswererInferencer(cfg, checkpoint, args.device)(args.video, args.question, args.k)
    print(f'mode: {found["mode"]}, score: {SCORES[found["mode"]]}')
    for prediction in found['predictions']:
        print(f'\n{prediction["video"]}: {prediction["question"] or "a caption"}')
        rows = [
            [str(n), pair['answer'], f'{pair["score"]:.4f}']
            for n, pair in enumerate(prediction['answers'], 1)
        ]
        print('\n'.join(aligned([['', 'answer', 'score'], *rows])))


if __name__ == '__main__':
    sys.exit(run_tool(main))
