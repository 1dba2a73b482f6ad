"""Views of groups and frames of a trained model: the region of a noun phrase, the pasted part of a clip."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.functional.cut_paste import Segments, draw_segments
from stgt_mm.functional.similarity import full_precision
from stgt_mm.models.aligners import SViLM
from stgt_mm.models.backbones import GroupedViT
from stgt_mm.models.batch_transforms import CutPasteBlend, NounPrompts
from stgt_mm.models.heads import NounGroundingHead, TemporalGroupingHead
from stgt_mm.utils import evaluating

HEAD, GROUP_TOKENS, GROUP_MEANS = 'noun head', 'contrast, group token', 'contrast, its patches'


class GroupView(NamedTuple):
    """The groups of B clips with T' time steps of Gh x Gw patches."""

    shares: Tensor  # (B, M, T', Gh, Gw): of the last grouping block, softmax over the groups
    groups: Tensor  # (B, M, C)
    patches: Tensor  # (B, T'*N, C), after the model's norm


def view_groups(model: nn.Module, video: Tensor) -> GroupView:
    """Looks at the groups of normalised clips (B, T, 3, H, W).

    The shares are those before a hard assignment takes the largest. A ValueError if the model is no ``SViLM``
    with a ``GroupedViT``.
    """
    backbone = model.backbone
    if not (isinstance(model, SViLM) and isinstance(backbone, GroupedViT)):
        raise ValueError(
            f'regions are those of the groups of SViLM on GroupedViT, and this model is a '
            f'{type(model).__name__} on {type(backbone).__name__}.'
        )
    last, seen = backbone.grouping[-1], []
    hook = last.register_forward_pre_hook(lambda _, args: seen.extend(args))
    assign = last.assign
    try:
        with evaluating(model), torch.no_grad():
            found = backbone.encode(video)
            hook.remove()
            last.assign = 'soft'
            shares = last(*seen)[1]
            patches = model.vision_norm(found.tokens[:, :, 1:].flatten(1, 2))
    finally:
        hook.remove()
        last.assign = assign
    return GroupView(shares.unflatten(2, (-1, *backbone.grid_size)).float(), found.groups, patches)


@torch.no_grad()
def phrase_similarities(model: nn.Module, view: GroupView, phrases: Sequence[str]) -> dict[str, Tensor]:
    """Compares K noun phrases with the groups of B clips, in every way that the model has.

    With a head for noun grounding by its projections (:data:`HEAD`). And by the contrastive head, as captions
    are compared with videos, with the group's token (:data:`GROUP_TOKENS`) and with the mean of the patches
    that it has, weighted by its shares (:data:`GROUP_MEANS`); the contrast itself trains only the latter.

    Args:
        model: The ``SViLM``; a phrase stands in each template of its ``NounPrompts``, and its embeddings are
            averaged.
        view: Of :func:`view_groups`.
        phrases: K.

    Returns:
        Cosines by way, shape (B, K, M).
    """
    prompts = next((own for own in _steps(model) if isinstance(own, NounPrompts)), NounPrompts())
    texts = [template.format(phrase) for phrase in phrases for template in prompts.templates]
    ids, mask = model.data_preprocessor.tokenize(texts)
    shares = view.shares.flatten(2)
    means = shares @ view.patches / shares.sum(dim=-1, keepdim=True)

    def averaged(embeddings: Tensor) -> Tensor:
        return F.normalize(embeddings.unflatten(0, (len(phrases), -1)).mean(dim=1), dim=-1)

    with evaluating(model):
        text, project = averaged(model.encode_text(ids, mask)), model.contrastive_head.project_queries
        pairs = {GROUP_TOKENS: (text, project(model.vision_norm(view.groups)))}
        pairs[GROUP_MEANS] = text, project(means)
        head = _head(model, NounGroundingHead)
        if head is not None:
            nouns = averaged(head.project_nouns(model.encode_phrases(ids, mask)))
            pairs = {HEAD: (nouns, head.project_regions(view.groups)), **pairs}
    return {way: torch.einsum('kp,bmp->bkm', *pair) for way, pair in pairs.items()}


def _steps(model: nn.Module) -> Sequence[Callable]:
    return getattr(model.data_preprocessor, 'batch_transforms', ())


def _head(model: nn.Module, kind: type) -> Any:
    heads = getattr(model, 'auxiliary_heads', {}).values()
    return next((head for head in heads if isinstance(head, kind)), None)


@torch.no_grad()
def frame_features(model: nn.Module, video: Tensor) -> Tensor:
    """Computes one vector a time step of normalised clips (B, T, 3, H, W): (B, T', C).

    The mean of its video tokens, as temporal grouping reads them. A ValueError if the neck mixes the frames.
    """
    inputs = {'video': video}
    with evaluating(model):
        found = model.frame_features(inputs, model.extract_tokens(inputs))
    if found is None:
        raise ValueError(
            f'the video tokens of {type(model.neck).__name__} have no time: no frame can be found.'
        )
    return full_precision(found)


def draw_blend(model: nn.Module, video: Tensor, seed: int) -> Segments:
    """Draws segments for clips (B, T, ...), each pasted, as long as those of the model's training."""
    blend = next((own for own in _steps(model) if isinstance(own, CutPasteBlend)), CutPasteBlend())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return draw_segments(
            len(video), model.time_steps({'video': video}), 1.0, blend.min_ratio, blend.max_ratio
        )


def grouping_temperature(model: nn.Module) -> float:
    """Returns the temperature of the head for temporal grouping, or its default."""
    head = _head(model, TemporalGroupingHead)
    return 0.1 if head is None else head.temperature
