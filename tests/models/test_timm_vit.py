import pytest
import timm
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from safetensors.torch import save_file
from tiny_aligner import aligner_config, write_vocab
from torch import nn

from stgt_mm.io.hashing import state_sha256
from stgt_mm.models.backbones import TimmViT
from stgt_mm.registry import MODELS

SIZES = {'img_size': 16, 'patch_size': 8, 'embed_dim': 16, 'num_heads': 2}
TINY = {'model_name': 'vit_tiny_patch16_224', **SIZES}


def tiny(**kwargs):
    return TimmViT(**TINY | {'depth': 2} | kwargs)


def snapshot(module):
    return {key: value.clone() for key, value in module.state_dict().items()}


def test_tokens_are_those_of_timm_frame_by_frame_before_the_norm():
    vit = tiny()
    video = torch.randn(2, 3, 3, 16, 16)
    tokens = vit(video)
    assert tokens.shape == (2, 3, 5, 16) and (vit.embed_dims, vit.grid_size) == (16, (2, 2))
    for b in range(2):
        for t in range(3):
            x = vit.vit._pos_embed(vit.vit.patch_embed(video[b, t][None]))
            assert torch.allclose(tokens[b, t], vit.vit.blocks(vit.vit.norm_pre(x))[0], atol=1e-6)


def test_final_norm_gives_timm_features():
    vit = tiny(final_norm=True)
    video = torch.randn(1, 2, 3, 16, 16)
    assert torch.allclose(vit(video)[0], vit.vit.forward_features(video[0]), atol=1e-6)


@pytest.mark.parametrize(
    'name,kwargs',
    [
        ('vit_small_patch14_reg4_dinov2', {'img_size': 28, 'depth': 1}),
        ('eva02_tiny_patch14_224', {'img_size': 28, 'depth': 1}),
        ('vit_base_patch16_clip_224', {'img_size': (32, 48), 'depth': 1}),
    ],
)
def test_other_families_keep_cls_and_patches_only(name, kwargs):
    vit = TimmViT(name, **kwargs)
    height, width = vit.img_size
    rows, columns = vit.grid_size
    out = vit(torch.randn(1, 2, 3, height, width))
    assert out.shape == (1, 2, 1 + rows * columns, vit.embed_dims)


# a CLS token, registers, attention pooling: what a ViT may have or lack beside its patches
@pytest.mark.parametrize(
    'name,kwargs',
    [
        ('vit_so400m_patch14_siglip_224.v2_webli', {'img_size': 28, 'cls': 'mean'}),
        ('vit_pe_core_gigantic_patch14_448.fb', {'img_size': 28, 'cls': 'mean'}),
        ('vit_base_patch16_reg4_gap_256', {'img_size': 32, 'cls': 'mean'}),
        ('vit_pe_core_large_patch14_336.fb', {'img_size': 28}),
        ('vit_large_patch16_dinov3.lvd1689m', {'img_size': 32}),
    ],
)
def test_cls_is_the_token_or_the_mean_of_the_patches(name, kwargs, tmp_path):
    small = {'depth': 1, 'embed_dim': 32, 'num_heads': 2, **kwargs}
    vit = TimmViT(name, **small)
    video = torch.randn(1, 2, 3, *vit.img_size)
    out = vit(video)
    assert out.shape == (1, 2, 5, 32)
    if 'cls' in kwargs:
        assert torch.allclose(out[:, :, 0], out[:, :, 1:].mean(dim=2), atol=1e-6)
        with pytest.raises(ValueError, match="cls='mean'"):
            TimmViT(name, **small | {'cls': 'token'})
    assert ('cls=mean' in repr(vit)) == ('cls' in kwargs)
    # published files hold the pooling that is not used
    published = timm.create_model(name, **{key: small[key] for key in small if key != 'cls'})
    save_file(published.state_dict(), tmp_path / 'vit.safetensors')
    loaded = TimmViT(name, **small, checkpoint=str(tmp_path / 'vit.safetensors'))
    assert not any('attn_pool' in key for key in loaded.state_dict())


def test_size_mean_and_deviation_are_those_of_the_weights():
    half = (127.5,) * 3
    for name, size, mean, std in (
        ('vit_pe_core_tiny_patch16_384', 384, half, half),
        ('vit_tiny_patch16_224', 224, half, half),
        ('vit_base_patch32_clip_224', 224, (122.771, 116.746, 104.094), (68.501, 66.632, 70.323)),
    ):
        vit = TimmViT(name, depth=1, embed_dim=16, num_heads=2)
        assert vit.img_size == (size, size)
        assert vit.mean == pytest.approx(mean, abs=1e-3) and vit.std == pytest.approx(std, abs=1e-3)
    shipped = dict(checkpoint='package://stgt_mm/weights/tiny_vit.safetensors', img_size=48, embed_dim=96)
    assert tiny(**shipped, depth=3, num_heads=4).mean is None


def test_the_model_normalises_as_its_weights_want(tmp_path):
    config = aligner_config(write_vocab(tmp_path))
    assert MODELS.build(config).data_preprocessor.mean.flatten().tolist() == [127.5] * 3
    config['data_preprocessor']['mean'] = [1.0, 2.0, 3.0]
    prepared = MODELS.build(config).data_preprocessor
    assert prepared.mean.flatten().tolist() == [1, 2, 3] and prepared.std.flatten().tolist() == [127.5] * 3


def test_frozen_means_eval_and_no_gradient():
    vit = tiny().train()
    assert not any(module.training for module in vit.modules())
    assert not any(parameter.requires_grad for parameter in vit.parameters())
    assert not vit(torch.randn(1, 1, 3, 16, 16, requires_grad=True)).requires_grad
    free = tiny(frozen=False)
    assert free.training and free(torch.randn(1, 1, 3, 16, 16)).requires_grad


class Model(BaseModel):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(16, 1)

    def forward(self, inputs, mode='tensor'):
        return {'loss': self.head(self.backbone(inputs)).square().mean()}


def test_a_step_through_the_runner_leaves_the_backbone_bit_for_bit(tmp_path):
    model = Model(tiny())
    before, head = snapshot(model.backbone), model.head.weight.clone()
    data = torch.utils.data.DataLoader(
        [{'inputs': torch.randn(2, 3, 16, 16)} for _ in range(4)], batch_size=2
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    Runner(
        model,
        str(tmp_path),
        train_dataloader=data,
        optim_wrapper=OptimWrapper(optimizer),
        train_cfg={'by_epoch': True, 'max_epochs': 1},
        default_hooks={'checkpoint': None, 'logger': None},
        log_level='ERROR',
        experiment_name='frozen',
    ).train()
    assert not torch.equal(head, model.head.weight)
    after = model.backbone.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before) and before.keys() == after.keys()


def test_unfrozen_weights_survive_init_weights_too():
    model = Model(tiny(frozen=False))
    before = snapshot(model.backbone)
    model.init_weights()
    assert all(torch.equal(value, model.backbone.state_dict()[key]) for key, value in before.items())


@pytest.mark.parametrize('suffix', ['safetensors', 'pth'])
def test_checkpoint_of_a_deeper_model_is_cut(suffix, tmp_path):
    source = timm.create_model(**TINY, num_classes=7, depth=3)
    path = tmp_path / f'weights.{suffix}'
    save_file(source.state_dict(), path) if suffix == 'safetensors' else torch.save(source.state_dict(), path)
    vit = tiny(checkpoint=str(path))
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in vit.vit.state_dict().items())
    same, other = tiny(checkpoint=str(path)), tiny()
    assert state_sha256(vit.vit) == state_sha256(same.vit) != state_sha256(other.vit)


def test_weights_that_do_not_fit_are_listed(tmp_path):
    state = tiny().vit.state_dict()
    del state['cls_token']
    state['extra'] = torch.zeros(1)
    state['pos_embed'] = torch.zeros(1, 9, 16)
    save_file(state, tmp_path / 'bad.safetensors')
    with pytest.raises(ValueError) as error:
        tiny(checkpoint=str(tmp_path / 'bad.safetensors'))
    for part in (
        '1 missing in the file:\n    cls_token',
        '1 not in the model:\n    extra',
        'pos_embed: [1, 9, 16] in',
    ):
        assert part in str(error.value)


def test_package_weights_are_resolved(tmp_path, monkeypatch):
    package = tmp_path / 'weights_package'
    (package / 'data').mkdir(parents=True)
    (package / '__init__.py').write_text('')
    source = tiny()
    save_file(source.vit.state_dict(), package / 'data' / 'tiny.safetensors')
    monkeypatch.syspath_prepend(str(tmp_path))
    vit = tiny(checkpoint='package://weights_package/data/tiny.safetensors')
    assert state_sha256(vit.vit) == state_sha256(source.vit)
    with pytest.raises(FileNotFoundError, match=r'nothing\.safetensors'):
        tiny(checkpoint='package://weights_package/nothing.safetensors')


def test_pickled_objects_are_refused(tmp_path):
    torch.save({'x': object}, tmp_path / 'bad.pth')
    with pytest.raises(Exception, match=r'weights_only|Unsupported'):
        tiny(checkpoint=str(tmp_path / 'bad.pth'))


def test_unreachable_hub_says_what_to_do(monkeypatch):
    real = timm.create_model

    def offline(name, pretrained=False, **kwargs):
        if pretrained:
            raise OSError('no route to host')
        return real(name, pretrained=pretrained, **kwargs)

    monkeypatch.setattr(timm, 'create_model', offline)
    with pytest.raises(RuntimeError, match='checkpoint='):
        tiny(pretrained=True)


def test_bad_arguments_say_what_helps():
    for kwargs, words in [
        ({'model_name': 'vit_tinny'}, 'vit_tinny'),
        ({'depth': 0}, 'depth 0'),
        ({'model_name': 'resnet18'}, 'resnet18'),
        ({'pretrained': True, 'checkpoint': 'x.pth'}, 'exclude'),
        ({'cls': 'first'}, "cls='first'"),
    ]:
        with pytest.raises(ValueError, match=words):
            tiny(**kwargs)
    with pytest.raises(ValueError, match='resnet18'):
        TimmViT('resnet18')
    with pytest.raises(ValueError, match=r'\[1, 1, 3, 8, 8\]'):
        tiny()(torch.zeros(1, 1, 3, 8, 8))
