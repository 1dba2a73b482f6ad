"""Files of a benchmark: rendered clips, and annotations in the forms of the public sets."""

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from stgt_mm.datasets.readers.writer import write_video
from stgt_mm.functional.answers import frequent_answers
from stgt_mm.moving_shapes.grammar import caption, question_kind, questions
from stgt_mm.moving_shapes.meaning import FAMILIES, level, reverse
from stgt_mm.moving_shapes.motion import NUM_FRAMES, draw_tracks
from stgt_mm.moving_shapes.render import RGB, background, render
from stgt_mm.moving_shapes.sets import Benchmark, Clip
from stgt_mm.progress import track

FRAMES_PER_SECOND = 8
SPECIAL_TOKENS = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')
_LOOK_STREAM = 7_000_001


def clip_frames(clip: Clip) -> np.ndarray:
    """Draws a clip, uint8, shape (16, 48, 48, 3).

    Background and shades depend on the clip's group, all else on its own seed.
    """
    look = np.random.default_rng([_LOOK_STREAM, clip.style])
    backdrop, shade = background(look), look.uniform(-14, 14, size=RGB.shape)
    tracks = draw_tracks(clip.meaning, np.random.default_rng(clip.seed))
    return render(tracks, backdrop, shade)


def _render_one(clip: Clip, folder: Path) -> None:
    # Every frame is coded on its own: with predicted frames the first one is sharper, and tells the order.
    path = folder / f'{clip.video_id}.mp4'
    write_video(path, clip_frames(clip), fps=FRAMES_PER_SECOND, crf=18, preset='ultrafast', gop=1)


def render_clips(clips: list[Clip], folder: Path, jobs: int = 2) -> None:
    """Renders clips to ``folder/<video_id>.mp4``, in ``jobs`` processes; their number changes no byte."""
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(_render_one, folder=folder)
    with get_context('spawn').Pool(jobs) if jobs > 1 else nullcontext() as pool:
        done = pool.imap_unordered(work, clips, chunksize=32) if pool else map(work, clips)
        for _ in track(done, 'rendering clips', len(clips)):
            pass


def records(clip: Clip) -> list[dict]:
    """Returns a clip's lines in ``train.jsonl``, ``val.jsonl`` or ``test.jsonl``, one a caption.

    The clips of a group share their wordings, and each wording makes a ``group`` of its own.
    """
    meaning, texts = clip.meaning, clip.texts()
    return [
        {
            'video': f'{clip.video_id}.mp4',
            'video_id': clip.video_id,
            'text': text,
            'text_id': f'{clip.video_id}#{number}',
            'group': clip.group * len(texts) + number,
            'objects': meaning.num_objects,
            'level': level(meaning),
            'family': meaning.family,
            'looks': [[look.size, look.colour, look.shape] for look in meaning.objects],
            'event': list(meaning.event),
            'noun_phrases': [f'{look.colour} {look.shape}' for look in meaning.objects],
        }
        for number, text in enumerate(texts)
    ]


def _choice(clip: Clip, text: str, distractor: str, kind: str, reverse: bool = False) -> dict:
    name = f'{clip.video_id}_reversed' if reverse else clip.video_id
    line = {'video': f'{clip.video_id}.mp4', 'video_id': name, 'text': text}
    return line | {'distractor': distractor, 'kind': kind, 'reverse': reverse}


def backwards_records(benchmark: Benchmark) -> list[dict]:
    """Returns two lines a clip, as it is and played backwards; the distractor is the other's caption."""
    lines = []
    for index in benchmark.backwards:
        clip = benchmark.clips[index]
        texts = clip.text, caption(reverse(clip.meaning), clip.style)
        lines.append(_choice(clip, *texts, 'backwards'))
        lines.append(_choice(clip, *texts[::-1], 'backwards', reverse=True))
    return lines


def one_fact_records(benchmark: Benchmark) -> list[dict]:
    """Returns a line a triple: a clip, its caption, and the caption with one fact changed."""
    clips = [(benchmark.clips[index], kind, changed) for index, kind, changed in benchmark.one_fact]
    return [_choice(clip, clip.text, caption(changed, clip.style), kind) for clip, kind, changed in clips]


def msrvtt_annotation(benchmark: Benchmark) -> dict:
    """Returns the annotation in the form of MSR-VTT's ``MSRVTT_data.json``; ``val`` is its 'validate'."""
    names = {'train': 'train', 'val': 'validate', 'test': 'test'}
    videos, sentences = [], []
    for clip in benchmark.clips:
        if clip.split not in names:
            continue
        seconds = NUM_FRAMES / FRAMES_PER_SECOND
        video = {'category': FAMILIES.index(clip.meaning.family), 'url': '', 'video_id': clip.video_id}
        video |= {'start time': 0.0, 'end time': seconds, 'split': names[clip.split], 'id': clip.number}
        videos.append(video)
        for text in clip.texts():
            sentences.append({'caption': text, 'video_id': clip.video_id, 'sen_id': len(sentences)})
    info = {
        'description': 'Moving Shapes',
        'data_type': 'caption',
        'version': '1.0',
        'contributor': 'stgt_mm',
    }
    return {'info': info, 'videos': videos, 'sentences': sentences}


def qa_annotation(benchmark: Benchmark, split: str) -> list[dict]:
    """Returns the question-answer pairs of a split in the form of MSRVTT-QA's ``{split}_qa.json``."""
    pairs = []
    for clip in benchmark.of(split):
        for question, answer in questions(clip.meaning):
            pair = {'answer': answer, 'category_id': FAMILIES.index(clip.meaning.family), 'id': len(pairs)}
            pairs.append(pair | {'question': f'{question}?', 'video_id': clip.number})
    return pairs


def qa_records(benchmark: Benchmark, split: str) -> list[dict]:
    """Returns the same pairs as lines of ``{split}_qa.jsonl``."""
    lines = []
    for pair in qa_annotation(benchmark, split):
        line = {'video': f'video{pair["video_id"]}.mp4', 'video_id': f'video{pair["video_id"]}'}
        line |= {'question': pair['question'], 'answer': pair['answer'], 'question_id': str(pair['id'])}
        lines.append(line | {'question_type': question_kind(pair['question'])})
    return lines


def action(clip: Clip) -> str:
    """Names what happens in a clip, whatever it happens to: 'turn left up', 'order_two swell right'."""
    return ' '.join((clip.meaning.family, *clip.meaning.event))


def action_record(clip: Clip) -> dict:
    """Returns a clip's line in ``{split}_actions.jsonl``."""
    return {'video': f'{clip.video_id}.mp4', 'video_id': clip.video_id, 'action': action(clip)}


def vocabulary(texts: Iterable[str]) -> list[str]:
    """Returns a WordPiece vocabulary in which every word of ``texts`` is one token.

    Single letters and digits, with and without ``##``, follow: no word of lower-case ASCII is unknown.
    """
    counts = Counter(word for text in texts for word in text.replace(',', ' , ').split())
    words = sorted(counts, key=lambda word: (-counts[word], word))
    letters = 'abcdefghijklmnopqrstuvwxyz0123456789'
    pieces = [*SPECIAL_TOKENS, *words, *letters, *(f'##{letter}' for letter in letters), '?', '.', ',']
    return list(dict.fromkeys(pieces))


def write_annotations(benchmark: Benchmark, root: Path) -> list[Path]:
    """Writes every annotation file of a benchmark into ``root`` and returns their paths."""
    root.mkdir(parents=True, exist_ok=True)
    files = {
        f'{split}.jsonl': [line for clip in benchmark.of(split) for line in records(clip)]
        for split in ('train', 'val', 'test')
    }
    files['backwards.jsonl'] = backwards_records(benchmark)
    files['one_fact.jsonl'] = one_fact_records(benchmark)
    files |= {f'{split}_qa.jsonl': qa_records(benchmark, split) for split in ('train', 'val', 'test')}
    files |= {
        f'{split}_actions.jsonl': [action_record(clip) for clip in benchmark.of(split)]
        for split in ('train', 'val', 'test')
    }
    contents = {name: ''.join(f'{json.dumps(line)}\n' for line in lines) for name, lines in files.items()}
    contents['moving_shapes_data.json'] = json.dumps(msrvtt_annotation(benchmark))
    for split in ('train', 'val', 'test'):
        contents[f'{split}_qa.json'] = json.dumps(qa_annotation(benchmark, split))
    words = vocabulary(text for clip in benchmark.of('train') for text in clip.texts())
    contents['vocab.txt'] = ''.join(f'{word}\n' for word in words)
    asked = files['train_qa.jsonl']
    words = vocabulary(f'{line["question"].removesuffix("?")} {line["answer"]}' for line in asked)
    contents['qa_vocab.txt'] = ''.join(f'{word}\n' for word in words)
    answers = frequent_answers(line['answer'] for line in asked)
    contents['answers.txt'] = ''.join(f'{answer}\n' for answer in answers)
    actions = sorted({action(clip) for clip in benchmark.clips})
    contents['actions.txt'] = ''.join(f'{name}\n' for name in actions)
    for name, content in contents.items():
        (root / name).write_text(content, encoding='utf-8', newline='\n')
    return [root / name for name in contents]
