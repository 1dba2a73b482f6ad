"""The two commands on files, as a user calls them."""

import resource

import pytest
import small_blip2
import torch
from command_line import run_here
from lavis_layout import lavis_state, openai_layout
from safetensors.torch import load_file

CONVERT, EXPORT = 'model_converters/convert.py', 'model_converters/export.py'


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """The small model as a config file; its tokenizer's vocabulary does not exist."""
    tokenizer = {'type': 'WordPieceTokenizer', 'vocab': 'nowhere/vocab.txt'}
    preprocessor = {'type': 'VideoTextDataPreprocessor', 'tokenizer': tokenizer}
    path = tmp_path_factory.mktemp('configs') / 'small.py'
    path.write_text(f'model = {small_blip2.model_cfg(data_preprocessor=preprocessor)!r}\n')
    return path


@pytest.fixture(scope='module')
def lavis(tmp_path_factory):
    state = lavis_state(small_blip2.hf_model(seed=9), small_blip2.D, small_blip2.VOCAB)
    path = tmp_path_factory.mktemp('lavis') / 'blip2_pretrained.pth'
    torch.save({'model': state}, path)
    return path, state


def test_parts_of_a_checkpoint(lavis, config, tmp_path, capsys):
    path, state = lavis
    outs = {part: tmp_path / f'{part}.safetensors' for part in ('all', 'backbone', 'no_backbone')}
    for part, out in outs.items():
        assert run_here(CONVERT, 'lavis_blip2', path, out, '--config', config, '--part', part) == 0
        printed = capsys.readouterr().out
        assert 'mapped' in printed and str(out) in printed
        assert not any(word in printed for word in ('UNKNOWN', 'MISSING', 'SHAPE'))
        listed = out.with_suffix('.report.txt').read_text()
        assert all(key in listed for key in state)
    whole, backbone, rest = (load_file(out) for out in outs.values())
    assert {f'backbone.vit.{key}' for key in backbone} | set(rest) == set(whole)
    assert small_blip2.load(small_blip2.build(), whole) == []
    small_blip2.build().backbone.vit.load_state_dict(backbone, strict=True)


def test_a_backbone_file_is_read_by_the_backbone(lavis, config, tmp_path):
    out = tmp_path / 'vit.safetensors'
    options = ('--config', config, '--part', 'backbone', '--img-size', '84')
    assert run_here(CONVERT, 'lavis_blip2', lavis[0], out, *options) == 0
    cfg = small_blip2.model_cfg()['backbone']
    model = small_blip2.build(backbone={**cfg, 'img_size': 84, 'checkpoint': str(out)})
    assert model.backbone.vit.pos_embed.shape == (1, 37, small_blip2.C)
    assert torch.equal(model.backbone.vit.cls_token, lavis[1]['visual_encoder.cls_token'])


def test_what_does_not_fit_is_not_written(lavis, config, tmp_path, capsys):
    state = lavis[1]
    cut = {key: value for key, value in state.items() if 'encoder.layer.2.output.dense' not in key}
    cut['vision_proj.weight'] = torch.ones(4, small_blip2.D)
    torch.save(cut, tmp_path / 'cut.pth')
    out = tmp_path / 'x.safetensors'
    assert run_here(CONVERT, 'lavis_blip2', tmp_path / 'cut.pth', out, '--config', config) == 2
    printed = capsys.readouterr().err
    assert 'qformer.layers.2.text_ffn.down.weight' in printed and 'contrastive_head.vision_proj' in printed
    assert not out.exists() and not out.with_suffix('.report.txt').exists()
    assert run_here(CONVERT, 'lavis_blip2', tmp_path / 'cut.pth', out, '--config', config, '--force') == 0
    assert 'MISSING' in capsys.readouterr().out and out.is_file()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['lavis', 'IN', 'x.safetensors'], "Did you mean 'lavis_blip2'"),
        (['lavis_blip2', 'nowhere.pth', 'x.safetensors'], 'nowhere.pth'),
        (['lavis_blip2', 'IN', 'x.pth'], 'must end in .safetensors'),
        (['lavis_blip2', 'IN', 'x.safetensors', '--config', 'nowhere.py'], 'nowhere.py'),
        (['lavis_blip2', 'IN', 'x.safetensors', '--img-size', '57'], '57 is not a multiple'),
        (['released_stgt', 'IN', 'x.safetensors'], 'graph_cross_model'),
        (['bert', 'IN', 'x.safetensors'], 'is the source of this kind'),
        (['eva', 'EMPTY', 'x.safetensors'], 'holds no tensors'),
    ],
)
def test_mistakes_are_explained(arguments, message, lavis, config, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({}, lavis[0].with_name('empty.pth'))
    files = {'IN': str(lavis[0]), 'EMPTY': str(lavis[0].with_name('empty.pth'))}
    arguments = [files.get(word, word) for word in arguments]
    if '--config' not in arguments:
        arguments += ['--config', str(config)]
    assert run_here(CONVERT, *arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed and 'Traceback' not in printed
    assert list(tmp_path.iterdir()) == []


def test_there_and_back(lavis, config, tmp_path, capsys):
    """Checkpoint, folder of Hugging Face in shards, checkpoint: the same bits."""
    first, folder, last = tmp_path / 'a.safetensors', tmp_path / 'folder', tmp_path / 'b.safetensors'
    (tmp_path / 'vocab.txt').write_text('\n'.join(['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'a']))
    own = tmp_path / 'small.py'
    own.write_text(config.read_text().replace('nowhere/vocab.txt', str(tmp_path / 'vocab.txt')))
    assert run_here(CONVERT, 'lavis_blip2', lavis[0], first, '--config', own) == 0
    assert run_here(EXPORT, own, first, folder, '--shard-size', '200KB') == 0
    printed = capsys.readouterr().out
    assert 'does not open' not in printed and 'Back: python tools/model_converters/convert.py' in printed
    assert len(list(folder.glob('*.safetensors'))) > 1 and (folder / 'config.json').is_file()
    assert run_here(CONVERT, 'hf_blip2', folder, last, '--config', own) == 0
    before, after = load_file(first), load_file(last)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert run_here(EXPORT, own, first, folder) == 2
    assert 'not empty' in capsys.readouterr().err


def test_a_vision_model_alone(config, tmp_path, capsys):
    """A folder of Blip2VisionModel: the backbone and its norm; a key that is lost is an error still."""
    transformers = pytest.importorskip('transformers')
    vision = transformers.Blip2VisionModel(small_blip2.hf_model().config.vision_config)
    vision.save_pretrained(tmp_path / 'vision')
    options = ('--config', config)
    outs = {part: tmp_path / f'{part}.safetensors' for part in ('all', 'backbone', 'no_backbone')}
    for part, out in outs.items():
        assert run_here(CONVERT, 'hf_blip2', tmp_path / 'vision', out, *options, '--part', part) == 0
        printed = capsys.readouterr().out
        assert not any(word in printed for word in ('UNKNOWN', 'MISSING', 'SHAPE', 'UNEXPECTED'))
        listed = out.with_suffix('.report.txt').read_text()
        assert all(key in listed for key in vision.state_dict())
    whole, backbone, rest = (load_file(out) for out in outs.values())
    small_blip2.build().backbone.vit.load_state_dict(backbone, strict=True)
    assert rest.keys() == {'vision_norm.weight', 'vision_norm.bias'}
    assert len(whole) == len(backbone) + len(rest)
    state = {key: value for key, value in vision.state_dict().items() if 'layers.1.mlp.fc1' not in key}
    torch.save(state, tmp_path / 'cut.pth')
    assert run_here(CONVERT, 'hf_blip2', tmp_path / 'cut.pth', tmp_path / 'x.safetensors', *options) == 2
    assert 'backbone.vit.blocks.1.mlp.fc1.weight' in capsys.readouterr().err


def test_without_configs_one_must_be_given(lavis, tmp_path, capsys, monkeypatch):
    """A wheel ships no configs: the message says so."""
    monkeypatch.setattr('stgt_mm.converters.conversion.DEFAULT_CONFIG', tmp_path / 'configs/none.py')
    assert run_here(CONVERT, 'lavis_blip2', lavis[0], tmp_path / 'x.safetensors') == 2
    printed = capsys.readouterr().err
    assert 'none.py' in printed and '--config' in printed and 'source tree' in printed


def test_a_clip_encoder_needs_no_config(tmp_path, capsys):
    """It is compared with timm's model of its width and patch size."""
    from timm import create_model

    with torch.device('meta'):
        model = create_model('vit_base_patch32_clip_quickgelu_224', num_classes=0)
    state = {
        name: (torch.arange(x.numel()) % 1009 + number).reshape(x.shape).half()
        for number, (name, x) in enumerate(model.state_dict().items())
    }
    torch.save(openai_layout(state), tmp_path / 'clip.pth')
    assert run_here(CONVERT, 'openai_clip', tmp_path / 'clip.pth', tmp_path / 'vit.safetensors') == 0
    assert 'MISSING' not in capsys.readouterr().out
    back = load_file(tmp_path / 'vit.safetensors')
    assert all(torch.equal(back[key], value) for key, value in state.items())


def test_a_full_disk_is_one_line_that_names_the_file(lavis, config, tmp_path, capsys):
    first, out, folder = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors', tmp_path / 'folder'
    (tmp_path / 'captions.csv').write_text('video,caption\n' + 'v.mp4,a caption\n' * 2000)
    convert = (CONVERT, 'lavis_blip2', lavis[0])
    assert run_here(*convert, first, '--config', config) == 0
    capsys.readouterr()
    custom = ('dataset_converters/custom.py', tmp_path / 'captions.csv', tmp_path / 'c.jsonl')
    for command, name, why in (
        ((*convert, out, '--config', config), str(out), 'too large'),
        ((EXPORT, config, first, folder), str(folder), 'too large'),
        (custom, 'c.jsonl', 'no space left'),
    ):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # fails a write, as a full disk does
        try:
            assert run_here(*command) == 2
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        message = capsys.readouterr().err.strip().splitlines()
        assert name in message[0] and why in message[0] and '--resume' not in message[0]
        assert message[1:] == ['(--traceback shows where in the code)']
        assert not out.exists() and not (tmp_path / 'c.jsonl').exists()
