"""A config of the repository at a size that a test can run: generated clips, small batches, short stages."""

import json
from pathlib import Path

from PIL import Image
from safetensors.torch import save_file
from small_encoders import FRAMES, publish, publish_open_clip

from stgt_mm.engine.checkpoint.weights import is_in
from stgt_mm.registry import MODELS

PAIRS = 8  # clips of each annotation file, and the batch size
SIDE, PATCH, WIDTH = 32, 8, 32
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
SMALL = {'batch_size': PAIRS, 'num_workers': 0, 'persistent_workers': False, 'pin_memory': False}
# keys of the paper's model -> values of a small one, where a component has them
SMALL_MODEL = {
    'backbone': {
        'model_name': 'vit_tiny_patch16_224', 'img_size': SIDE, 'patch_size': PATCH, 'embed_dim': WIDTH,
        'depth': 1, 'num_heads': 2, 'group_after': (1,), 'num_groups': 4,
    },
    'neck': {'embed_dims': WIDTH, 'num_heads': 2, 'grid_size': SIDE // PATCH},
    'qformer': {'width': WIDTH, 'vision_width': WIDTH, 'depth': 2, 'num_heads': 2, 'num_queries': 4,
                'vocab_size': None},
    'contrastive_head': {'width': WIDTH},
    'matching_head': {'width': WIDTH},
    'answer_head': {'width': WIDTH, 'num_answers': None},
    'action_head': {'width': WIDTH, 'num_actions': None},
}  # fmt: skip
SMALL_TEXT_ENCODER = {
    'model_type': 'bert',
    'hidden_size': WIDTH,
    'intermediate_size': WIDTH,
    'num_hidden_layers': 1,
    'num_attention_heads': 2,
}
SMALL_LANGUAGE_MODEL = {
    'model_type': 'opt', 'hidden_size': WIDTH, 'word_embed_proj_dim': WIDTH, 'ffn_dim': WIDTH,
    'num_hidden_layers': 1, 'num_attention_heads': 2, 'max_position_embeddings': 256, 'dropout': 0.0,
}  # fmt: skip
ALWAYS_SET = {'backbone': {'img_size', 'patch_size', 'embed_dim', 'depth', 'num_heads'}}


def reduce_config(cfg, data: Path, work_dir: Path):
    """Points a config at small data and makes it run a step a stage and a test, in place.

    Args:
        cfg: The config.
        data: A small Moving Shapes.
        work_dir: Where the run writes; also for the annotations, pictures and weights that are made here.
    """
    cfg.work_dir = str(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    for name in LOADERS:
        if cfg.get(name) is not None:
            cfg[name].update({key: value for key, value in SMALL.items() if key in cfg[name]})
            _reduce_data(cfg[name], data, work_dir)
    for choice in ((cfg.get('test_cfg') or {}).get('choices') or {}).values():
        choice.update({key: value for key, value in SMALL.items() if key in choice})
        _reduce_data(choice, data, work_dir)
    for name in ('val_evaluator', 'test_evaluator'):
        if (cfg.get(name) or {}).get('vocabulary') is not None:
            cfg[name].vocabulary = str(data / 'answers.txt')
        if (cfg.get(name) or {}).get('actions') is not None:
            cfg[name].actions = str(data / 'actions.txt')
    _reduce_model(cfg.model, data)
    if cfg.model.backbone.get('pretrained'):
        _publish_towers(cfg, work_dir / 'published')
    if cfg.get('train_cfg') is not None:
        _reduce_schedule(cfg)
    if cfg.model.backbone.get('img_size') == SIDE or cfg.model.get('checkpoint'):
        _write_weights(cfg, work_dir)
    return cfg


def _reduce_data(node, data, work_dir):
    if isinstance(node, dict):
        if 'ann_file' in node:
            images = 'LoadImage' in str(node['pipeline'][0]['type'])
            kinds = {'VideoQADataset': '_qa', 'VideoActionDataset': '_actions'}
            kind = kinds.get(str(node['type']).rpartition('.')[2], '')
            source = data / f'{Path(node["ann_file"]).stem.removesuffix(kind)}{kind}.jsonl'
            source = source if source.is_file() else data / f'train{kind}.jsonl'
            node['ann_file'], node['video_root'] = _pairs(source, data, work_dir, images)
            node.pop('feature_cache', None)
        if 'size' in node and node['size'] in (224, 336):
            node['size'] = SIDE
        for value in node.values():
            _reduce_data(value, data, work_dir)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _reduce_data(value, data, work_dir)


def _pairs(source, data, work_dir, images):
    """Writes a line of each of the first clips of an annotation file, of pictures if asked; and its root."""
    lines = map(json.loads, source.read_text().splitlines())
    records = list({line['video']: line for line in lines}.values())[:PAIRS]
    root = data / 'videos'
    if images:
        root = work_dir / 'images'
        root.mkdir(exist_ok=True)
        for number, record in enumerate(records):
            record.update(video=f'{number}.png', video_id=f'image{number}')
            Image.new('RGB', (40, 36), (30 * number, 128, 0)).save(root / record['video'])
    file = work_dir / f'{"images" if images else "videos"}_{source.name}'
    file.write_text(''.join(json.dumps(record) + '\n' for record in records))
    return str(file), str(root)


def _reduce_model(model, data):
    if 'vocab' in model.data_preprocessor.get('tokenizer', {}):
        model.data_preprocessor.tokenizer.vocab = str(data / 'vocab.txt')
    if model.get('answer_head') is not None:
        model.answer_head.vocabulary = str(data / 'answers.txt')
    if model.get('action_head') is not None:
        model.action_head.actions = str(data / 'actions.txt')
    if model.get('candidates') is not None:
        model.candidates = str(data / 'answers.txt')
    if model.get('language_model') is not None:
        own = {'config': SMALL_LANGUAGE_MODEL, 'tokenizer': str(data / 'qa_vocab.txt')}
        model.language_model.update(own, pretrained=None, precision='float32')
    kind = str(model.backbone.type).rstrip("'>").rpartition('.')[2]
    if kind not in ('TimmViT', 'GroupedViT') or model.backbone.get('img_size') == 48:
        return
    for part, values in SMALL_MODEL.items():
        if part not in model:
            continue
        known = {key: value for key, value in values.items() if key in model[part]}
        model[part].update(known, **{key: values[key] for key in ALWAYS_SET.get(part, ())})
    if kind == 'GroupedViT':
        model.backbone.depth = 2  # a block behind the last grouping, which else trains no token
    if 'contrastive_head' in model:
        model.contrastive_head.embed_dim //= 16
    if 'text_encoder' in model:
        model.text_encoder.update(pretrained=None, config=SMALL_TEXT_ENCODER)
    for head in (model.get('auxiliary_heads') or {}).values():
        head.update({'width': WIDTH} if 'width' in head else {})


def _publish_towers(cfg, folder):
    """Writes a small dual encoder as it is published and has the config read it."""
    backbone = cfg.model.backbone
    kind = backbone.pop('config', {}).get('model_type')
    publish(kind, folder) if kind else publish_open_clip(folder)
    nodes = [backbone, cfg.model.data_preprocessor.tokenizer]
    for loader in filter(None, map(cfg.get, LOADERS)):
        load, resize = loader.dataset.pipeline[:2]
        load.num_frames = FRAMES
        nodes.append(resize)
    for node in nodes:
        node.update(pretrained=str(folder))
        node.pop('max_length', None)
    keys = ((cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}).get('custom_keys', {})
    for key in [key for key in keys if any(f'.layers.{n}.' in key for n in range(2, 12))]:
        del keys[key]


def _reduce_schedule(cfg):
    stages = [(1, rate) for _, rate in cfg.param_scheduler.stages]
    cfg.param_scheduler.update(stages=stages, warmup_iters=0, warmup_ratio=0.0)
    cfg.train_cfg.update(max_epochs=len(stages), val_interval=len(stages))
    for hook in cfg.get('custom_hooks') or []:
        if 'stages' in hook:
            hook['stages'] = [(1, alpha) for _, alpha in hook['stages']]
    loader = cfg.train_dataloader
    if 'samples_per_epoch' in loader.sampler:
        loader.sampler.samples_per_epoch = PAIRS
    if (loader.get('batch_sampler') or {}).get('max_epochs') is not None:
        loader.batch_sampler.update(max_epochs=len(stages), curriculum=None)


def _write_weights(cfg, work_dir):
    """Writes what the config starts from: the backbone's own file, and of the rest what must be there."""
    backbone, start = cfg.model.backbone, cfg.model.pop('checkpoint', None)
    grouped = 'GroupedViT' in str(backbone.type)
    own_backbone = backbone.img_size == SIDE and not (grouped and start)
    if own_backbone:
        backbone.checkpoint = None
    model = MODELS.build(cfg.model)
    if own_backbone:
        backbone.checkpoint = str(work_dir / 'vit.safetensors')
        # weights of an image, which a video encoder inflates
        image = (
            MODELS.build({**backbone, 'checkpoint': None, 'tubelet': 1})
            if 'tubelet' in backbone
            else model.backbone
        )
        save_file(image.vit.state_dict(), backbone.checkpoint)
    if start:
        cfg.model.checkpoint = str(work_dir / 'aligner.safetensors')
        state = model.state_dict()
        kept = ('neck', 'vision_norm', 'qformer', *['backbone'] * grouped)
        parts = [key for key in state if is_in(key, kept)]
        save_file({key: state[key] for key in parts}, cfg.model.checkpoint)
    if cfg.get('load_from'):
        fresh = cfg.get('load_strict', True)
        if not isinstance(fresh, bool):
            # the small Q-Former lacks layers
            fresh = cfg.load_strict = [
                own for own in fresh if any(is_in(key, [own]) for key in model.state_dict())
            ]
        absent = ['backbone', *([] if isinstance(fresh, bool) else fresh)]
        state = {key: value for key, value in model.state_dict().items() if not is_in(key, absent)}
        cfg.load_from = str(work_dir / 'start.safetensors')
        save_file(state, cfg.load_from)
