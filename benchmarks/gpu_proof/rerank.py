"""Re-ranking 32 candidates of a video: keys and values once against once a candidate."""

from contextlib import nullcontext
from functools import partial

import torch
from benchmark_rerank import rerank_folded, rerank_repeated

from gpu_proof.common import Setting, Table, autocast, peak_gib, relative_error, run_part, seconds
from stgt_mm.models.qformer import QFormer


@torch.inference_mode()
def measure(setting: Setting) -> list[Table]:
    """Measures both ways with all texts at 32 tokens."""
    width, depth, heads, vision, tokens, k = (
        (32, 2, 4, 64, 12, 4) if setting.reduced else (768, 12, 12, 1408, 264, 32)
    )
    torch.manual_seed(0)
    with setting.device:
        qformer = QFormer(width=width, depth=depth, num_heads=heads, vision_width=vision).eval()
        video = torch.randn(1, tokens, vision)
        ids = torch.randint(1000, 20000, (k, 32))
    mask = torch.ones_like(ids, dtype=torch.bool)
    expected = rerank_repeated(qformer.double(), video.double(), ids, mask)
    qformer.float()
    rows = []
    for name, way in (('once a candidate', rerank_repeated), ('once a video', rerank_folded)):
        run = partial(way, qformer, video, ids, mask)
        for kind, context in (('float32', nullcontext()), ('bfloat16', autocast(setting))):
            with context:
                error, memory, taken = (
                    relative_error(run(), expected),
                    peak_gib(setting, run),
                    seconds(setting, run),
                )
            rows.append([name, kind, 1e3 * taken, 1 / taken, memory, error])
    header = ['keys and values', 'type', 'ms a video', 'videos/s', 'peak GiB', 'relative error']
    return [Table(f'{k} candidates of 32 tokens, {tokens} video tokens', header, rows)]


if __name__ == '__main__':
    run_part(measure)
