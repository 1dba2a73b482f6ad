"""The files that a run reads, looked for before anything is built, and what makes those that are absent."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stgt_mm.engine.checkpoint.files import resume_candidates
from stgt_mm.engine.launcher import local_rank
from stgt_mm.errors import UserError
from stgt_mm.models.backbones.weights import PACKAGE_PREFIX

_VIDEOS = 'folder of videos'
_LANGUAGE_MODEL = 'folder of a language model'
# what is said of a file by its key, the last word of where it stands in a config
_KINDS = {
    'ann_file': 'annotation file',
    'bank': 'annotation file',
    'video_root': _VIDEOS,
    'vocab': 'vocabulary file',
    'tokenizer': 'tokenizer',
    'vocabulary': 'answer vocabulary',
    'candidates': 'answer vocabulary',
    'actions': 'action vocabulary',
    'pretrained': _LANGUAGE_MODEL,
    'checkpoint': 'weights',
}
_OF_MODELS = ('checkpoint', 'vocab', 'tokenizer', 'vocabulary', 'candidates', 'actions', 'pretrained')
_OF_DATA = ('ann_file', 'video_root', 'bank', 'vocabulary', 'actions')
# may be the name of a Hugging Face repository
_ON_THE_HUB = ('vocab', 'tokenizer', 'pretrained')
_TOOLS = 'python tools/dataset_converters'
# where the config names nothing that makes a file
_DEFAULT_REMEDIES = {
    'annotation file': f'{_TOOLS}/custom.py LIST {{path}}, or {_TOOLS}/moving_shapes.py {{folder}}',
    'vocabulary file': f'{_TOOLS}/build_vocab.py ANNOTATION.jsonl {{path}}, or for Moving Shapes '
    f'{_TOOLS}/moving_shapes.py',
    'tokenizer': f'{_TOOLS}/build_vocab.py ANNOTATION.jsonl {{path}} --keys question answer',
    'answer vocabulary': f'{_TOOLS}/build_answers.py ANNOTATION.jsonl {{path}}',
    'action vocabulary': f'the converter of the data set: {_TOOLS}/ucf101.py SPLITS {{folder}}, for one',
    _LANGUAGE_MODEL: 'hf download NAME --local-dir {path}, NAME being that of the model at Hugging Face',
    'weights': 'give the path of an existing file: --cfg-options {key}=PATH',
    _VIDEOS: 'put the videos there, or a link to them: ln -s VIDEOS {path}',
}


class MissingFilesError(UserError):
    """Files and folders that a run reads and that are not there; the message has each with its remedy."""


class NeededFile(NamedTuple):
    """One thing that a run reads: where in the config it stands, what it is, its path and what makes it."""

    key: str
    kind: str
    path: str
    remedy: str


def needed_files(cfg: Mapping[str, Any], reads: Sequence[str]) -> list[NeededFile]:
    """Lists the files and folders that a run with the data loaders ``reads`` reads.

    A data set's ``made_by`` is the command that makes its annotation. For other files ``made_by`` of the
    config maps a regular expression for the end of a path to a command, in which ``{path}``, ``{folder}`` and
    the groups ``{0}``, ``{1}`` are filled in.
    """
    commands = cfg.get('made_by') or {}
    found = list(_named_in(cfg.get('model') or {}, 'model', _OF_MODELS, commands))
    # a run that goes on from a checkpoint of its work_dir does not read load_from
    goes_on = cfg.get('resume') == 'auto' and bool(resume_candidates(cfg['work_dir']))
    if cfg.get('load_from') and not goes_on:
        found.append(('load_from', 'weights', str(cfg['load_from']), None))
    for loader in reads:
        for section in (loader, *(loader.replace('_dataloader', part) for part in ('_cfg', '_evaluator'))):
            found += _named_in(cfg.get(section) or {}, section, _OF_DATA, commands)
    return [NeededFile(*item, _remedy(*item, made_by, commands)) for *item, made_by in found]


def _named_in(
    node: Any, where: str, names: Sequence[str], commands: Mapping[str, str]
) -> Iterator[tuple[str, str, str, str | None]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in names and isinstance(value, str) and not value.startswith(PACKAGE_PREFIX):
                if key in _ON_THE_HUB and not _is_path(value, commands):
                    continue
                made_by = node.get('made_by') if key == 'ann_file' else None
                yield f'{where}.{key}', _KINDS[key], value, made_by
            yield from _named_in(value, f'{where}.{key}', names, commands)
    elif isinstance(node, (list, tuple)):
        for index, value in enumerate(node):
            yield from _named_in(value, f'{where}.{index}', names, commands)


def _is_path(value: str, commands: Mapping[str, str]) -> bool:
    """Tells a path from ``owner/name``: it has an extension, more folders, or a command that makes it."""
    extension = Path(value).suffix[1:2].isalpha()  # and not that of 'opt-2.7b'
    return (
        extension
        or value.startswith(('/', '~', '.'))
        or value.count('/') > 1
        or _command_for(value, commands) is not None
    )


def _command_for(path: str, commands: Mapping[str, str]) -> tuple[str, tuple[str, ...]] | None:
    for pattern, command in commands.items():
        match = re.search(f'(?:^|/){pattern}$', path)
        if match:
            return command, match.groups()
    return None


def _remedy(key: str, kind: str, path: str, made_by: str | None, commands: Mapping[str, str]) -> str:
    path = Path(path).as_posix()
    words = {'key': key, 'path': path, 'folder': Path(path).parent.as_posix()}
    if made_by is not None:
        return made_by
    if found := _command_for(path, commands):
        command, groups = found
        return command.format(*groups, **words)
    return _DEFAULT_REMEDIES[kind].format(**words)


def check_needed_files(cfg: Mapping[str, Any], reads: Sequence[str]) -> None:
    """Stops if something that a run reads is not there.

    With several processes on a machine the first one tells, in a MissingFilesError with all that is absent
    and the command that makes it; the others leave it time for that and then exit.
    """
    absent: dict[str, list[str]] = {}
    paths = set()
    for item in needed_files(cfg, reads):
        path = Path(item.path).expanduser()
        is_address = item.kind == _VIDEOS and '://' in item.path  # of shards: the data set asks there
        if is_address or (path.is_dir() if item.kind == _VIDEOS else path.exists()):
            continue
        paths.add(item.path)
        line = f"  no {item.kind} '{item.path}' ({item.key})"
        if item.key == 'load_from':
            line = f'  no checkpoint at {item.path} ({item.key})'
        lines = absent.setdefault(item.remedy, [])
        if line not in lines:
            lines.append(line)
    if not absent:
        return
    if local_rank(cfg.get('launcher')) > 0:
        time.sleep(10)  # the launcher ends all processes once the first has ended
        raise SystemExit(2)
    blocks = ['\n'.join([*lines, f'      {remedy}']) for remedy, lines in absent.items()]
    raise MissingFilesError(
        f'{len(paths)} of the paths that this run reads are not there '
        f'(working directory {Path.cwd()}); below each is what makes it:\n'
        + '\n'.join(blocks)
        + '\nWhat lies elsewhere is named by --cfg-options KEY=PATH, with the KEY in brackets.'
    )
