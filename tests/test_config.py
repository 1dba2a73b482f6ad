import copy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from stgt_mm.config import apply_override, load_config, parse_overrides
from stgt_mm.config_check import accepted_keys, resolve_type
from stgt_mm.registry import MODELS

CONFIG = str(Path(__file__).parent / 'engine' / 'engine_toy_config.py')
MOVING_SHAPES = str(Path(__file__).parents[1] / 'configs' / 'moving_shapes' / 'stgt_tiny.py')
LAZY = """
from torch.optim import AdamW
from stgt_mm.models.necks import STGT
from stgt_mm.engine.loops import ResumableEpochLoop
from stgt_mm.engine.hooks import AlignmentStageHook
model = dict(type='VideoTextAligner', neck=dict(type=STGT, embed_dims=8, num_heads=2, attn_drop=0.0))
train_cfg = dict(type=ResumableEpochLoop, max_epochs=3)
optim_wrapper = dict(
    type='AutocastOptimWrapper', optimizer=dict(type=AdamW, lr=1e-3), clip_grad=dict(max_norm=1.0)
)
custom_hooks = [dict(type=AlignmentStageHook, stages=[(2, 1.0), (1, 0.0)])]
helper = 3
"""


@pytest.fixture
def lazy(tmp_path):
    path = tmp_path / 'lazy_config.py'
    path.write_text(LAZY)
    return str(path)


def load(path, *options):
    return load_config(path, parse_overrides(options))


def test_the_text_is_formatted_once_for_each_content(monkeypatch, tmp_path):
    formatted = []
    monkeypatch.setattr(
        'mmengine.config.config.FormatCode', lambda text, **_: (formatted.append(text) or text, True)
    )
    cfg = load(CONFIG, f'work_dir={tmp_path}')
    text = copy.deepcopy(cfg).pretty_text
    cfg.dump(str(tmp_path / 'dumped.py'))
    assert (tmp_path / 'dumped.py').read_text() == cfg.pretty_text == text and len(formatted) == 1
    cfg.train_cfg.max_epochs = 77
    assert 'max_epochs=77' in cfg.pretty_text and len(formatted) == 2


def test_values_are_parsed():
    options = ['a.b=1', 'c=1e-3', 'd=True', 'e=None', 'f=word', 'g=[1,2]', "h={'type': 'X'}", 'i=(2,0.5)']
    assert parse_overrides([*options, 'j=[a,b]']) == {
        'a.b': 1, 'c': 1e-3, 'd': True, 'e': None, 'f': 'word', 'g': [1, 2], 'h': {'type': 'X'},
        'i': (2, 0.5), 'j': ['a', 'b'],
    }  # fmt: skip
    with pytest.raises(ValueError, match='KEY=VALUE'):
        parse_overrides(['train_cfg.max_epochs'])


def test_a_dump_loads_again(lazy, tmp_path):
    cfg = load(lazy, 'model.neck.num_layers=2', 'optim_wrapper.optimizer.type=SGD')
    cfg.dump(str(tmp_path / 'dump.py'))
    again = load_config(tmp_path / 'dump.py')
    assert again.to_dict() == cfg.to_dict()
    assert again.custom_hooks[0].stages == [(2, 1.0), (1, 0.0)]
    assert Config.fromfile(str(tmp_path / 'dump.py')).model.neck.num_layers == 2
    assert resolve_type(again.train_cfg.type, ('train_cfg',)).__name__ == 'ResumableEpochLoop'


def test_a_changed_type_drops_keys_and_says_so(lazy, capsys):
    cfg = load(lazy, 'model.neck.embed_dims=16', 'model.neck.type=MeanPoolNeck')
    assert dict(cfg.model.neck) == {'type': 'MeanPoolNeck', 'embed_dims': 16}
    printed = capsys.readouterr().out
    assert 'MeanPoolNeck takes no num_heads, dropped num_heads=2' in printed
    assert 'attn_drop' in printed


def test_none_can_become_a_component(lazy):
    cfg = load(lazy, 'model.neck=None', 'model.caption_head.type=CaptionHead')
    assert cfg.model.neck is None
    assert cfg.model.caption_head == {'type': 'CaptionHead'}


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ('model.neck.type=STGTT', KeyError, "Did you mean 'STGT'"),
        ('model.neck.num_layer=2', ValueError, "STGT takes no 'num_layer'. Did you mean 'num_layers'"),
        ('model.nek.type=STGT', ValueError, "takes no 'nek'. Did you mean 'neck'"),
        ('modle.neck.num_layers=2', ValueError, "Did you mean 'model'"),
        ('helper=4', ValueError, 'nothing reads any more'),
        ('train_cfg.max_epoch=2', ValueError, "Did you mean 'max_epochs'"),
        ('optim_wrapper.clip_grad.max_nrom=2', ValueError, "Did you mean 'max_norm'"),
        ('optim_wrapper.optimizer.learning_rate=2', ValueError, "AdamW takes no 'learning_rate'"),
        ('custom_hooks.1.stages=[(1,1.0)]', ValueError, "'1' is no index of a list of 1"),
        ('custom_hooks.0.stage=[(1,1.0)]', ValueError, "Did you mean 'stages'"),
        ('train_cfg.max_epochs.x=1', ValueError, 'train_cfg.max_epochs is 3'),
        ('randomness.sed=1', ValueError, "Did you mean 'seed'"),
        ('randomness.seed=abc', ValueError, "randomness.seed='abc': a whole number"),
        ('model=5', ValueError, 'model=5: this is a section'),
        ('log_level=LOUD', ValueError, "log_level='LOUD'. Known: CRITICAL, DEBUG"),
        ('log_level=WARN1NG', ValueError, "Did you mean 'WARNING'"),
        ('model.neck.type=MeanPoolNeck model.neck.num_heads=4', ValueError, "takes no 'num_heads'"),
        ('model.neck.num_heads=two', ValueError, "model.neck.num_heads='two': STGT wants int there"),
        ('train_cfg.max_epochs=many', ValueError, "max_epochs='many': ResumableEpochLoop wants int"),
    ],
)
def test_what_arrives_nowhere_or_does_not_bind_is_an_error(lazy, options, error, message):
    with pytest.raises(error) as caught:
        load(lazy, *options.split())
    assert message in caught.value.args[0]


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ("model['neck']['heads'] = 2", r"model\.neck: STGT takes no 'heads'"),
        (
            'train_dataloder = dict(size=2)',
            "sets 'train_dataloder', which nothing reads. Did you mean 'train_d",
        ),
        ('modle = None', "Did you mean 'model'"),
        ('model = dict(', r'bad\.py:\d+: .*model = dict\('),
    ],
)
def test_a_slip_in_the_file_is_one_line(tmp_path, line, message):
    path = tmp_path / 'bad.py'
    path.write_text(f'{LAZY}{line}\n')
    with pytest.raises(ValueError, match=message) as error:
        load_config(path)
    assert '\n' not in str(error.value)


def test_variables_of_a_config_are_no_slips(tmp_path):
    path = tmp_path / 'good.py'
    path.write_text(f'{LAZY}train_pipeline = loader = evaluation_loader = videos = models_of_mine = 3\n')
    assert load_config(path).evaluation_loader == 3


def test_a_new_annotation_file_is_not_made_by_the_old_command():
    key = 'val_dataloader.dataset'
    assert 'moving_shapes.py' in load(MOVING_SHAPES).val_dataloader.dataset.made_by
    moved = load(MOVING_SHAPES, 'data_root=/disk/a').val_dataloader.dataset.made_by
    assert moved == 'python tools/dataset_converters/moving_shapes.py /disk/a'
    assert 'made_by' not in load(MOVING_SHAPES, f'{key}.ann_file=mine.jsonl').val_dataloader.dataset
    both = load(MOVING_SHAPES, f'{key}.ann_file=mine.jsonl', f'{key}.made_by=me')
    assert both.val_dataloader.dataset.made_by == 'me'


def test_a_wrong_path_suggests_one(tmp_path):
    (tmp_path / 'stgt_tiny.py').write_text(LAZY)
    with pytest.raises(FileNotFoundError, match=r'stgt_tiny\.py'):
        load_config(tmp_path / 'stgt_tny.py')


def test_user_modules_are_found(tmp_path, monkeypatch, lazy):
    code = 'from torch import nn\nfrom stgt_mm.registry import MODELS\n@MODELS.register_module()\n'
    (tmp_path / 'neck_of_mine.py').write_text(
        f'{code}class NeckOfMine(nn.Module):\n    def __init__(self, width=3):\n        super().__init__()\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    options = ['custom_imports.imports=[neck_of_mine]', 'model.neck.type=NeckOfMine', 'model.neck.width=5']
    cfg = load(lazy, *options)
    assert cfg.model.neck.width == 5


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('train_dataloader.batchsize=2', "Did you mean 'batch_size'"),
        ('train_dataloader.dataset.nonsense=3', "VideoTextDataset takes no 'nonsense'"),
        ('val_dataloader.dataset.collect_brokn=3', "Did you mean 'collect_broken'"),
        (
            'test_cfg.choices.one_fact.dataset.videoroot=x',
            "ChoiceDataset takes no 'videoroot'. Did you mean 'video_root'",
        ),
        (
            'test_cfg.choices.one_fact.batchsize=3',
            "test_cfg.choices.one_fact takes no 'batchsize'. Did you mean 'batch_size'",
        ),
    ],
)
def test_keys_of_loaders_behind_kwargs_and_in_choices_are_checked(option, message):
    with pytest.raises(ValueError) as caught:
        load(MOVING_SHAPES, option)
    assert message in str(caught.value)
    assert load(CONFIG, 'train_dataloader.pin_memory=True').train_dataloader.pin_memory is True


def test_kwargs_of_a_class_are_those_of_its_bases():
    class Closed:
        def __init__(self, first):
            pass

    class Middle(Closed):
        def __init__(self, second, **kwargs):
            pass

    class Heir(Middle):
        pass

    class Open:
        def __init__(self, first, **kwargs):
            pass

    assert accepted_keys(Middle) == accepted_keys(Heir) == {'first', 'second'}
    assert accepted_keys(Open) is None
    assert accepted_keys(resolve_type('TimmViT')) is None
    assert {'missing', 'max_retries', 'feature_cache'} <= accepted_keys(resolve_type('VideoTextDataset'))


def test_a_changed_data_set_drops_what_it_does_not_take(capsys):
    key = 'train_dataloader.dataset.type'
    cfg = {'train_dataloader': {'dataset': {'type': 'VideoTextDataset', 'ann_file': 'a', 'max_retries': 3}}}
    apply_override(cfg, key, 'RetrievalDataset', {key: 'RetrievalDataset'})
    assert cfg['train_dataloader']['dataset'] == {'type': 'RetrievalDataset', 'ann_file': 'a'}
    assert 'dropped max_retries=3' in capsys.readouterr().out
    with pytest.raises(ValueError, match="RetrievalDataset takes no 'max_retries'"):
        load(MOVING_SHAPES, 'train_dataloader.dataset.max_retries=2', f'{key}=RetrievalDataset')


def test_data_root_moves_all_paths_and_nothing_else(tmp_path, capsys):
    path = tmp_path / 'config.py'
    path.write_text(
        f"{LAZY}data_root = 'data/a'\nwork_dir = 'data/ab'\nload_from = 'data/a/w.pth'\nresume = 'data/a'\n"
        "launcher = 'x/data/a/y'\ntrain_dataloader = dict(dataset=[('data/a/a.jsonl', 3)], batch_size=1)\n"
    )
    cfg = load(str(path), 'data_root=/disk/a/', 'train_dataloader.batch_size=2')
    assert (cfg.work_dir, cfg.load_from, cfg.resume) == ('data/ab', '/disk/a/w.pth', '/disk/a')
    assert cfg.launcher == 'x/data/a/y'
    assert cfg.train_dataloader.dataset == [('/disk/a/a.jsonl', 3)]
    assert cfg.data_root == '/disk/a'
    assert 'data_root: data/a -> /disk/a in 3 values' in capsys.readouterr().out
    assert load(str(path), 'data_root=b', 'load_from=c').load_from == 'c'
    with pytest.raises(ValueError, match=r'train_dataloader\.dataset\.ann_file'):
        load(CONFIG, 'data_root=/disk')


def test_a_name_is_found_under_a_foreign_scope_and_a_mistyped_one_suggested():
    with DefaultScope.overwrite_default_scope('mmengine'):
        assert type(MODELS.build({'type': 'VTC'})).__name__ == 'VTC'
    with pytest.raises(KeyError, match=r'Did you mean .*MeanPoolNeck'):
        MODELS.build({'type': 'MeanPolNeck'})


def test_a_constructor_that_fails_is_named():
    with pytest.raises(ValueError, match=r"STGT\(embed_dims='wide', num_heads=2\) cannot be built") as caught:
        MODELS.build({'type': 'STGT', 'embed_dims': 'wide', 'num_heads': 2})
    assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(ValueError, match=r"MeanPoolNeck\(nonsense=3\) cannot be built: .*'nonsense'"):
        MODELS.build({'type': 'MeanPoolNeck', 'nonsense': 3})
