"""What a run reads from disk, looked for before anything is built; and what makes it where it is absent."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stgt_mm.engine.checkpoint.files import resume_candidates
from stgt_mm.engine.launcher import local_rank
from stgt_mm.errors import UserError
from stgt_mm.models.backbones.weights import PACKAGE_PREFIX

_KINDS = {
    'ann_file': 'annotation file',
    'bank': 'annotation file',
    'video_root': 'folder of videos',
    'vocab': 'vocabulary file',
    'checkpoint': 'weights',
}
_CONVERT = 'python tools/model_converters/convert.py'
_DATA = 'python tools/dataset_converters'
# (kind, pattern of the end of the path, command); {path}, {folder} and groups of the pattern may stand in it
_MAKERS = (
    ('weights', r'eva_vit_g\.safetensors', f'{_CONVERT} eva eva_vit_g.pth {{path}}'),
    (
        'weights',
        r'blip2_qformer\.safetensors',
        f'{_CONVERT} lavis_blip2 blip2_pretrained.pth {{path}} --part no_backbone',
    ),
    ('weights', r'bert_qformer\.safetensors', f'{_CONVERT} bert bert-base-uncased {{path}}'),
    ('weights', r'stgt_(\w+)\.safetensors', f'{_CONVERT} released_stgt checkpoint_{{0}}.pth {{path}}'),
    (
        'weights',
        r'clip_vit_(?:b32|b16|l14)\.safetensors',
        f'{_CONVERT} openai_clip CLIP_FOLDER {{path}}',
    ),
    ('weights', r'work_dirs/(pretrain_\w+)/[^/]+', 'bash tools/dist_train.sh configs/stgt/{0}.py 8'),
    ('weights', r'work_dirs/(\w+)/[^/]+', 'the training that has work_dirs/{0} as its --work-dir'),
    (
        'vocabulary file',
        r'bert-base-uncased/vocab\.txt',
        'hf download google-bert/bert-base-uncased vocab.txt --local-dir {folder}',
    ),
    ('any', r'moving_shapes/[^/]+', f'{_DATA}/moving_shapes.py {{folder}}'),
    ('annotation file', r'(msrvtt|msvd|didemo|lsmdc)/[^/]+', f'{_DATA}/{{0}}.py downloads/{{0}} {{folder}}'),
    (
        'annotation file',
        r'webvid(2|10)m/[^/]+',
        f'{_DATA}/webvid.py results_{{0}}M_train.csv {{path}} --video-root {{folder}}/videos',
    ),
    (
        'annotation file',
        r'cc3m/[^/]+',
        f'{_DATA}/cc3m.py Train_GCC-training.tsv {{path}} --image-root {{folder}}/images',
    ),
    (
        'annotation file',
        r'vidal10m/train_(\d+)m\.jsonl',
        f'{_DATA}/vidal.py CAPTIONS.json {{path}} --max-videos {{0}}000000 --video-root {{folder}}/videos',
    ),
    ('annotation file', r'.*', f'{_DATA}/custom.py LIST {{path}}, or {_DATA}/moving_shapes.py {{folder}}'),
    (
        'vocabulary file',
        r'.*',
        f'{_DATA}/build_vocab.py ANNOTATION.jsonl {{path}}, or for Moving Shapes {_DATA}/moving_shapes.py',
    ),
    ('folder of videos', r'.*', 'put the videos there, or a link to them: ln -s VIDEOS {path}'),
)


class MissingFilesError(UserError):
    """Files and folders that a run reads and that are not there; the message has all, each with its cure."""


class NeededFile(NamedTuple):
    """One thing that a run reads.

    Attributes:
        key: Where in the config its path stands.
        kind: What it is, in words.
        path: The path.
    """

    key: str
    kind: str
    path: str


def needed_files(cfg: Mapping[str, Any], reads: Sequence[str]) -> list[NeededFile]:
    """Lists the files and folders that a run reads.

    Args:
        cfg: The whole configuration.
        reads: The data loaders that the run uses, e.g. ``['train_dataloader', 'val_dataloader']``.

    Returns:
        Weights, vocabulary, the checkpoint to start from, then annotations and videos.
    """
    found = list(_named_in(cfg.get('model') or {}, 'model', ('checkpoint', 'vocab')))
    if cfg.get('load_from') and not _goes_on(cfg):
        found.append(NeededFile('load_from', 'weights', str(cfg['load_from'])))
    for loader in reads:
        for section in (loader, loader.replace('_dataloader', '_cfg')):
            found += _named_in(cfg.get(section) or {}, section, ('ann_file', 'video_root', 'bank'))
    return found


def check_needed_files(cfg: Mapping[str, Any], reads: Sequence[str]) -> None:
    """Stops if something that a run reads is not there.

    With several processes on a machine the first one tells; the others leave it time for that.

    Args:
        cfg: The whole configuration.
        reads: The data loaders that the run uses.

    Raises:
        MissingFilesError: With all that is absent and, for each, the command that makes it.
        SystemExit: In processes other than the first of their machine.
    """
    absent = [item for item in needed_files(cfg, reads) if not _is_there(item)]
    if not absent:
        return
    if local_rank(cfg.get('launcher')) > 0:
        time.sleep(10)  # the launcher ends all processes once the first has ended
        raise SystemExit(2)
    cures: dict[str, list[str]] = {}
    for item in dict.fromkeys(absent):
        line = f"no {item.kind} '{item.path}' ({item.key})"
        if item.key == 'load_from':
            line = f'no checkpoint at {item.path} ({item.key})'
        lines = cures.setdefault(maker_of(item), [])
        if line not in lines:
            lines.append(line)
    blocks = ['\n'.join([*(f'  {line}' for line in lines), f'      {cure}']) for cure, lines in cures.items()]
    raise MissingFilesError(
        f'{len({item.path for item in absent})} of the paths that this run reads are not there '
        f'(working directory {Path.cwd()}); below each is what makes it:\n'
        + '\n'.join(blocks)
        + '\nWhat lies elsewhere is named by --cfg-options KEY=PATH, with the KEY in brackets.'
    )


def maker_of(item: NeededFile) -> str:
    """Gives the command that makes a file, or says what to do where there is none.

    Args:
        item: A file or folder.

    Returns:
        One line.
    """
    path = Path(item.path).as_posix()
    for kind, pattern, command in _MAKERS:
        match = re.search(f'(?:^|/){pattern}$', path)
        if match and kind in ('any', item.kind):
            return command.format(*match.groups(), path=path, folder=Path(path).parent.as_posix())
    return f'give the path of an existing file: --cfg-options {item.key}=PATH'


def _named_in(node: Any, where: str, names: Sequence[str]) -> Iterator[NeededFile]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in names and isinstance(value, str) and _is_path(key, value):
                yield NeededFile(f'{where}.{key}', _KINDS[key], value)
            yield from _named_in(value, f'{where}.{key}', names)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _named_in(value, f'{where}.{index}', names)


def _is_path(key: str, value: str) -> bool:
    if value.startswith(PACKAGE_PREFIX):
        return False
    # a name without extension and folders may be a Hugging Face repository
    return key != 'vocab' or bool(Path(value).suffix) or value.startswith('/') or value.count('/') > 1


def _goes_on(cfg: Mapping[str, Any]) -> bool:
    """Says whether the run goes on from a checkpoint of its work dir, so that ``load_from`` is not read."""
    return cfg.get('resume') == 'auto' and bool(resume_candidates(cfg['work_dir']))


def _is_there(item: NeededFile) -> bool:
    path = Path(item.path).expanduser()
    return path.is_dir() if item.kind == 'folder of videos' else path.exists()
