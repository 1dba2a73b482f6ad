"""Both engines against a plain maximum over all vectors; what a kill leaves behind."""

import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch.nn.functional import normalize

from stgt_mm.errors import UserError
from stgt_mm.search import IndexMismatchError, LanceIndex, Moment, QdrantIndex
from stgt_mm.search.filters import parse_filter, to_sql
from stgt_mm.search.windows import check_windows, cut, duration

lancedb = pytest.importorskip('lancedb')
MADE = {'weights': 'a', 'preprocessing': 'Resize(48)'}


@pytest.fixture(params=['lance', 'qdrant'])
def index(request, tmp_path):
    if request.param == 'lance':
        return LanceIndex(tmp_path / 'index', MADE)
    pytest.importorskip('qdrant_client')
    return QdrantIndex('qdrant://:memory:/clips', MADE)


def moments(files, per_file=3, seed=0, stamp='1', folder='/v', tokens=False):
    noise = torch.Generator().manual_seed(seed)
    return [
        Moment(
            f"{folder}/{'odd' if file % 2 else 'even'}/it's {file}.mp4",
            start=10.0 * place,
            end=10.0 * (place + 1),
            queries=normalize(torch.randn(4, 8, generator=noise), dim=-1),
            tokens=torch.randn(2, 3, generator=noise) if tokens else None,
            stamp=stamp,
            columns={'Camera': 'left' if file < 5 else 'right', 'year': float(file), 'night': file == 2},
        )
        for file in files
        for place in range(per_file)
    ]


def brute_force(all_moments, text, k, by_video, fits=lambda moment: True):
    scored = [((own.queries @ text).max().item(), own.path, own.start) for own in all_moments if fits(own)]
    best, seen = [], set()
    for value, path, start in sorted(scored, reverse=True):
        if not (by_video and path in seen):
            best.append((path, start, pytest.approx(value, abs=1e-6)))
        seen.add(path)
    return best[:k]


def found(hits):
    return [(hit.path, hit.start, hit.similarity) for hit in hits]


def texts(count, seed=9):
    return normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize('by_video', [True, False])
def test_the_nearest_are_exact_and_k_videos_are_k_videos(index, by_video):
    known = moments(range(12), per_file=7)
    for start in range(0, len(known), 21):
        index.write(known[start : start + 21])
    for text in texts(5):
        for k in (1, 8, 200):
            assert found(index.nearest(text, k, by_video=by_video)) == brute_force(known, text, k, by_video)


FILTERS = [
    ({'path': '/v/odd'}, lambda own: '/odd/' in own.path),
    ({'path': ["/v/odd/it's 3.mp4", '/v/even']}, lambda own: '/even/' in own.path or '3.mp4' in own.path),
    ({'path': '/v/od'}, lambda own: False),
    ({'start': (10, None), 'end': (None, 20)}, lambda own: own.start == 10),
    ({'Camera': 'right', 'year': [5, 7, 11.5]}, lambda own: own.columns['year'] in (5, 7)),
    ({'night': True}, lambda own: own.columns['night']),
]


@pytest.mark.parametrize(('filter', 'fits'), FILTERS)
def test_filters(index, filter, fits):
    known = moments(range(8))
    index.write(known)
    for by_video in (True, False):
        got = found(index.nearest(texts(1)[0], 9, filter, by_video))
        assert got == brute_force(known, texts(1)[0], 9, by_video, fits)


@pytest.mark.parametrize('filter', [{'camera': 'left'}, {'year': (1, 2, 3)}, {'path': None}, {'year': []}])
def test_a_wrong_filter_is_an_error(index, filter):
    index.write(moments(range(2)))
    with pytest.raises(ValueError, match="Did you mean 'Camera'" if 'camera' in filter else 'Give text'):
        index.nearest(texts(1)[0], 1, filter)


def test_approximate_search_says_its_recall(index):
    known = moments(range(40))
    index.write(known[:-3])
    measured = index.build_approximate(texts(4), k=5)
    assert measured.recall >= 0.95 and 'recall@5' in str(measured)
    for by_video in (True, False):
        hits = found(index.nearest(texts(1)[0], 500, {'Camera': 'left'}, by_video, approximate=True))
        own = brute_force(known[:15], texts(1)[0], 500, False)
        # of 5 videos and 15 moments; which moments are near enough depends on how clusters begin
        assert sum(hit in own for hit in hits) == len(hits) >= (5 if by_video else 8)
    assert index.nearest(texts(1)[0], 5, {'year': 99}, approximate=True) == []
    index.write(known[-3:])  # new rows are found as well
    index.remove([known[0].path])
    hits = found(index.nearest(texts(1)[0], 500, None, False, approximate=True))
    own = brute_force(known[3:], texts(1)[0], 500, False)
    assert sum(hit in own for hit in hits) == len(hits) > 0.8 * len(own)
    assert {known[-1].path} < {path for path, *_ in hits}


def test_approximate_search_must_be_built(tmp_path):
    index = LanceIndex(tmp_path, MADE)
    index.write(moments(range(2)))
    with pytest.raises(UserError, match='call build_approximate'):
        index.nearest(texts(1)[0], 5, approximate=True)


def test_numbers_and_quotes_in_sql():
    conditions = parse_filter({'a': "it's", 'b': (None, 2.5), 'c': False}, {'a', 'b', 'c'})
    assert to_sql(conditions) == "(`a` IN ('it''s')) AND `b` <= 2.5 AND (`c` IN (false))"


def test_files_are_replaced_and_removed_whole(index):
    assert (len(index), index.stamps(), index.nearest(texts(1)[0], 3)) == (0, {}, [])
    index.remove(['/v/none.mp4'])
    index.write(moments(range(4)))
    new = moments([1], per_file=2, seed=3, stamp='2')
    new[0].columns['owner'] = 'me'
    index.write(new)
    known = [own for own in moments(range(4)) if own.path != new[0].path] + new
    assert len(index) == 11
    assert index.stamps() == {own.path: own.stamp for own in known}
    hits = index.nearest(texts(1)[0], 20, by_video=False)
    assert found(hits) == brute_force(known, texts(1)[0], 20, False)
    owned = index.nearest(texts(1)[0], 5, {'owner': 'me'})
    assert [hit.columns for hit in owned] == [new[0].columns]
    index.remove([new[0].path, "/v/even/it's 0.mp4"])
    assert len(index) == 6 and set(index.stamps()) == {"/v/even/it's 2.mp4", "/v/odd/it's 3.mp4"}


def test_one_column_has_one_kind(tmp_path):
    index = LanceIndex(tmp_path, MADE)
    known = moments(range(2))
    index.write(known)
    known[1].columns['year'] = '2020'
    with pytest.raises(ValueError, match=r"column 'year' of /v/even/it's 0.mp4 is '2020', and it"):
        index.write(known)


def test_another_process_sees_the_index_and_what_is_tidied(tmp_path, monkeypatch):
    index, reader = LanceIndex(tmp_path, MADE), None
    for start in range(0, 6, 2):
        index.write(moments(range(start, start + 2), seed=start, tokens=True))
        reader = reader or LanceIndex(tmp_path, MADE)
        assert len(reader.nearest(texts(1)[0], 50, by_video=False)) == 3 * (start + 2)
    known = {(own.path, own.start): own.tokens for own in moments([4, 5], seed=4, tokens=True)}
    index.remove([path for path in index.stamps() if (path, 0.0) not in known])
    monkeypatch.setattr('stgt_mm.search.lance_index._SCATTERED', 1)
    index.tidy()
    assert len(list((tmp_path / 'tokens').iterdir())) == 1
    hits = reader.nearest(texts(1)[0], 50, by_video=False)
    assert len(hits) == 6
    for hit in hits:
        assert torch.equal(reader.tokens_of(hit), known[hit.path, hit.start])


def test_an_index_of_another_model_is_refused(index, tmp_path):
    index.write(moments(range(2)))
    if isinstance(index, LanceIndex):
        with pytest.raises(IndexMismatchError, match=r'(?s)weights: a there, b here.*rm -r .*index'):
            LanceIndex(tmp_path / 'index', {**MADE, 'weights': 'b'})
        lancedb.connect(tmp_path / 'other').create_table('moments', [{'a': 1}])
        with pytest.raises(IndexMismatchError, match='was not made by a retriever'):
            LanceIndex(tmp_path / 'other', MADE)
    else:
        assert index._metadata()['made_from'] == MADE


def test_engines_that_are_not_installed_or_named_are_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match='write qdrant://host:port/collection'):
        QdrantIndex('qdrant://host:6333', MADE)
    monkeypatch.setitem(sys.modules, 'lancedb', None)
    monkeypatch.setitem(sys.modules, 'qdrant_client', None)
    with pytest.raises(ImportError, match='pip install lancedb'):
        LanceIndex(tmp_path, MADE)
    with pytest.raises(ImportError, match='pip install qdrant-client'):
        QdrantIndex('qdrant://host/c', MADE)


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_indexes import MADE, LanceIndex, moments
index = LanceIndex(sys.argv[1], MADE)
for number in range(10**6):
    index.write(moments(range(30), seed=number, stamp=str(number), tokens=True))
    print(number, flush=True)
"""


def test_a_kill_in_the_middle_leaves_the_old_index_or_the_new(tmp_path):
    command = [sys.executable, '-c', WRITER, str(tmp_path / 'index'), str(__file__).rpartition('/')[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for line in writer.stdout:
            if int(line) == 3:
                break
        time.sleep(0.01)
        writer.send_signal(signal.SIGKILL)
    index = LanceIndex(tmp_path / 'index', MADE)
    (stamp,) = set(index.stamps().values())
    known = moments(range(30), seed=int(stamp), tokens=True)
    assert int(stamp) >= 3
    hits = index.nearest(texts(1)[0], 100, by_video=False)
    assert found(hits) == brute_force(known, texts(1)[0], 100, False)
    tokens = {(own.path, own.start): own.tokens for own in known}
    assert all(torch.equal(index.tokens_of(hit), tokens[hit.path, hit.start]) for hit in hits)
    index.write(moments([99]))  # the killed process holds no lock
    assert len(index) == 93
    shutil.rmtree(tmp_path / 'index/moments.lance/_versions')  # as after a kill in the first write
    index = LanceIndex(tmp_path / 'index', MADE)
    index.write(moments([99]))
    assert len(index) == 3


def test_windows():
    assert cut(10.0, (4.0, 4.0)) == [(0.0, 4.0), (4.0, 8.0), (6.0, 10.0)]
    assert cut(8.0, (4.0, 2.0)) == [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0)]
    assert cut(3.0, (4.0, 2.0)) == [(0.0, 3.0)]
    assert (check_windows(None, None), check_windows(8, None)) == (None, (8.0, 8.0))
    assert (duration([0.0, 0.5, 1.0]), duration([0.0])) == (1.5, 0.0)
    for wrong in ((None, 2), (4, 5), (4, 0), (-1, None)):
        with pytest.raises(ValueError, match='0 < stride_s <= window_s'):
            check_windows(*wrong)
