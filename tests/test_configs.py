"""Every config of the tree: loads, binds, builds at full size without memory, trains a step, tests."""

import json
import math
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from reduced import PAIRS, reduce_config

from stgt_mm.config import load_config
from stgt_mm.config_check import TOP_LEVEL, check_epochs, validate_config
from stgt_mm.engine.cli import build_runner
from stgt_mm.engine.needed_files import needed_files
from stgt_mm.evaluation import find_paper_row
from stgt_mm.random_weights import build_on_meta
from stgt_mm.registry import MODELS

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(p for p in (ROOT / 'configs').rglob('*.py') if '_base_' not in p.parts)
NAMES = [str(path.relative_to(ROOT)) for path in CONFIGS]
ANSWERERS = [p for p in CONFIGS if p.parent.name == 'video_qa' and 'custom' not in p.stem]
ANSWERERS += [p for p in CONFIGS if p.stem == 'msrvtt_captions_opt2_7b']
# parameters of the published weights in the folders that the configs name
LANGUAGE_MODELS = {'opt-2.7b': 2_651_596_800, 'vicuna-7b': 6_738_415_616}
TEST_LENGTHS = {'msrvtt': 36, 'lsmdc': 32, 'msvd': 32, 'didemo': 55}


@cache
def loaded(path):
    """A config, which tests share and do not change."""
    return load_config(path, {})


def full(name):
    return loaded(ROOT / 'configs' / name)


def test_all_configs_are_found():
    sets = [f'retrieval/{name}_{setting}' for name in TEST_LENGTHS for setting in ('zeroshot', 'finetune')]
    pretrainings = [f'stgt/pretrain_{name}' for name in ('w2m_cc3m', 'w10m', 'w10m_v4m', 'w10m_v7m')]
    wanted = [*sets, *(f'{name}_1024' for name in sets), *pretrainings, 'stgt/pretrain_w10m_v4m_1024']
    encoders = (
        'clip4clip_vitb32',
        'clip4clip_vitb16',
        'xclip_b32',
        'siglip2_so400m',
        'pe_core_b16',
        'pe_core_l14',
    )
    wanted += [f'baselines/{name}_msrvtt' for name in encoders]
    assert {f'configs/{name}.py' for name in [*wanted, 'moving_shapes/stgt_tiny']} <= set(NAMES)


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_config_binds_survives_a_dump_and_is_short(path, tmp_path):
    cfg = loaded(path)
    check_epochs(cfg)
    assert path.read_text().startswith('"""'), 'a config says what it reproduces'
    assert len(path.read_text().splitlines()) <= 40
    cfg.dump(str(tmp_path / 'dumped.py'))
    again = load_config(str(tmp_path / 'dumped.py'), {})
    validate_config(again)
    assert again.model.to_dict() == cfg.model.to_dict()


def test_all_models_build_at_full_size_without_memory():
    built = {}
    for path in CONFIGS:
        cfg = loaded(path)
        if (cfg.model.get('qformer') or {}).get('vocab_size') is None or path in ANSWERERS:
            continue  # the vocabulary of a data set decides the size; answerers and dual encoders below
        model = cfg.model.to_dict()
        model['backbone']['checkpoint'] = None
        model['data_preprocessor']['tokenizer']['vocab'] = 'any'
        built.setdefault(json.dumps(model, sort_keys=True), (path.stem, model))
    trained = {}
    for name, model in built.values():
        with torch.device('meta'):
            parts = MODELS.build(model)
        trained[name] = sum(p.numel() for p in parts.parameters() if p.requires_grad)
    # Table 6: 246.2M learnable; 2 x 768 more columns of projections and biases at P = 1024
    assert trained.pop('table2_cross_frame') > 246_000_000
    assert (trained.pop('pretrain_pe_core_l14'), trained.pop('pretrain_siglip2_so400m')) == (
        214_665_022,
        224_206_014,
    )
    wide = 246_237_118 + 2 * 768 * 769
    assert set(trained.values()) == {246_237_118, wide}


@pytest.mark.parametrize(
    'name,total',
    [('clip4clip_vitb32', 151_277_313), ('siglip2_so400m', 1_135_463_601), ('pe_core_l14', 671_138_817)],
)
def test_dual_encoders_build_at_full_size_without_memory(name, total):
    if name.startswith('pe_core'):
        pytest.importorskip('open_clip')
    model = build_on_meta(full(f'baselines/{name}_msrvtt.py').model)
    assert sum(parameter.numel() for parameter in model.parameters()) == total, 'as published'


def test_s_vilm_builds_at_full_size_without_memory():
    model = build_on_meta(full('s_vilm/pretrain_videocc.py').model)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in model.named_children()}
    blocks = sum(p.numel() for p in model.backbone.grouping.parameters())
    # ViT-B/16 without its classifier; 3 x 16 x 16 x 768 more for the second frame of a tubelet
    beside = blocks + (16 + 32) * 768 + 3 * 16 * 16 * 768
    assert parts['backbone'] - beside == 85_798_656
    assert parts['text_encoder'] == 109_482_240 - (768 + 1) * 768, 'BERT base without its pooler'
    full_row = find_paper_row('msrvtt_zeroshot/s_vilm')
    assert str(full_row.values['t2v']['R1']) == '28.6' and 'second-hand' in full_row.setting


S_VILM = [path for path in CONFIGS if path.parent.name == 's_vilm']


@pytest.mark.parametrize('path', S_VILM, ids=lambda path: path.stem)
def test_s_vilm_sees_32_frames(path):
    cfg = loaded(path)
    loaders = [cfg.get(f'{part}_dataloader') for part in ('train', 'val', 'test')]
    sets = [loader.dataset for loader in loaders if loader]
    loads = [own.pipeline[0] for part in sets for own in part.get('sources', {'': part}).values()]
    frames = [load.num_frames for load in loads if 'Image' not in str(load.type)]
    assert set(frames) == {32} == {cfg.model.backbone.num_frames}


@pytest.mark.parametrize('path', ANSWERERS, ids=lambda path: path.stem)
def test_answerers_build_at_full_size_without_memory(path):
    cfg = loaded(path)
    assert cfg.model.checkpoint.endswith('stgt_w10m_v7m_256.safetensors')
    total = LANGUAGE_MODELS.get(Path(cfg.model.get('language_model', {}).get('pretrained', '')).name, 0)
    parts = build_on_meta(cfg.model)
    trained = {name.split('.')[0] for name, p in parts.named_parameters() if p.requires_grad}
    assert trained == {'qformer', 'projection' if total else 'answer_head'}
    if total:
        assert sum(p.numel() for p in parts.language_model.parameters()) == total
    assert (parts.qformer.embeddings.words is not None) is ('opt' not in path.stem)
    assert cfg.param_scheduler.stages == [(9, 3e-5)] and cfg.train_cfg.max_epochs == 9
    assert cfg.optim_wrapper.optimizer.lr == 3e-5 and cfg.train_dataloader.batch_size == 20
    if cfg.model.get('task') == 'caption':
        assert parts.prompt == 'a photo of' and parts.max_new_tokens == 30
    elif total:
        assert find_paper_row(cfg.test_evaluator.paper_row).values['qa']['accuracy'] > 50
        short = 'Short answer' if 'opt' in path.stem else 'Answer'
        assert cfg.model.prompt == f'Question: {{question}} {short}:'


@pytest.mark.parametrize('name,answers,accuracy', [('msrvtt', 1500, 43.5), ('msvd', 1000, 46.4)])
def test_s_vilm_answers_at_full_size_from_its_pretraining(name, answers, accuracy):
    cfg = full(f's_vilm/{name}_qa.py')
    model = build_on_meta(cfg.model)
    assert model.answer_head.classifier.out_features == answers
    assert cfg.load_strict is False
    aligner = build_on_meta(full('s_vilm/pretrain_videocc.py').model).state_dict()
    fresh = ('video_proj', 'question_proj', 'fusion', 'answer_head')
    assert {key for key in model.state_dict() if not key.startswith(fresh)} <= set(aligner)
    row = find_paper_row(cfg.test_evaluator.paper_row)
    assert float(row.values['qa']['accuracy']) == accuracy and 'second-hand' in row.setting


@pytest.fixture(scope='module')
def runs():
    """Metrics by what ran: half of the configs differ in places, names, rates and text lengths alone."""
    return {}


def what_runs(cfg):
    plain = {key: value for key, value in cfg.to_dict().items() if key in TOP_LEVEL and key != 'made_by'}
    if cfg.get('train_cfg') is not None:
        plain['param_scheduler']['stages'] = len(cfg.param_scheduler.stages)
    text = json.dumps(plain, sort_keys=True, default=str).replace(cfg.work_dir, '')
    return re.sub(r'"(made_by|paper_row|max_length)": ("[^"]*"|\d+|null)', '', text)


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_config_trains_and_tests_at_reduced_size(path, small_moving_shapes, tmp_path, runs):
    cfg = reduce_config(deepcopy(loaded(path)), small_moving_shapes, tmp_path)
    if 'CaptionMetric' in str(cfg.test_evaluator.type):
        pytest.importorskip('pycocoevalcap')
    key = what_runs(cfg)
    if key not in runs:
        trains = cfg.get('train_cfg') is not None
        reads = ['train_dataloader', 'val_dataloader', 'test_dataloader']
        runner = build_runner(cfg, reads=reads if trains else reads[2:])
        if trains:
            check_training(runner, cfg)
        runs[key] = runner.test()
    metrics = runs[key]
    if 'qa/accuracy' in metrics:
        assert 0 <= metrics['qa/accuracy'] <= 100 and metrics['qa/questions/all'] == PAIRS
        return
    if 'action/top1' in metrics:
        assert 0 <= metrics['action/top1'] <= metrics['action/top5'] <= 100
        assert metrics['action/videos'] == PAIRS
        return
    if 'caption/CIDEr' in metrics:
        # pycocoevalcap adds a tiny number to counts of zero
        assert 0 <= metrics['caption/BLEU-4'] <= metrics['caption/BLEU-1'] + 1e-6 <= 100
        return
    assert 0 <= metrics['t2v/R1'] <= metrics['t2v/R10'] == 100, f'of {PAIRS} clips ten are all'
    assert all(math.isfinite(value) for value in metrics.values() if isinstance(value, float))


def check_training(runner, cfg):
    before = {name: value.clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    sources = len(cfg.train_dataloader.dataset.get('sources', [0]))
    assert runner.iter == sources * len(cfg.param_scheduler.stages)
    alphas = [hook['stages'][-1][1] for hook in cfg.get('custom_hooks') or [] if 'stages' in hook]
    contrast = 'loss_csal' if alphas and alphas[0] == 0 else 'loss_vtc'
    losses = ('loss', 'loss_vtm', 'loss_vtg', contrast)
    if 'ActionClassifier' in str(cfg.model.type):
        losses = ('loss', 'loss_action')
    if 'DualEncoder' in str(cfg.model.type) or 'SViLM' in str(cfg.model.type):
        losses = ('loss', 'loss_vtc')
    if 'Answerer' in str(cfg.model.type):
        losses = ('loss', 'loss_answer')
    if cfg.model.get('auxiliary_heads'):
        losses += ('loss_temporal_grouping', 'loss_noun_grounding')
    assert all(math.isfinite(runner.message_hub.get_scalar(f'train/{key}').current()) for key in losses)
    after = runner.model.state_dict()
    trained = [name for name, p in runner.model.named_parameters() if p.requires_grad]
    for name, value in before.items():
        if name.startswith('backbone.') and name not in trained:
            assert value.equal(after[name]), f'{name}: a frozen weight changed'
    if 'group_after' in cfg.model.backbone and not cfg.model.get('auxiliary_heads'):
        # neither contrast nor answers read groups: their gradient is zero
        trained = [name for name in trained if not name.startswith('backbone.grouping.')]
    changed = [name for name in trained if not before[name].equal(after[name])]
    assert len(changed) > 0.9 * len(trained)


def test_the_numbers_of_the_paper_are_in_the_resolved_configs():
    cfg = full('stgt/pretrain_w10m.py')
    assert cfg.param_scheduler.stages == [(12, 5e-5), (6, 2.5e-5)] and cfg.train_cfg.max_epochs == 18
    assert cfg.custom_hooks[0].stages == [(12, 1.0), (6, 0.0)]
    assert cfg.train_dataloader.batch_size == 20
    assert cfg.auto_scale_lr == dict(enable=True, base_batch_size=960)
    assert cfg.param_scheduler.warmup_ratio == 0.05
    ablation = full('ablations/table3_csal.py').train_dataloader.dataset
    assert ablation.ann_file == cfg.train_dataloader.dataset.ann_file, 'WebVid-10M alone (section 4.3)'
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay, optimizer.betas) == (5e-5, 0.05, (0.9, 0.98))
    neck, head = cfg.model.neck, cfg.model.contrastive_head
    assert (neck.similarity_threshold, neck.test_similarity_threshold) == (0.1, 0.5)
    assert (head.embed_dim, head.csal.gamma, head.vtc.label_smoothing) == (256, 5.0, 0.1)
    names = [str(step.type).rsplit('.', 1)[-1] for step in cfg.train_dataloader.dataset.pipeline]
    assert names == ['LoadVideo', 'RandomResizedCrop', 'RandAugment', 'PackVideoText'], 'no flip'
    assert full('stgt/pretrain_w10m_v4m_1024.py').model.contrastive_head.embed_dim == 1024


@pytest.mark.parametrize('name', TEST_LENGTHS)
def test_retrieval_settings(name):
    for setting in ('zeroshot', 'finetune'):
        for width, suffix in ((256, ''), (1024, '_1024')):
            cfg = full(f'retrieval/{name}_{setting}{suffix}.py')
            assert cfg.model.data_preprocessor.tokenizer.max_length == TEST_LENGTHS[name]
            assert (cfg.test_cfg.rerank_k, cfg.model.neck.test_similarity_threshold) == (32, 0.5)
            assert cfg.model.contrastive_head.embed_dim == width
            row = cfg.test_evaluator.get('paper_row')
            if (name, setting) == ('msvd', 'zeroshot'):
                assert row is None, 'Table 4 is fine-tuned'
            else:
                assert row.startswith(f'{name}_{setting}/') and find_paper_row(row).values
    assert cfg.model.neck.similarity_threshold == 0.5
    assert cfg.param_scheduler.stages == [(9, 2.5e-5)] and cfg.custom_hooks[0].stages == [(9, 0.0)]


def test_whatever_a_config_reads_has_a_command_that_makes_it():
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for path in CONFIGS:
        for item in needed_files(loaded(path), loaders):
            assert '=PATH' not in item.remedy, f'{path.name}: nothing makes {item.path}'
