"""Two proofs on S-ViLM: groups lie on what nouns name, frames tell a pasted segment from the rest.

Regions: of all groups, the one most similar to a noun phrase, against the renderer's mask: the mean
intersection over union of the frames that show the object, and the pointing game, which does not depend on
the size of patches. Which group that is, is said by the noun head of the model and by its contrastive head,
the text embedding of the phrase against the group's token or against the mean of its patches: a model trained
by contrast alone has the last two. Beside it: a group at random (exactly: the mean over all), the best box
that is the same in all frames, the group that fits best, and the most that shares of patches can reach.

Segments: test clips are blended with a fixed seed. 'centres of the truth' is a_t as the loss has it, whose
centres are made with the true mask, so that even random features find much of it; 'without the frame' leaves
each frame out of its centre; 'not told' looks for the segment that differs most, without the mask (a segment
at an end of the clip may be taken for its rest). Beside the model: random features, and the pixels, 8 x 8.

Example:
    python benchmarks/s_vilm_proofs.py configs/moving_shapes/s_vilm_tiny.py work_dirs/s_vilm_tiny/epoch_10.pth
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.config import load_config, parse_overrides
from stgt_mm.datasets.collate import video_text_collate
from stgt_mm.engine.cli import add_config_options, described_parser, run_tool
from stgt_mm.evaluation.tables import aligned
from stgt_mm.functional.cut_paste import blend_clips
from stgt_mm.functional.found_segments import best_segment, left_out_probability, segment_scores
from stgt_mm.functional.region_maps import group_regions, points_at, region_overlap
from stgt_mm.functional.temporal_grouping import foreground_probability
from stgt_mm.io.whole_file import whole_file
from stgt_mm.moving_shapes import Benchmark, masks, object_of, read_benchmark
from stgt_mm.progress import track

BATCH = 32
MEASURES = ('centres of the truth', 'without the frame', 'not told')


class Batch(NamedTuple):
    """Test clips as the model reads them, and what is known of them."""

    video: Tensor  # normalised, (B, T, 3, H, W)
    records: list[dict[str, Any]]
    frames: list[tuple[int, ...]]  # of the files, that are shown


def batches(model: nn.Module, dataset: Any, clips: int | None) -> Iterator[Batch]:
    """Reads the first test clips."""
    count = min(len(dataset), clips or len(dataset))
    for start in track(range(0, count, BATCH), 'batches of clips'):
        places = range(start, min(start + BATCH, count))
        samples = [dataset[place] for place in places]
        video = model.data_preprocessor(video_text_collate(samples))['inputs']['video']
        shown = [sample['data_samples'].frame_indices for sample in samples]
        yield Batch(video, [dataset.videos[place] for place in places], shown)


def nouns_of(record: dict[str, Any], benchmark: Benchmark) -> list[tuple[str, np.ndarray]]:
    """Noun phrases of a clip, and the masks (16, H, W) of what they name."""
    clip = benchmark.clips[int(record['video_id'].removeprefix('video'))]
    own = [f'{look.colour} {look.shape}' for look in clip.meaning.objects]
    found = [(phrase, object_of(clip, phrase)) for phrase in record.get('noun_phrases', own)]
    if missed := [phrase for phrase, place in found if place is None]:
        raise ValueError(f'{clip.video_id} ({clip.text}) shows nothing that is called {missed[0]!r}.')
    seen = masks(clip)
    return [(phrase, seen[place]) for phrase, place in found]


class Regions:
    """Overlaps of groups with the masks of noun phrases, collected over clips."""

    def __init__(self, model: nn.Module, benchmark: Benchmark) -> None:
        self.model, self.benchmark = model, benchmark
        self.values: dict[str, list[list[float]]] = {}
        self.masks: list[Tensor] = []

    def add(self, batch: Batch) -> None:
        """Measures the phrases of a batch; each counts once, as the mean over its frames."""
        from stgt_mm.visualization.grouping_view import phrase_similarities, view_groups

        view = view_groups(self.model, batch.video)
        nouns = [nouns_of(record, self.benchmark) for record in batch.records]
        phrases = sorted({phrase for own in nouns for phrase, _ in own})
        ways = phrase_similarities(self.model, view, phrases)
        size = nouns[0][0][1].shape[1:]
        repeats = batch.video.shape[1] // view.shares.shape[2]
        regions = group_regions(view.shares, size).repeat_interleave(repeats, dim=1).cpu()
        grid = view.shares.shape[3:]
        for place, own in enumerate(nouns):
            for phrase, seen in own:
                mask = torch.from_numpy(seen[list(batch.frames[place])])
                shares = view.shares[place].cpu()
                overlap = region_overlap(regions[place], mask, len(shares)).nanmean(dim=0)
                points = points_at(shares.repeat_interleave(repeats, dim=1), mask).nanmean(dim=0)
                found = torch.stack([overlap, points], dim=1)  # (M, 2)
                for way, cosines in ways.items():
                    self._put(way, found[cosines[place, phrases.index(phrase)].argmax()])
                self._put('a group at random', found.mean(dim=0))
                self._put('the group that fits best', found.amax(dim=0))
                self._put(
                    'the most that patches can reach', torch.stack([_most(mask, grid), torch.tensor(1)])
                )
                self.masks.append(mask)

    def _put(self, name: str, values: Tensor) -> None:
        self.values.setdefault(name, []).append(values.tolist())

    def results(self) -> dict[str, dict[str, float]]:
        """Mean intersection over union, and share of frames that are pointed at, by name."""
        means = {name: np.nanmean(values, axis=0).tolist() for name, values in self.values.items()}
        means['the best constant box'] = [best_box(self.masks)]
        return {name: dict(zip(('iou', 'points'), own)) for name, own in means.items()}


def _most(mask: Tensor, grid: Sequence[int]) -> Tensor:
    """Overlap of a mask (T, H, W) with a region of patches that know it: shares grow with what they hold."""
    held = F.adaptive_avg_pool2d(mask[None].float(), tuple(grid))
    found = []
    for scale in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0):
        shares = (scale * held).clamp(max=1)
        regions = group_regions(torch.stack([1 - shares, shares], dim=1), mask.shape[1:])[0]
        found.append(region_overlap(regions, mask, 2)[:, 1])
    return torch.stack(found).amax(dim=0).nanmean()


def best_box(masks: Sequence[Tensor], step: int = 4) -> float:
    """Finds the box, of all with corners at multiples of ``step`` pixels, with the largest mean overlap.

    ``masks`` are bool (T, H, W); frames in which nothing is seen do not count.
    """
    total = torch.stack([frame for own in masks for frame in own if frame.any()]).float()
    sums = F.pad(total.cumsum(1).cumsum(2), (1, 0, 1, 0))[:, ::step, ::step]
    area, best = total.sum(dim=(1, 2)), 0.0
    rows, columns = ([(low, high) for low in range(n) for high in range(low + 1, n)] for n in sums.shape[1:])
    for top, bottom in rows:
        band = sums[:, bottom] - sums[:, top]
        left, right = torch.tensor(columns).T
        common = band[:, right] - band[:, left]
        size = (bottom - top) * (right - left) * step**2
        best = max(best, float((common / (area[:, None] + size - common)).mean(dim=0).max()))
    return best


class FoundSegments:
    """Frames and boundaries of pasted segments that are found, collected over clips."""

    def __init__(self, model: nn.Module, seed: int) -> None:
        self.model, self.seed, self.batches = model, seed, 0
        self.scores: dict[tuple[str, str], list[tuple[Tensor, Tensor]]] = {}
        self.noise = torch.Generator().manual_seed(seed)

    def add(self, batch: Batch) -> None:
        """Blends a batch and looks for the segments; one of a single clip has nothing to be blended with."""
        from stgt_mm.visualization.grouping_view import draw_blend, frame_features, grouping_temperature

        if len(batch.video) < 2:
            return
        steps = self.model.time_steps({'video': batch.video})
        tubelet = batch.video.shape[1] // steps
        segments = draw_blend(self.model, batch.video, 1000 * self.seed + self.batches)
        self.batches += 1
        blended, mask = blend_clips(batch.video, segments, tubelet)
        features = frame_features(self.model, blended).cpu()
        small = F.adaptive_avg_pool2d(blended.flatten(0, 1), 8).flatten(1).unflatten(0, (-1, tubelet))
        sources = {
            'model': features,
            'random features': torch.randn(features.shape, generator=self.noise),
            'pixels': small.mean(dim=1).unflatten(0, (-1, steps)).cpu(),
        }
        mask, temperature = mask.cpu(), grouping_temperature(self.model)
        for name, frames in sources.items():
            found = (
                foreground_probability(frames, mask, temperature) > 0.5,
                left_out_probability(frames, mask, temperature) > 0.5,
                best_segment(frames),
            )
            for measure, own in zip(MEASURES, found):
                self._add(name, measure, own, mask > 0)

    def _add(self, name: str, measure: str, found: Tensor, mask: Tensor) -> None:
        right, boundaries = segment_scores(found, mask)
        if measure == 'not told':
            # which of two sides was pasted cannot be known
            other = segment_scores(~found, mask)
            right, boundaries = torch.maximum(right, other[0]), boundaries | other[1]
        self.scores.setdefault((name, measure), []).append((right, boundaries))

    def results(self) -> dict[str, dict[str, dict[str, float]]]:
        """Shares of frames and of boundaries by measure and source."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for (name, measure), parts in self.scores.items():
            frames, boundaries = (torch.cat(own).float().mean().item() for own in zip(*parts))
            found.setdefault(measure, {})[name] = {'frames': frames, 'boundaries': boundaries}
        return found


def tables(results: dict[str, Any]) -> list[str]:
    """Lays out both proofs."""
    regions = [['region of a noun phrase', 'mean IoU', 'points at it, %']]
    for name, own in results.get('regions', {}).items():
        points = f'{100 * own["points"]:.1f}' if 'points' in own else ''
        regions.append([name, f'{own["iou"]:.3f}', points])
    segments = [['pasted segment', 'by', 'frames right, %', 'both boundaries within 1, %']]
    for measure, sources in results.get('segments', {}).items():
        for name, own in sources.items():
            segments.append([measure, name, *(f'{100 * value:.1f}' for value in own.values())])
    return [line for rows in (regions, segments) if len(rows) > 1 for line in [*aligned(rows), '']]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = described_parser(__doc__)
    add_config_options(parser)
    parser.add_argument('checkpoint', help='a .pth or .safetensors file; must fit the model in every key')
    parser.add_argument('--only', choices=('regions', 'segments'), help='one of the two proofs')
    parser.add_argument('--clips', type=int, help='only the first clips of the test set')
    parser.add_argument('--seed', type=int, default=0, help='of the blends and of the random features')
    parser.add_argument('--out', type=Path, help='JSON file for the results')
    parser.add_argument('--device', help='by default a GPU if there is one')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, prints the tables and writes the results."""
    args = parse_args(argv)
    from stgt_mm.apis.base import load_model
    from stgt_mm.registry import DATASETS

    cfg = load_config(args.config, parse_overrides(args.cfg_options))
    model, cfg = load_model(cfg, args.checkpoint, args.device)
    dataset = DATASETS.build({**cfg.test_dataloader.dataset, 'feature_cache': None})
    proofs: dict[str, Any] = {}
    if args.only != 'segments':
        proofs['regions'] = Regions(model, read_benchmark(Path(dataset.ann_file).parent))
    if args.only != 'regions':
        proofs['segments'] = FoundSegments(model, args.seed)
    for batch in batches(model, dataset, args.clips):
        for proof in proofs.values():
            proof.add(batch)
    results = {name: proof.results() for name, proof in proofs.items()}
    print('\n'.join(tables(results)))
    if args.out:
        made_from = {'config': args.config, 'checkpoint': args.checkpoint, 'cfg_options': args.cfg_options}
        with whole_file(args.out) as partial:
            partial.write_text(json.dumps({**made_from, 'seed': args.seed, **results}, indent=1) + '\n')


if __name__ == '__main__':
    sys.exit(run_tool(main))
