"""The retriever: its rankings are those of evaluation, its index follows the files, moments are found."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from command_line import ROOT, run_here
from mmengine.config import Config
from torch.utils.data import DataLoader
from trained_aligner import CANDIDATES, WEIGHT, Trained

from stgt_mm.apis import VideoTextRetriever
from stgt_mm.apis.aligners import find_config
from stgt_mm.datasets import RetrievalDataset, video_text_collate
from stgt_mm.datasets.readers import write_video
from stgt_mm.evaluation.encode import encode_split
from stgt_mm.evaluation.match import match_candidates
from stgt_mm.evaluation.rank import fused_rankings, similarity_rankings
from stgt_mm.evaluation.similarity import similarity_matrix
from stgt_mm.functional.fusion import fuse_scores
from stgt_mm.models import VideoFeatures, VideoTextAligner
from stgt_mm.registry import MODELS
from stgt_mm.search import IndexMismatchError

pytest.importorskip('lancedb')


@MODELS.register_module()
class DualStandIn(VideoTextAligner):
    """What a dual encoder is to a retriever: one embedding a video, no tokens, no matching head."""

    is_complete = True

    def encode_video(self, inputs):
        return VideoFeatures(super().encode_video(inputs).queries[:, :1], None)


@pytest.fixture(scope='module')
def trained(small_moving_shapes, tmp_path_factory):
    return Trained(small_moving_shapes, tmp_path_factory.mktemp('trained'))


@pytest.fixture(scope='module')
def split(trained, small_moving_shapes):
    """The test split as evaluation encodes and ranks it."""
    pipeline = trained.cfg.test_dataloader.dataset.pipeline
    data = RetrievalDataset(small_moving_shapes / 'test.jsonl', small_moving_shapes / 'videos', pipeline)
    with torch.no_grad():
        model = trained.model.eval()
        encoded = encode_split(model, data, DataLoader(data, 4, collate_fn=video_text_collate))
        temperature = float(model.contrastive_head.temperature)
        similarity = similarity_matrix(model, encoded.videos.queries, encoded.texts.embeddings)
        plain = similarity_rankings(similarity, encoded.relation)
        best = match_candidates(model, encoded, similarity, CANDIDATES)
    fused = fuse_scores(best.cosine, best.logits, 'calibrated', temperature, WEIGHT)
    rankings = {own.name: own for own in fused_rankings(plain, best, fused)}
    return data, rankings | {f'sim_{own.name}': own for own in plain}


@pytest.fixture
def clips(small_moving_shapes, tmp_path):
    """A folder of five clips, and of files that are none."""
    folder = tmp_path / 'clips'
    (folder / 'sub').mkdir(parents=True)
    names = sorted(path.name for path in (small_moving_shapes / 'videos').iterdir())[:5]
    for place, name in enumerate(names):
        shutil.copy(small_moving_shapes / 'videos' / name, folder / ('sub' if place > 2 else '') / name)
    (folder / 'broken.mp4').write_bytes(b'no video')
    (folder / 'notes.txt').write_text('no video either')
    shutil.copy(small_moving_shapes / 'videos' / names[0], os.fsencode(folder) + b'/\xff.mp4')
    return folder


@pytest.mark.parametrize('tokens', [True, False])
def test_rankings_are_those_of_evaluation(trained, split, small_moving_shapes, tokens):
    data, rankings = split
    retriever = trained.retriever(keep_tokens=tokens)
    report = retriever.index(small_moving_shapes / 'test.jsonl', small_moving_shapes / 'videos')
    assert (report.encoded, report.moments, report.broken) == (20, 20, {})
    paths = [str(data.path_of(video)) for video in data.videos]
    t2v, v2t = rankings['t2v'], rankings['v2t']
    for number, text in enumerate(data.texts[: 20 if tokens else 3]):
        cosines, order = rankings['sim_t2v'].similarity[number].sort(descending=True)
        hits = retriever.search(text, k=20, rerank_k=0)
        assert [hit.path for hit in hits] == [paths[place] for place in order]
        assert [hit.score for hit in hits] == pytest.approx(cosines.tolist(), abs=1e-5)
        assert {hit.matching for hit in hits} == {None}
        scores, order = t2v.fused[number].sort(descending=True)
        hits = retriever.search(text, k=3)
        assert [hit.path for hit in hits] == [paths[t2v.candidates[number, place]] for place in order[:3]]
        assert [hit.score for hit in hits] == pytest.approx(scores[:3].tolist(), rel=1e-4)
    scores, order = v2t.fused[0].sort(descending=True)
    ranked = retriever.captions(paths[0], data.texts, rerank_k=CANDIDATES)
    assert [own.text for own in ranked[:CANDIDATES]] == [data.texts[v2t.candidates[0, own]] for own in order]
    assert [own.score for own in ranked[:CANDIDATES]] == pytest.approx(scores.tolist(), rel=1e-4)
    assert [own.matching is None for own in ranked] == [False] * CANDIDATES + [True] * (20 - CANDIDATES)
    queries, text = retriever.embed_video(paths[0]), retriever.embed_text(data.texts[0])
    assert (queries @ text).max().item() == pytest.approx(
        rankings['sim_v2t'].similarity[0, 0].item(), abs=1e-5
    )


def test_the_index_follows_the_files(trained, clips, tmp_path, capsys):
    first = trained.retriever(tmp_path / 'index')
    report = first.index(clips)
    assert (report.encoded, report.unchanged, report.removed) == (5, 0, 0)
    assert sorted(os.path.basename(path) for path in report.broken) == ['\\udcff.mp4', 'broken.mp4']
    assert '2 files cannot be read' in str(report) and 'not a video' in str(report)
    lines = str(report).splitlines()
    assert sum('broken.mp4' in line for line in lines) == 1 and str(report).encode()
    retriever = trained.retriever(tmp_path / 'index')
    kept = sorted(path for path in retriever.store.stamps())
    assert retriever.index(clips).unchanged == 5
    # one gone, one damaged by now, one changed, one new
    os.remove(kept[0])
    (clips / kept[1]).write_bytes(b'damaged')
    shutil.copy(kept[3], kept[2])
    shutil.copy(kept[3], clips / 'sub/new.mp4')
    report = retriever.index(clips)
    assert (report.encoded, report.unchanged, report.removed) == (2, 2, 2)
    assert set(report.broken) == {kept[1], str(clips / 'broken.mp4'), f'{clips}/\\udcff.mp4'}
    assert set(retriever.store.stamps()) == {*kept[2:], str(clips / 'sub/new.mp4')}
    hits = {hit.path: hit.similarity for hit in retriever.search('a red circle', k=9, rerank_k=0)}
    assert len(hits) == 4 and hits[kept[2]] == pytest.approx(hits[kept[3]])
    # the process that was there before sees the same
    assert {hit.path for hit in first.search('a red circle', k=9)} == set(hits)
    assert retriever.add([kept[3], clips / 'none.mp4']).broken == {
        str(clips / 'none.mp4'): 'No such file or directory'
    }
    assert retriever.remove([clips / 'sub', clips / 'su']) == 1 and len(retriever.store) == 3
    assert retriever.index(kept[3]).removed == 2 and list(retriever.store.stamps()) == [kept[3]]


def test_own_columns_of_json_lines(trained, clips, tmp_path):
    names = sorted(path.name for path in clips.glob('video*.mp4'))
    rows = [{'video': name, 'camera': 'left', 'take': n, 'looks': []} for n, name in enumerate(names)]
    (clips / 'a.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    retriever = trained.retriever(tmp_path / 'index')
    assert retriever.index(clips / 'a.jsonl').encoded == 3
    (hit,) = retriever.search('a red circle', filter={'take': (1, 1), 'path': clips})
    assert hit.columns == {'camera': 'left', 'take': 1.0}
    rows[0]['camera'] = 'right'
    (clips / 'a.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    assert retriever.index(clips / 'a.jsonl').encoded == 1
    assert [hit.path for hit in retriever.search('x', filter={'camera': 'right'})] == [str(clips / names[0])]
    for wrong, message in (
        ({'end': 1}, "'end' cannot be a column"),
        ({'reverse': True}, 'played backwards'),
        ({'take': 'one'}, r"b.jsonl:2: 'take' is 'one', which is no float"),
    ):
        (clips / 'b.jsonl').write_text('\n'.join(map(json.dumps, (rows[0], {**rows[0], **wrong}))))
        with pytest.raises(ValueError, match=message):
            retriever.index(clips / 'b.jsonl')


@pytest.mark.parametrize('engine', ['lance', 'qdrant'])
def test_moments_of_a_long_video(trained, tmp_path, engine):
    pytest.importorskip('qdrant_client')
    scenes = [np.full((16, 32, 32, 3), level, np.uint8) for level in (20, 120, 220, 60)]
    for scene in scenes:
        scene[:, :, ::5] = 255 - scene[:, :, ::5]
    video = str(write_video(tmp_path / 'long.mp4', np.concatenate(scenes), fps=8))
    short = str(write_video(tmp_path / 'short.mp4', scenes[2][:4], fps=8))
    where = {'lance': tmp_path / 'index', 'qdrant': 'qdrant://:memory:/clips'}[engine]
    retriever = trained.retriever(where, window_s=2.0, stride_s=1.5, num_workers=2)
    report = retriever.index([video, short])
    assert (report.encoded, report.moments) == (2, 6)
    hits = retriever.search('a blue square', k=9, group_by='moment')
    spans = sorted((hit.path, hit.start, hit.end) for hit in hits)
    assert spans == [(video, 1.5 * n, 1.5 * n + 2) for n in range(5)] + [(short, 0.0, 0.5)]
    text = retriever.embed_text('a blue square')
    for hit in hits:
        own = retriever.embed_video(hit.path, hit.start, hit.end)
        assert (own @ text).max().item() == pytest.approx(hit.similarity, abs=1e-5)
    assert retriever.frames(hits[0]).shape == (8, 3, 48, 48)
    by_video = retriever.search('a blue square', k=9, rerank_k=0)
    assert sorted(hit.path for hit in by_video) == [video, short]
    assert by_video[0] == max(hits, key=lambda hit: hit.similarity)._replace(
        score=by_video[0].similarity, matching=None
    )
    # cut in another way, they are encoded again
    retriever.windows = None
    assert retriever.index([video, short]).moments == 2 and len(retriever.store) == 2


def test_a_dual_encoder_does_not_re_rank(small_moving_shapes, clips, tmp_path):
    trained = Trained(small_moving_shapes, tmp_path, type='DualStandIn', matching_head=None)
    retriever = VideoTextRetriever(trained.config, 'pretrained', 'cpu')
    retriever.index(clips)
    hits = retriever.search('a red circle', k=2)
    assert [hit.matching for hit in hits] == [None, None] and hits[0].score >= hits[1].score
    assert retriever.captions(hits[0].path, ['a red circle', 'up'])[0].matching is None
    with pytest.raises(ValueError, match='0 for a model without a matching head'):
        retriever.search('a red circle', rerank_k=2)


def test_an_index_of_another_model_is_refused(trained, small_moving_shapes, clips, tmp_path):
    trained.retriever(tmp_path / 'index').index(clips)
    other = Trained(small_moving_shapes, tmp_path, seed=1)
    with pytest.raises(IndexMismatchError, match=r'weights: \w+ there, \w+ here') as error:
        other.retriever(tmp_path / 'index')
    assert 'preprocessing' not in str(error.value)
    cfg = Config.fromfile(trained.config)
    cfg.test_dataloader.dataset.pipeline[-2].interpolation = 'bilinear'
    cfg.model.neck.test_similarity_threshold = 0.1
    with pytest.raises(IndexMismatchError, match=r'(?s)options of the model.*bilinear.*rm -r'):
        VideoTextRetriever(cfg, trained.checkpoint, 'cpu', tmp_path / 'index')


def test_what_cannot_be_asked(trained, clips, monkeypatch):
    retriever = trained.retriever()
    assert retriever.search('a red circle') == []
    for options in ({'text': ' '}, {'text': 'x', 'k': 0}, {'text': 'x', 'group_by': 'clip'}):
        with pytest.raises(ValueError, match=r'give at least one text|k at least 1'):
            retriever.search(**options)
    for path in clips.rglob('*.mp4'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match='holds no video'):
        retriever.index(clips)
    monkeypatch.chdir(ROOT)
    assert find_config('moving_shapes/stgt_tiny') == find_config('stgt_tiny')
    with pytest.raises(FileNotFoundError, match="Did you mean 'stgt_tiny'"):
        VideoTextRetriever('stgt_tinny', trained.checkpoint)
    with pytest.raises(ValueError, match='VideoTextAligner is not whole as published'):
        VideoTextRetriever(trained.config, 'pretrained')


def test_the_demo_prints_hits_and_draws_them(trained, clips, tmp_path, capsys):
    options = ['--config', trained.config, '--checkpoint', trained.checkpoint, '--index', tmp_path / 'index']
    assert (
        run_here('../demo/search.py', '--videos', clips, '--query', 'a red circle', '--k', 2, *options) == 0
    )
    printed = capsys.readouterr().out
    assert '5 files encoded' in printed and 'broken.mp4' in printed
    lines = [line for line in printed.splitlines() if line.endswith(tuple('0123456789')) and '0:00.0' in line]
    assert len(lines) == 2 and '0:02.0' in lines[0]
    assert (tmp_path / 'index/hits.png').stat().st_size > 1000
    assert run_here('../demo/search.py', '--query', 'a red circle', *options) == 0
    assert 'encoded' not in capsys.readouterr().out
