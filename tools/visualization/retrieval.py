"""Draws what two models retrieve from the test set of a config, ranked as the test does: Figures 13 and 14.

Example:
  python tools/visualization/retrieval.py CONFIG CHECKPOINT --against CONFIG CHECKPOINT --out retrieval.png
  python tools/visualization/retrieval.py CONFIG CHECKPOINT --against CONFIG CHECKPOINT --direction v2t
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.engine.cli import add_picture_options, build_runner, described_parser, run_tool


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_picture_options(parser, 'retrieval.png')
    parser.add_argument(
        '--against', nargs=2, required=True, metavar=('CONFIG', 'CHECKPOINT'), help='the other model'
    )
    parser.add_argument('--names', nargs=2, help='names of the models, default those of their checkpoints')
    parser.add_argument('--direction', choices=('t2v', 'v2t'), default='t2v', help='what asks for what')
    parser.add_argument(
        '--queries',
        nargs='+',
        type=int,
        help='numbers of captions (t2v) or videos (v2t) of the test set, from 0; default the 2 of which the '
        'models rank the right item most differently',
    )
    parser.add_argument('--k', type=int, default=5, help='items of each')
    return parser.parse_args(argv)


def rank(config: str, checkpoint: str, args: argparse.Namespace) -> tuple[Any, Any, list[list[Any]]]:
    """Ranks the test set: the k best items, the data set, and captions and videos in the order of these."""
    from stgt_mm.visualization.comparison import best_items

    cfg = load_config(config, parse_overrides(args.cfg_options))
    cfg.resume, cfg.load_from, cfg.load_strict, cfg.launcher = False, checkpoint, True, 'none'
    with tempfile.TemporaryDirectory() as folder:
        # the name too: mmengine names runs by the second, and gives one of the same name the former's folder
        cfg.work_dir, cfg.experiment_name = folder, os.path.basename(folder)
        runner = build_runner(cfg, ['test_dataloader'])
        loop = runner.test_loop
        if not hasattr(loop, 'rerank_k'):
            raise ValueError(f'{config}: its test_cfg is no RetrievalLoop, nothing is ranked.')
        runner.call_hook('before_run')
        runner.load_or_resume()
        split = loop.encode()
        rankings = loop.rank(split, [loop.rerank_k])[loop.rerank_k]
    found = best_items(next(own for own in rankings if own.name == args.direction), args.k)
    texts = [text for place, text in enumerate(split.dataset.texts) if place not in split.lost_texts]
    videos = [place for place in range(len(split.dataset)) if place not in split.videos.broken]
    return found, split.dataset, [texts, videos]


def main(argv: Sequence[str] | None = None) -> None:
    """Ranks with both models, chooses queries and draws."""
    args = parse_args(argv)
    if args.k < 1:
        raise ValueError(f'--k {args.k}: at least one item.')
    from stgt_mm.apis.shown_clip import without_resize
    from stgt_mm.visualization.comparison import Hits, Retrieved, draw_retrieval

    models = [(args.config, args.checkpoint), tuple(args.against)]
    (one, dataset, known), (two, other, others) = (rank(*model, args) for model in models)
    if known != others or dataset.content_hash != other.content_hash:
        raise ValueError(f'{args.config} and {args.against[0]} are tested on different captions or videos.')
    queries = args.queries
    if queries is None:
        queries = (one.rank - two.rank).abs().argsort(descending=True, stable=True)[:2].tolist()
    if wrong := [query for query in queries if not 0 <= query < len(one.rank)]:
        raise ValueError(f'--queries {wrong}: there are {len(one.rank)}, the first is 0.')
    dataset.transforms = without_resize(dataset.transforms)
    texts, videos = known

    def clip(video: int) -> Any:
        return dataset.load_clip(videos[video])['inputs']

    ask, show = (texts.__getitem__, clip) if args.direction == 't2v' else (clip, texts.__getitem__)
    drawn = []
    for query in queries:
        found = [
            (own.order[query].tolist(), own.right[query].tolist(), int(own.rank[query])) for own in (one, two)
        ]
        hits = [Hits([show(item) for item in order], right, place) for order, right, place in found]
        drawn.append(Retrieved(ask(query), hits))
        print(f'query {query}: the right item at rank {found[0][2]} and {found[1][2]}')
    names = args.names or [Path(checkpoint).stem for _, checkpoint in models]
    print(draw_retrieval(drawn, names, args.out))


if __name__ == '__main__':
    sys.exit(run_tool(main))
