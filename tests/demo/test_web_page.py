"""The web page: what it serves, takes and refuses; in Chromium it is typed to, clicked and read."""

import importlib.util
import os
import shutil
import socket
import sys

import numpy as np
import pytest
import torch
from command_line import ROOT
from reduced import reduce_config

from stgt_mm.apis import VideoQuestionAnswererInferencer, VideoTextRetriever
from stgt_mm.apis.clip_library import ClipLibrary, RefusedClipError
from stgt_mm.config import load_config
from stgt_mm.datasets.readers import VideoReadError, write_video
from stgt_mm.registry import MODELS

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
needs_gradio = pytest.mark.skipif(
    importlib.util.find_spec('gradio') is None, reason='WEB PAGE NOT TESTED: pip install gradio'
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None or importlib.util.find_spec('playwright') is None,
    reason='WEB PAGE NOT TESTED IN A BROWSER: apt-get install chromium and pip install playwright',
)


def load_page(monkeypatch, tmp_path):
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(tmp_path / 'received'))
    monkeypatch.setenv('GRADIO_ANALYTICS_ENABLED', 'False')
    monkeypatch.syspath_prepend(str(ROOT / 'demo'))
    monkeypatch.delitem(sys.modules, 'app', raising=False)
    return importlib.import_module('app')


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as bound:
        return bound.getsockname()[1]


def write_clip(path, seed=0, frames=24):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (frames // 8, 6, 6, 3)
    blocks = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    write_video(path, blocks.repeat(8, 0).repeat(8, 1).repeat(8, 2), fps=8)
    return path


@pytest.fixture
def places(tmp_path):
    """A folder with clips and what does not belong there, beside a clip that is nobody's business."""
    write_clip(tmp_path / 'secret.mp4')
    folder = tmp_path / 'videos'
    write_clip(folder / 'a.mp4', 1)
    write_clip(folder / 'sub/<b>.mp4', 2)
    (folder / 'notes.txt').write_text('private')
    (folder / 'link.mp4').symlink_to(tmp_path / 'secret.mp4')
    return folder, tmp_path / 'secret.mp4'


def test_names_stand_for_clips_of_the_folder_only(places, tmp_path):
    folder, secret = places
    library = ClipLibrary(folder, tmp_path / 'uploads')
    assert library.names == ['a.mp4', 'sub/<b>.mp4'] and library.left_out == ['link.mp4']
    assert library.find('a.mp4') == str(folder / 'a.mp4')
    for name in (
        '../secret.mp4',
        str(secret),
        'sub/../a.mp4',
        'link.mp4',
        'notes.txt',
        str(folder / 'a.mp4'),
    ):
        with pytest.raises(RefusedClipError, match='no clip'):
            library.find(name)
    (folder / 'a.mp4').unlink()
    (folder / 'a.mp4').symlink_to(secret)  # after the folder was listed
    with pytest.raises(RefusedClipError, match='no clip'):
        library.find('a.mp4')
    assert library.folders == ['sub'] and library.paths_in('sub') == [str(folder / 'sub')]
    with pytest.raises(RefusedClipError, match='no folder'):
        library.paths_in('..')
    with pytest.raises(FileNotFoundError, match='no folder'):
        ClipLibrary(tmp_path / 'nowhere', tmp_path / 'uploads')


def test_uploads_are_limited_in_kind_size_and_number(tmp_path):
    library = ClipLibrary(None, tmp_path / 'uploads', max_bytes=50_000, max_uploads=2)
    playlist = tmp_path / 'list.mp4'
    playlist.write_text(f'#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.mp4\n')
    large = write_clip(tmp_path / 'large.mp4')
    with open(large, 'ab') as file:
        file.truncate(60_000)
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'\0\0\0\x18ftypmp42' + b'\0' * 100)
    (tmp_path / 'script.html').write_text('<script>')
    for name, error, words in (
        ('script.html', RefusedClipError, 'only files named .mp4'),
        ('list.mp4', RefusedClipError, 'no such video'),
        ('large.mp4', RefusedClipError, '0.1 MB, more than'),
        ('broken.mp4', VideoReadError, 'broken'),
    ):
        good = write_clip(tmp_path / 'good.mp4')
        with pytest.raises(error, match=words):
            library.take([good, tmp_path / name])
        assert not library.files and good.exists(), 'all or none'
    assert library.take([good]) == ['uploaded/good.mp4']
    again = write_clip(tmp_path / 'good.mp4', 1)
    assert library.take([again]) == ['uploaded/good-2.mp4']
    assert library.name_of(library.find('uploaded/good-2.mp4')) == 'uploaded/good-2.mp4'
    with pytest.raises(RefusedClipError, match='at most 2'):
        library.take([write_clip(tmp_path / 'third.mp4')])


@needs_gradio
def test_nothing_else_is_served(places, tmp_path, monkeypatch):
    import httpx

    folder, secret = places
    module = load_page(monkeypatch, tmp_path)
    library = ClipLibrary(folder, tmp_path / 'uploads', max_bytes=20_000)
    blocks = module.serve(module.Page(None, library, None), port=free_port())
    try:
        with httpx.Client(base_url=blocks.local_url, trust_env=False) as web:
            ask_for_what_is_not_there(web, library, folder, secret)
        with pytest.raises(OSError), socket.create_connection(('127.0.0.2', blocks.server_port), timeout=5):
            pass  # a server for all addresses answers at this one too
    finally:
        blocks.close()


def ask_for_what_is_not_there(web, library, folder, secret):
    part = web.get('/clips/a.mp4', headers={'Range': 'bytes=0-9'})
    assert part.status_code == 206 and part.content == (folder / 'a.mp4').read_bytes()[:10]
    assert web.get('/clips/sub/%3Cb%3E.mp4').status_code == 200
    outside = ('../secret.mp4', '%2e%2e/secret.mp4', '..%2fsecret.mp4', str(secret), '/' + str(secret))
    for name in (*outside, 'link.mp4', 'notes.txt', 'sub', ''):
        assert web.get(f'/clips/{name}').status_code == 404, name
    for path in (secret, folder / 'a.mp4', folder / 'notes.txt', ROOT / 'setup.py', '/etc/passwd'):
        assert web.get(f'/gradio_api/file={path}').status_code in (403, 404), path
    assert web.get('/clips/a.mp4', headers={'Host': 'evil.example'}).status_code == 400
    large = {'files': ('large.mp4', b'0' * 30_000)}
    assert web.post('/gradio_api/upload', files=large).status_code == 413
    forged = [{'path': str(secret), 'meta': {'_type': 'gradio.FileData'}}]
    answer = web.post('/gradio_api/run/take', json={'data': [forged]})
    assert answer.status_code >= 400 and secret.exists() and library.names == ['a.mp4', 'sub/<b>.mp4']


def trained(name, data, folder):
    """A reduced config, and a checkpoint of it with large random weights."""
    cfg = reduce_config(load_config(ROOT / f'configs/moving_shapes/{name}.py'), data, folder)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.3 * torch.randn_like(parameter)
    torch.save({'state_dict': model.state_dict()}, folder / 'trained.pth')
    return cfg, folder / 'trained.pth'


@pytest.mark.integration
@needs_gradio
@needs_browser
def test_the_page_is_used_in_a_browser(places, small_moving_shapes, tmp_path, monkeypatch):
    from playwright.sync_api import expect, sync_playwright

    folder, _ = places
    aligner = trained('stgt_tiny', small_moving_shapes, tmp_path / 'aligner')
    retriever = VideoTextRetriever(*aligner, 'cpu', window_s=1, num_workers=0)
    answerer = VideoQuestionAnswererInferencer(
        *trained('qa_classify', small_moving_shapes, tmp_path / 'qa'), 'cpu'
    )
    module = load_page(monkeypatch, tmp_path)
    library = ClipLibrary(folder, tmp_path / 'uploads')
    retriever.index(list(library.files.values()))
    blocks = module.serve(module.Page(retriever, library, answerer), port=free_port())
    try:
        with sync_playwright() as play:
            # Chromium's own sandbox does not start for root, as in containers
            browser = play.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
            page = browser.new_page()
            asked = []
            page.on('request', lambda own: asked.append(own.url))
            page.set_default_timeout(60_000)
            expect.set_options(timeout=60_000)
            page.goto(blocks.local_url)
            use(page, expect, retriever, answerer, library, tmp_path)
            browser.close()
        own = (blocks.local_url, 'data:', 'blob:')
        assert not [url for url in asked if not url.startswith(own)], 'all comes from this machine'
    finally:
        blocks.close()


def use(page, expect, retriever, answerer, library, tmp_path):
    """Searches, picks a hit, ranks captions, asks, draws and uploads."""
    folder, text = library.root, 'a red circle'
    page.locator('#sentence').get_by_role('textbox').fill(text)
    page.locator('#each input').uncheck()
    page.locator('#search').click()
    hits = retriever.search(text, k=6, group_by='moment')
    cards = page.locator('.hits article')
    expect(cards).to_have_count(6)
    for place, hit in enumerate(hits):
        name = os.path.relpath(hit.path, folder)
        expect(cards.nth(place)).to_contain_text(f'{place + 1}. {name}')
        expect(cards.nth(place)).to_contain_text(f'score {hit.score:.3f}')
    late = max(range(6), key=lambda place: hits[place].start)
    assert hits[late].start == 2
    cards.nth(late).locator('video').evaluate('video => video.play()')
    playing = 'video => video.currentTime >= 2 && video.videoWidth > 0'
    page.wait_for_function(f'({playing})(document.querySelectorAll(".hits video")[{late}])')

    other = next(place for place, hit in enumerate(hits) if hit.path.endswith('<b>.mp4'))
    cards.nth(other).get_by_role('button').click()
    expect(page.locator('#clip input')).to_have_value('sub/<b>.mp4')
    page.get_by_role('tab', name='Captions').click()
    page.locator('#captions textarea').fill('a blue square\n\na red circle')
    page.locator('#rank').click()
    clip = str(folder / 'sub/<b>.mp4')
    for own in retriever.captions(clip, ['a blue square', 'a red circle']):
        expect(page.locator('#rank-table')).to_contain_text(f'{own.score:.3f}')
    page.get_by_role('tab', name='Questions').click()
    page.locator('#question').get_by_role('textbox').fill('what colour is it?')
    page.locator('#ask').click()
    best = answerer(clip, 'what colour is it?')['predictions'][0]['answers'][0]
    expect(page.locator('#ask-table')).to_contain_text(f'{best["score"]:.4f}')
    page.get_by_role('tab', name='Attention').click()
    page.locator('#draw').click()
    page.wait_for_function('document.querySelector("#links img")?.naturalWidth > 500')

    (tmp_path / 'fake.mp4').write_text('no video')
    page.locator('#upload input[type=file]').set_input_files(tmp_path / 'fake.mp4')
    expect(page.get_by_text("'fake.mp4' is not taken")).to_be_visible()
    assert len(library.names) == 2
    page.locator('#upload input[type=file]').set_input_files(write_clip(tmp_path / 'mine.mp4', 5))
    expect(page.locator('#clip input')).to_have_value('uploaded/mine.mp4')
    own = [hit.path for hit in retriever.search(text, k=9)]
    assert len(own) == 3 and library.find('uploaded/mine.mp4') in own
