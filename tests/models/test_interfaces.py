"""Every registered neck, head and model has the interface that docs/extending.md writes down."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import torch
from tiny_aligner import NECKS, build_aligner, prepared_batch, write_vocab

from stgt_mm import models
from stgt_mm.models import BaseNeck, VideoEncoder
from stgt_mm.registry import MODELS

PAGE = Path(__file__).parents[2] / 'docs/extending.md'
(BLOCK,) = re.findall(r'^```python\n(# stgt_mm.models.BaseNeck.*?)^```', PAGE.read_text(), re.M | re.S)
WRITTEN = {node.name: node for node in ast.parse(BLOCK).body}
REGISTERED = {kind for kind in MODELS.module_dict.values() if kind.__module__.startswith('stgt_mm.models.')}
NECK_TYPES = sorted((k for k in REGISTERED if '.necks.' in k.__module__), key=lambda k: k.__name__)
HEAD_TYPES = {kind for kind in REGISTERED if '.heads.' in kind.__module__}
MODEL_TYPES = {kind for kind in REGISTERED if issubclass(kind, VideoEncoder)}


def check(kind, written):
    """The methods of the class have the arguments of the page, in its order."""
    for method in written.body:
        found = inspect.signature(getattr(kind, method.name)).parameters
        wanted = [argument.arg for argument in method.args.args]
        if method.name == '__init__':  # a subclass takes more
            assert set(wanted) <= set(found), kind
        else:
            assert list(found) == wanted, f'{kind.__name__}.{method.name}'


def test_the_page_names_what_there_is():
    assert {kind.__name__ for kind in HEAD_TYPES | MODEL_TYPES} | {'BaseNeck', 'VideoEncoder'} == set(WRITTEN)


@pytest.mark.parametrize('name', WRITTEN)
def test_classes_have_the_methods_of_the_page(name):
    kind = getattr(models, name)
    for one in {kind} | {other for other in REGISTERED if issubclass(other, kind)}:
        check(one, WRITTEN[name])


@pytest.mark.parametrize('kind', NECK_TYPES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_every_neck_maps_tokens_of_frames_and_reports_on_their_device(kind, device):
    assert issubclass(kind, BaseNeck)
    config = next(neck for neck in NECKS.values() if neck and neck['type'] == kind.__name__)
    with torch.device(device):
        neck = MODELS.build(config).train()
        assert neck.statistics() == {}
        for frames in (1, 3):
            out = neck(torch.zeros(2, frames, 5, 16))
            assert out.shape[0] == 2 and out.shape[2] == 16 and out.ndim == 3
    for name, value in neck.statistics().items():
        assert value.device == out.device and value.shape == () and not value.requires_grad, name


@pytest.mark.parametrize('neck', NECKS)
def test_a_model_of_ones_own_stands_on_the_encoder(tmp_path, neck):
    """The tokens of an aligner, its names in a checkpoint, and a plain module as neck."""
    aligner = build_aligner(write_vocab(tmp_path), neck).eval()
    inputs = prepared_batch(aligner, range(2))['inputs']

    class Counter(VideoEncoder):
        def loss(self, inputs, data_samples):
            return {'loss': self.extract_tokens(inputs).mean(), **self.statistics()}

    config = dict(type='TimmViT', model_name='vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=16)
    counter = Counter({**config, 'depth': 1, 'num_heads': 2}, {'type': torch.nn.Identity}, NECKS[neck], {})
    prefixes = ('backbone.', 'neck.', 'vision_norm.')
    state = {key: value for key, value in aligner.state_dict().items() if key.startswith(prefixes)}
    counter.double().load_state_dict(state, strict=True)
    counter.vision_norm.eps = aligner.vision_norm.eps
    tokens = counter.eval()(inputs)
    assert torch.equal(tokens, aligner.extract_tokens(inputs))
    assert torch.equal(counter.vision_norm(counter.pool_frames(inputs)), tokens)
    reported = {'graph_density'} if neck == 'stgt' else set()
    assert set(counter.train()(inputs, mode='loss')) == {'loss'} | reported
    counter.neck = torch.nn.Flatten(1, 2)
    assert set(counter(inputs, mode='loss')) == {'loss'}
    with pytest.raises(NotImplementedError, match='Counter has no predict'):
        counter(inputs, mode='predict')
