"""A model and a data set of a few numbers, so that engine tests start processes and still take seconds."""

import os
import signal
from hashlib import sha256
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from torch import nn

from stgt_mm.registry import DATASETS, FUNCTIONS, METRICS, MODELS
from stgt_mm.structures import VideoTextSample


@DATASETS.register_module()
class ToyPairs(torch.utils.data.Dataset):
    """Vectors; ``bad_index`` yields inf, ``TOY_KILL_AT`` kills the process at its n-th sample."""

    def __init__(self, size=24, width=6, bad_index=None, video_root='', ann_file=None):
        self.size, self.width, self.bad_index = size, width, bad_index
        if ann_file is not None:
            content = Path(ann_file).read_text()
            self.size, self.content_hash = len(content.splitlines()), sha256(content.encode()).hexdigest()
        self.served = 0

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.served += 1
        its_turn = os.environ.get('RANK', '0') == os.environ.get('TOY_KILL_RANK', '0')
        if its_turn and self.served == int(os.environ.get('TOY_KILL_AT', -1)):
            os.kill(os.getpid(), signal.SIGKILL)
        generator = torch.Generator().manual_seed(1000 * getattr(index, 'epoch', 0) + int(index))
        inputs = torch.randn(self.width, generator=generator)
        if index == self.bad_index:
            inputs[0] = float('inf')
        sample = VideoTextSample(metainfo={'video': f'clip{int(index)}.mp4', 'video_id': f'clip{int(index)}'})
        return {'inputs': inputs, 'data_samples': sample}


@FUNCTIONS.register_module()
def toy_collate(samples):
    return {
        'inputs': torch.stack([sample['inputs'] for sample in samples]),
        'data_samples': [sample['data_samples'] for sample in samples],
    }


@MODELS.register_module()
class ToyHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = 1.0
        self.temperature = nn.Parameter(torch.tensor(0.07))


@MODELS.register_module()
class ToyBackbone(nn.Module):
    def __init__(self, width=6, seed=0, frozen=True):
        super().__init__()
        self.frozen = frozen
        self.linear = nn.Linear(width, width)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.copy_(torch.randn(width, width, generator=generator))
            self.linear.bias.zero_()
        self.requires_grad_(not frozen)

    def forward(self, inputs):
        return self.linear(inputs)


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, backbone, width=6, hidden=8, dropout=0.3, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.backbone = MODELS.build(backbone)
        self.contrastive_head = ToyHead()
        self.layers = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 2)
        )

    def forward(self, inputs, data_samples=None, mode='tensor'):
        outputs = self.layers(self.backbone(inputs)) / self.contrastive_head.temperature.clamp(0.001, 0.5)
        if mode != 'loss':
            return outputs
        head_alpha = self.contrastive_head.alpha
        target = inputs.sum(dim=1).clamp(-1, 1)
        return {
            'loss_vtc': (outputs[:, 0] - target).square().mean() * (0.5 + head_alpha),
            'loss_vtm': (outputs[:, 1] - 1).square().mean().nan_to_num(posinf=1.0, nan=1.0),
            'spread': outputs.detach().std(),
        }

    def val_step(self, data):
        with torch.no_grad():
            return self(data['inputs']).tolist()

    test_step = val_step


@METRICS.register_module()
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.extend(row[0] for row in data_samples)

    def compute_metrics(self, results):
        return {'t2v/Rmean': float(sum(results) / len(results))}
