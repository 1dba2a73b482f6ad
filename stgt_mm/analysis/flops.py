"""Parameters and FLOPs of a model by part, counted on the meta device with fvcore."""

import math
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

with warnings.catch_warnings():  # fvcore scripts a loss of its own with what torch deprecates
    warnings.simplefilter('ignore', FutureWarning)
    from fvcore.nn import FlopCountAnalysis

# Operators left out of the count, those that move and shape and those of a few operations an element; of any
# other that fvcore does not count, nobody knows whether it is small.
SMALL = {
    'cat', 'diagonal', 'embedding', 'expand', 'expand_as', 'eye', 'flatten', 'fill_', 'index', 'masked_fill',
    'masked_fill_', 'movedim', 'new_ones', 'numel', 'ones_like', 'permute', 'repeat', 'repeat_interleave',
    'argmax', 'sort', 'stack', 'to', 'tril', 'unflatten', 'upsample_linear1d',
    'abs', 'add', 'add_', 'addcmul', 'amax', 'bitwise_and', '__and__', '__or__', 'bitwise_not', 'clamp_min',
    'cos', 'count_nonzero', 'cumsum', 'div', 'ge', 'gelu', 'le', 'linalg_vector_norm', 'mean', 'mul', 'mul_',
    'neg', 'pow', 'relu', 'rsqrt', 'sigmoid', 'silu', 'sin', 'softmax', 'sub', 'sum', 'tanh',
}  # fmt: skip


@dataclass
class Sizes:
    """Sizes of the inputs."""

    frames: int
    image: tuple[int, int]  # height and width in pixels
    text_tokens: int  # of a caption
    candidates: int  # captions that are matched with a video, k


@dataclass
class PartCost:
    """The work of one part."""

    name: str
    flops: int  # fvcore's count, in which a multiplication with its addition is one
    by_operator: dict[str, int]
    uncounted: Counter[str]  # calls of operators that are not in ``flops``

    @property
    def unknown(self) -> dict[str, int]:
        """Calls of uncounted operators whose work may not be small."""
        return {op: n for op, n in self.uncounted.items() if op.removeprefix('aten::') not in SMALL}


def _attention_flops(inputs: list[Any], _: list[Any]) -> int:
    """Queries [..., R, d] with keys [..., S, d], then their weights with values [..., S, e]."""
    query, key, value = (tensor.type().sizes() for tensor in inputs[:3])
    return math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _bmm_flops(inputs: list[Any], _: list[Any]) -> int:
    """[B, R, d] with [B, d, S]; fvcore's own stumbles over ``out=``."""
    return math.prod(inputs[0].type().sizes()) * inputs[1].type().sizes()[-1]


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Has the shape and the count of a convolution, as a matrix product over its windows."""
    # PyTorch's meta convolution cannot be traced; the values of meta tensors do not matter.
    settings = zip(x.shape[2:], conv.padding, conv.dilation, conv.kernel_size, conv.stride)
    places = [(int(n) + 2 * pad - step * (kernel - 1) - 1) // by + 1 for n, pad, step, kernel, by in settings]
    batch = int(x.shape[0])
    windows = x.new_empty(batch * math.prod(places), conv.weight[0].numel())
    return F.linear(windows, conv.weight.flatten(1)).view(batch, *places, -1).movedim(-1, 1)


def count_step(name: str, model: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> PartCost:
    """Counts what a function, which may call anything of a model, does to meta tensors.

    Nothing is left out silently: see ``uncounted`` of the result. Convolutions of the model are replaced.
    """
    for module in model.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            if module.padding == 'valid':
                module.padding = (0,) * len(module.kernel_size)
            if isinstance(module.padding, str):
                raise ValueError(f"a convolution with padding='{module.padding}' cannot be counted here.")
            module.forward = partial(_convolve, module)
    step = nn.Module()  # fvcore counts modules
    step.model, step.forward = model, lambda *given: function(*given)
    analysis = FlopCountAnalysis(step, inputs)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings('none')
    handles = {'aten::scaled_dot_product_attention': _attention_flops, 'aten::bmm': _bmm_flops}
    analysis.set_op_handle(**handles)
    by_operator = {str(op): int(count) for op, count in analysis.by_operator().items()}
    return PartCost(name, int(analysis.total()), by_operator, Counter(analysis.unsupported_ops()))


def count_flops(model: nn.Module, sizes: Sizes) -> list[PartCost]:
    """Counts the way of an aligner or an answerer, on the meta device and in eval mode, from clip to scores.

    Parts up to ``Q-Former: queries`` are for one video, ``caption`` for one caption, ``re-rank`` for the k
    candidates of a video whose keys and values are given, ``question: ...`` for one question, up to the first
    token of its answer. A dual encoder has ``video`` and ``caption``.
    """
    parts: list[PartCost] = []
    former = getattr(model, 'qformer', None)

    def step(name: str, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        parts.append(count_step(name, model, function, *inputs))
        return function(*inputs)

    with torch.no_grad():
        video = torch.empty(1, sizes.frames, 3, *sizes.image, device='meta')
        ids = torch.zeros(1, sizes.text_tokens, dtype=torch.long, device='meta')
        read = partial(
            step, 'caption', lambda x: model.encode_text(x, torch.ones_like(x, dtype=torch.bool)), ids
        )
        if former is None:
            step('video', lambda x: model.encode_video({'video': x}).queries, video)
            read()
            return parts
        tokens = step('backbone', model.backbone, video)
        tokens = tokens.flatten(1, 2) if model.neck is None else step('neck', model.neck, tokens)
        tokens = step('vision_norm', model.vision_norm, tokens)
        given = former.project_video(tokens)
        # tracing drops what no result depends on, so all of them are the result
        step('Q-Former: keys and values', lambda x: torch.stack(sum(former.project_video(x), ())), tokens)
        if hasattr(model, 'answer'):
            return parts + _count_answer(model, given, ids)
        project = model.contrastive_head.project_queries
        step('Q-Former: queries', lambda _: project(former.encode_video(given)[0]), tokens)
        read()
    if model.matching_head is not None and sizes.candidates:
        texts = ids[:, None].expand(-1, sizes.candidates, -1)

        def match(x: Tensor) -> Tensor:
            return model.matching_head(former.fuse(given, x, torch.ones_like(x, dtype=torch.bool)))

        # with gradients every position is computed, as for captions without padding
        with torch.enable_grad():
            parts.append(count_step('re-rank', model, match, texts))
    return parts


def _count_answer(model: nn.Module, video: Any, ids: Tensor) -> list[PartCost]:
    """Counts from keys and values of a video and a question (1, L) to the first token of an answer."""
    former, head, language_model = model.qformer, model.answer_head, model.language_model

    def read(x: Tensor) -> Tensor:
        if not model.condition_on_question:
            return former.encode_video(video)[0]
        return former.fuse(video, x[:, None], torch.ones_like(x, dtype=torch.bool)[:, None])[:, 0]

    # with gradients every position is computed, as for questions without padding
    with torch.enable_grad():
        name = 'question: Q-Former' if model.condition_on_question else 'Q-Former: queries'
        parts = [count_step(name, model, read, ids)]
        queries = read(ids)
    if head is not None:
        return [*parts, count_step('question: answer head', model, head, queries)]
    parts.append(count_step('question: projection', model, model.projection, queries))
    places = torch.ones(1, queries.shape[1] + ids.shape[1], dtype=torch.bool, device='meta')
    row = torch.empty(*places.shape, language_model.width, dtype=language_model.model.dtype, device='meta')
    step = count_step('question: language model', model, lambda x: language_model(x, places), row)
    return [*parts, step]


def sizes_of(
    cfg: Any,
    model: nn.Module,
    frames: int | None = None,
    text_tokens: int | None = None,
    candidates: int | None = None,
) -> Sizes:
    """Takes sizes that are None from the config: the pipeline's frames, the tokenizer's limit, ``rerank_k``.

    Raises ``ValueError`` if a number is missing in the config too, or is not positive.
    """
    if frames is None:
        loaders = [cfg.get(f'{name}_dataloader') or {} for name in ('test', 'train', 'val')]
        steps = [step for own in loaders for step in (own.get('dataset') or {}).get('pipeline') or []]
        loading = [step for step in steps if str(step['type']).endswith('LoadVideo')]
        frames = loading[0].get('num_frames', 8) if loading else None
    if text_tokens is None:
        text_tokens = cfg.model.data_preprocessor.tokenizer.get('max_length')
    if candidates is None:
        candidates = (cfg.get('test_cfg') or {}).get('rerank_k', 0)
    given = {'frames': frames, 'text_tokens': text_tokens, 'candidates': candidates}
    for name, value in given.items():
        if value is None or value < (name != 'candidates'):
            option = f'--{name.replace("_", "-")}'
            raise ValueError(f'{name} is {value}: give a positive number as {option}, the config has none.')
    return Sizes(image=model.backbone.img_size, **given)


def count_parameters(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Counts all and learnable parameters by name of the child (those that have any) and in ``'total'``."""
    counts = {}
    for name, module in (*model.named_children(), ('total', model)):
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in module.parameters()]
        if sizes:
            counts[name] = sum(n for n, _ in sizes), sum(n for n, learnable in sizes if learnable)
    return counts
