"""Several data sets as one, for example pictures and videos in one pre-training."""

import hashlib
from typing import Any

import numpy as np
from torch.utils.data import ConcatDataset, Dataset

from stgt_mm.datasets.clip_dataset import ClipDataset
from stgt_mm.datasets.samplers import EpochIndex
from stgt_mm.registry import DATASETS


def parts_of(dataset: Dataset) -> list[Any]:
    """Returns the sources of a :class:`MixedDataset`; any other data set alone."""
    return list(dataset.sources.values()) if isinstance(dataset, MixedDataset) else [dataset]


@DATASETS.register_module()
class MixedDataset(ConcatDataset):
    """Data sets one behind the other, each with its own files and pipeline.

    Clips of different sources may differ in their number of frames, so batches come from one source:
    :class:`~stgt_mm.datasets.source_batches.SourceBatchSampler`. A clip that cannot be read is replaced by
    one of its own source. Ids count within a source: two sources may use the same.

    Attributes:
        sources: Name -> data set, in the order of the config.
        sizes: Records of each source.
        offsets: Index of the first record of each source.

    Args:
        sources: Name -> data set or its config; the name is in the meta information of samples, ``source``.

    Raises:
        ValueError: If there is no source.
    """

    def __init__(self, sources: dict[str, Any]) -> None:
        if not sources:
            raise ValueError(
                'sources is empty: name at least one, for example sources=dict(webvid=dict(...)).'
            )
        self.sources: dict[str, ClipDataset] = {
            name: DATASETS.build(source) if isinstance(source, dict) else source
            for name, source in sources.items()
        }
        super().__init__(self.sources.values())
        self.sizes = [len(source) for source in self.datasets]
        self.offsets = [0, *self.cumulative_sizes[:-1]]

    @property
    def metainfo(self) -> dict[str, Any]:
        """Name and origin of the data, as mmengine's visualizer and logs want them."""
        files = {name: source.metainfo for name, source in self.sources.items()}
        return {'dataset_type': type(self).__name__, 'sources': files}

    @property
    def content_hash(self) -> str:
        """SHA-256 of names and records of the sources: where the annotations lie does not count."""
        parts = '\n'.join(f'{name} {source.content_hash}' for name, source in self.sources.items())
        return hashlib.sha256(parts.encode()).hexdigest()

    def place_of(self, index: int) -> tuple[str, int]:
        """Returns the name of a record's source and its index in it; IndexError if there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f'record {int(index)} of {len(self)} in {", ".join(self.sources)}')
        place = int(np.searchsorted(self.cumulative_sizes, int(index), side='right'))
        return list(self.sources)[place], int(index) - self.offsets[place]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Loads what the source gives, with ``source`` and ``sample_idx`` (among all) in the metainfo."""
        name, own = self.place_of(index)
        # epoch and seed travel with the index: the draws of a sample stay a function of the three
        where = EpochIndex(own, index.epoch, index.seed) if isinstance(index, EpochIndex) else own
        sample = self.sources[name][where]
        sample['data_samples'].set_metainfo({'source': name, 'sample_idx': int(index)})
        return sample
