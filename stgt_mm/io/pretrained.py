"""Folders of published image-text models: opening them, and how they want frames prepared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stgt_mm.utils import did_you_mean

LIBRARIES = ('transformers', 'open_clip')
# of these the video side reads a clip as a whole, by a video processor
_VIDEO_PROCESSORS = ('videoprism',)


class FramePreparation(NamedTuple):
    """How a published model wants frames."""

    resize: Callable[[Tensor], Tensor]  # uint8 (T, 3, H, W) to uint8 (T, 3, h, w)
    mean: tuple[float, ...]  # a channel, in [0, 255]
    std: tuple[float, ...]


def check_library(library: str) -> str:
    """Returns the name of a library that models are read with; another is a ValueError."""
    if library not in LIBRARIES:
        raise ValueError(f"library='{library}'. {did_you_mean(library, LIBRARIES)}")
    return library


def open_clip_package() -> Any:
    """Imports ``open_clip``; a ValueError that says how to install it where it is missing."""
    try:
        import open_clip
    except ImportError as error:
        raise ValueError("library='open_clip' needs a package: pip install open_clip_torch") from error
    return open_clip


def open_clip_name(location: str) -> str:
    """Writes a folder or a Hugging Face name as ``open_clip`` names its models."""
    folder = Path(location).expanduser()
    return f'local-dir:{folder}' if folder.is_dir() else f'hf-hub:{location}'


def load_pretrained(loader: Callable[..., Any], location: str, what: str, **options: Any) -> Any:
    """Calls a ``from_pretrained`` on a folder or Hugging Face name; a ValueError if it cannot be had."""
    try:
        return loader(str(Path(location).expanduser()), **options)
    except Exception as error:  # hub, parsers and processors fail in a dozen ways
        lines = str(error).splitlines() or ['no reason given']
        raise ValueError(
            f"{what} of pretrained='{location}' cannot be loaded ({type(error).__name__}: {lines[0]}). Give "
            'the folder that holds the published model, all files of it; to fetch one: hf download NAME '
            '--local-dir FOLDER'
        ) from error


def open_clip_config(location: str) -> dict[str, Any]:
    """Reads ``open_clip_config.json`` of a folder or a Hugging Face name."""
    from huggingface_hub import hf_hub_download

    def read(place: str) -> dict[str, Any]:
        name = 'open_clip_config.json'
        file = Path(place) / name if Path(place).is_dir() else Path(hf_hub_download(place, name))
        return json.loads(file.read_text(encoding='utf-8'))

    return load_pretrained(read, location, 'open_clip_config.json')


def read_preparation(pretrained: str, library: str = 'transformers') -> FramePreparation:
    """Reads size, interpolation, crop, mean and std from the files that come with weights."""
    if check_library(library) == 'open_clip':
        return _of_open_clip(pretrained)
    from transformers import AutoImageProcessor, AutoVideoProcessor, PreTrainedConfig

    described = load_pretrained(PreTrainedConfig.get_config_dict, pretrained, 'config.json')[0]
    is_video = described.get('model_type') in _VIDEO_PROCESSORS
    loader = AutoVideoProcessor if is_video else AutoImageProcessor
    processor = load_pretrained(loader.from_pretrained, pretrained, 'the pre-processing')
    plain = {'do_rescale': False, 'do_normalize': False, 'return_tensors': 'pt'}

    def resize(frames: Tensor) -> Tensor:
        if described.get('model_type') == 'siglip2':
            return _whole_patches(processor, frames)
        if is_video:
            found = processor(videos=[frames], do_sample_frames=False, **plain)['pixel_values_videos']
        else:
            found = processor(list(frames), **plain)['pixel_values']
        return found.reshape(-1, *found.shape[-3:]).to(torch.uint8)

    scale = 1 / processor.rescale_factor if processor.do_rescale else 1.0
    mean, std = (0.0,) * 3, (1.0,) * 3
    if processor.do_normalize:
        mean, std = processor.image_mean, processor.image_std
    return FramePreparation(resize, tuple(scale * v for v in mean), tuple(scale * v for v in std))


def _whole_patches(processor: Any, frames: Tensor) -> Tensor:
    """Resizes as the NaFlex variants of SigLIP 2 ask: the shape is kept, within a number of patches."""
    from transformers.image_utils import SizeDict
    from transformers.models.siglip2.image_processing_siglip2 import get_image_size_for_max_num_patches

    height, width = get_image_size_for_max_num_patches(
        *frames.shape[-2:], processor.patch_size, processor.max_num_patches
    )
    return processor.resize(frames, SizeDict(height=height, width=width), resample=processor.resample)


def _of_open_clip(location: str) -> FramePreparation:
    transform = open_clip_package().transform
    described = open_clip_config(location)
    given = {'size': described['model_cfg']['vision_cfg']['image_size'], **described['preprocess_cfg']}
    cfg = transform.PreprocessCfg(**transform.merge_preprocess_kwargs(transform.PreprocessCfg(), **given))
    steps = transform.image_transform_v2(cfg, is_train=False).transforms
    # what is behind makes a float tensor of a picture, and normalises it
    steps = steps[: [isinstance(step, transform.MaybeConvertMode) for step in steps].index(True)]

    def resize(frames: Tensor) -> Tensor:
        for step in steps:
            frames = step(frames)
        return frames

    return FramePreparation(resize, tuple(255 * v for v in cfg.mean), tuple(255 * v for v in cfg.std))
