"""A config of the repository at a size that a test can run: data of the test, small batches, one epoch."""

from pathlib import Path

from stgt_mm.config import load_config

SMALL = {'batch_size': 8, 'num_workers': 0, 'persistent_workers': False}


def _replace_text(node, old, new):
    if isinstance(node, dict):
        return type(node)({key: _replace_text(value, old, new) for key, value in node.items()})
    if isinstance(node, (list, tuple)):
        return type(node)(_replace_text(value, old, new) for value in node)
    return node.replace(old, new) if isinstance(node, str) else node


def reduce_config(path: Path, data: Path, work_dir: Path):
    """Loads a config, points it at small data and makes it run a step and a validation.

    Args:
        path: The config.
        data: A small Moving Shapes.
        work_dir: Where the run writes.
    """
    cfg = load_config(str(path), {})
    root = cfg.data_root
    cfg.work_dir = str(work_dir)
    for key in list(cfg.keys()):
        if not key.startswith('_'):
            cfg[key] = _replace_text(cfg[key], root, str(data))
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[name].update({k: v for k, v in SMALL.items() if k in cfg[name]})
    for choice in (cfg.test_cfg.get('choices') or {}).values():
        choice.update({k: v for k, v in SMALL.items() if k in choice})
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.param_scheduler.stages = [(1, cfg.param_scheduler.stages[0][1])]
    for hook in cfg.custom_hooks:
        if 'stages' in hook:
            hook.stages = [(1, hook.stages[0][1])]
    batch_sampler = cfg.train_dataloader.get('batch_sampler')
    if batch_sampler is not None and 'max_epochs' in batch_sampler:
        batch_sampler.max_epochs = 1
    cfg.train_dataloader.dataset.ann_file = str(
        one_batch(Path(cfg.train_dataloader.dataset.ann_file), work_dir)
    )
    return cfg


def one_batch(ann_file: Path, work_dir: Path) -> Path:
    """Writes the first lines of an annotation file, as many as a batch takes."""
    work_dir.mkdir(parents=True, exist_ok=True)
    short = work_dir / 'one_batch.jsonl'
    lines = ann_file.read_text().splitlines()[: SMALL['batch_size']]
    short.write_text('\n'.join(lines) + '\n')
    return short
