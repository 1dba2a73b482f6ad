"""A small aligner with weights, as a config and a checkpoint in files."""

import torch
from command_line import ROOT
from reduced import reduce_config

from stgt_mm.apis import VideoTextRetriever
from stgt_mm.config import load_config
from stgt_mm.registry import MODELS

WEIGHT, CANDIDATES = 2.0, 4


class Trained:
    """A reduced config and a checkpoint of large random weights, as files."""

    def __init__(self, data, folder, seed=0, **model):
        cfg = reduce_config(load_config(ROOT / 'configs/moving_shapes/stgt_tiny.py'), data, folder)
        cfg.model.update(model)
        cfg.test_cfg.rerank_k = CANDIDATES
        cfg.test_dataloader.num_workers = 0
        self.cfg, self.config, self.checkpoint = cfg, str(folder / 'own.py'), str(folder / f'{seed}.pth')
        cfg.dump(self.config)
        torch.manual_seed(seed)
        self.model = MODELS.build(cfg.model)
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                parameter.data += 0.2 * torch.randn_like(parameter)
        torch.save(
            {'state_dict': self.model.state_dict(), 'meta': {'fusion_weight': WEIGHT}}, self.checkpoint
        )

    def retriever(self, index=None, **options):
        return VideoTextRetriever(self.config, self.checkpoint, 'cpu', index, batch_size=3, **options)
