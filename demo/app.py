"""Shows a page in the browser: search videos by a sentence, rank captions, ask, see what is attended to.

Example:
    python demo/app.py --videos data/moving_shapes/videos
    python demo/app.py --videos ~/holiday --index work_dirs/search/holiday --window-s 10 --stride-s 5

Only this machine reaches the page, and the page only the videos of the folder and what is uploaded.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from html import escape
from tempfile import TemporaryDirectory
from threading import RLock
from typing import Any

import ask
from hit_cards import CSS, PICK, card, player
from search import CHECKPOINT, CONFIG

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.errors import UserError

LOCAL = ('127.0.0.1', 'localhost')
LISTED = 1000  # names in a list to choose from; others are typed


def told(function: Callable) -> Callable:
    """Has the page show errors that people can correct, without a traceback."""

    @wraps(function)
    def wrapped(*args: Any) -> Any:
        import gradio as gr

        try:
            return function(*args)
        except (UserError, ValueError, OSError) as error:
            raise gr.Error(escape(str(error)), print_exception=False) from error

    return wrapped


class Page:
    """What the page does with a retriever, clips and, if there is one, a question answerer; one at a time."""

    def __init__(self, retriever: Any, library: Any, answerer: Any | None) -> None:
        self.retriever, self.library, self.answerer = retriever, library, answerer
        self.lock = RLock()

    def show(self, clip: str) -> str:
        """Plays a clip."""
        return player(clip) if clip and self.library.find(clip) else ''

    def search(self, text: str, folder: str, k: float, each: bool) -> str:
        """Finds moments in a folder; ``each`` gives the best of each video."""
        places = self.library.paths_in(folder)
        with self.lock:
            group_by = 'video' if each else 'moment'
            hits = self.retriever.search(text, k=int(k), group_by=group_by, filter={'path': places})
        found = [(self.library.name_of(hit.path), hit) for hit in hits]
        cards = [card(place, name, hit) for place, (name, hit) in enumerate(found, 1)]
        return f'<div class="hits">{"".join(cards)}</div>' if cards else '<p>there is no clip yet</p>'

    def captions(self, clip: str, lines: str) -> list[list[Any]]:
        """Ranks the lines for a clip."""
        texts = [line.strip() for line in lines.splitlines() if line.strip()]
        with self.lock:
            ranked = self.retriever.captions(self.library.find(clip), texts)
        return [
            [place, own.text, *('-' if score is None else f'{score:.3f}' for score in own[1:])]
            for place, own in enumerate(ranked, 1)
        ]

    def ask(self, clip: str, question: str) -> list[list[Any]]:
        """Answers a question about a clip."""
        with self.lock:
            found = self.answerer(self.library.find(clip), question)['predictions'][0]
        return [[own['answer'], f'{own["score"]:.4f}'] for own in found['answers']]

    def attention(self, clip: str, time: float, x: float, y: float) -> Any:
        """Draws what the token at a place of the clip, in shares of it, is linked with and attends to."""
        from PIL import Image

        from stgt_mm.apis.shown_clip import read_shown_clip
        from stgt_mm.visualization.graph_pictures import draw_links
        from stgt_mm.visualization.token_view import graph_neck, view_tokens

        model = self.retriever.model
        rows, columns = graph_neck(model).grid_size
        with self.lock, TemporaryDirectory() as folder:
            shown = read_shown_clip(model, self.retriever.pipeline, self.library.find(clip))
            sizes = (len(shown.frames), rows, columns)
            token = tuple(min(int(share * size), size - 1) for share, size in zip((time, y, x), sizes))
            view = view_tokens(model, shown.inputs, [token])[0]
            with Image.open(draw_links(view, shown.frames, shown.titles, f'{folder}/links.png')) as picture:
                return picture.copy()

    def take(self, files: Sequence[str]) -> str:
        """Takes uploads in and returns the name of the first."""
        with self.lock:
            names = self.library.take(files)
            report = self.retriever.add([self.library.find(name) for name in names])
        if report.broken:
            raise UserError(str(report))
        return names[0]


def layout(page: Page, no_answers: str) -> Any:
    """Lays the page out: the clip at the left, what can be done at the right."""
    import gradio as gr

    from stgt_mm.apis.clip_library import UPLOAD_SUFFIXES

    def choices() -> tuple[list[str], list[str]]:
        return page.library.names[:LISTED], ['', *page.library.folders[:LISTED]]

    def take(files: list[str]) -> tuple:
        new = {}
        try:
            new = {'value': page.take(files)}
        except (UserError, OSError) as error:
            gr.Warning(escape(str(error)), title='Not taken')
        clips, folders = choices()
        # emptied in any case: a file that is refused would come again with the next
        return gr.update(choices=clips, **new), gr.update(choices=folders), None

    clips, folders = choices()
    first = clips[0] if clips else None
    with gr.Blocks(title='Search videos', delete_cache=(3600, 3600), analytics_enabled=False) as blocks:
        gr.Markdown('# Search videos by a sentence')
        with gr.Row():
            with gr.Column(scale=1, min_width=260):
                clip = gr.Dropdown(clips, value=first, label='Clip', allow_custom_value=True, elem_id='clip')
                shown = gr.HTML(page.show(first), elem_classes='player')
                upload = gr.File(
                    label=f'Upload clips, each at most {page.library.max_bytes / 2**20:g} MB',
                    file_count='multiple',
                    file_types=list(UPLOAD_SUFFIXES),
                    height=150,
                    elem_id='upload',
                )
            with gr.Column(scale=3), gr.Tabs():
                folder = _search_tab(page, clip, folders)
                _clip_tabs(page, clip, no_answers)
        clip.change(told(page.show), clip, shown)
        upload.upload(take, upload, [clip, folder, upload])
    return blocks


def _search_tab(page: Page, clip: Any, folders: list[str]) -> Any:
    import gradio as gr

    def pick(event: gr.EventData) -> Any:
        return event.clip if 'clip' in event._data else gr.skip()

    with gr.Tab('Search'):
        text = gr.Textbox(label='Sentence', lines=1, elem_id='sentence')
        with gr.Row():
            folder = gr.Dropdown(folders, value='', label='In folder (empty: all clips)')
            k = gr.Slider(1, 50, 6, step=1, label='Hits')
            each = gr.Checkbox(True, label='one moment a video', elem_id='each')
        button = gr.Button('Search', variant='primary', elem_id='search')
        hits = gr.HTML(js_on_load=PICK)
        gr.on([button.click, text.submit], told(page.search), [text, folder, k, each], hits)
        hits.click(pick, None, clip)
    return folder


def _clip_tabs(page: Page, clip: Any, no_answers: str) -> None:
    import gradio as gr

    def tab(name: str, box: Any, act: str, function: Callable, headers: list[str]) -> None:
        with gr.Tab(name):
            box.render()
            button = gr.Button(act, variant='primary', elem_id=act.lower())
            table = gr.Dataframe(
                headers=headers, interactive=False, wrap=True, elem_id=f'{act.lower()}-table'
            )
            gr.on([button.click, box.submit], told(function), [clip, box], table)

    lines = gr.Textbox(label='Captions, one a line', lines=4, elem_id='captions', render=False)
    tab('Captions', lines, 'Rank', page.captions, ['rank', 'caption', 'score', 'similarity', 'match'])
    if page.answerer is None:
        with gr.Tab('Questions'):
            gr.Code(no_answers, label='no model that answers questions', language=None, interactive=False)
    else:
        question = gr.Textbox(label='Question about the clip', lines=1, elem_id='question', render=False)
        tab('Questions', question, 'Ask', page.ask, ['answer', ask.SCORES[page.answerer.mode]])
    with gr.Tab('Attention'):
        gr.Markdown(
            'What a token of the clip is linked with and attends to; where it is, in shares of the clip:'
        )
        with gr.Row():
            place = [gr.Slider(0, 1, 0.5, step=0.01, label=what) for what in ('time', 'across', 'down')]
        button = gr.Button('Draw', variant='primary', elem_id='draw')
        picture = gr.Image(show_label=False, format='png', buttons=['fullscreen'], elem_id='links')
        button.click(told(page.attention), [clip, *place], picture)


def serve(page: Page, no_answers: str = '', host: str = LOCAL[0], port: int | None = None) -> Any:
    """Starts the page, with the clips of the library below ``/clips/``, and returns Gradio's blocks.

    By ``launch``: with ``mount_gradio_app`` Gradio takes any path of this machine for an upload.
    """
    import gradio as gr
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import FileResponse
    from starlette.routing import Route

    def clip(request: Any) -> FileResponse:
        try:
            path = page.library.find(request.path_params['name'])
        except UserError as error:
            raise HTTPException(404, str(error)) from error
        return FileResponse(path, headers={'X-Content-Type-Options': 'nosniff'})

    # a site whose name leads to this machine is not this page
    known = Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL) if host in LOCAL else ['*'])
    blocks = layout(page, no_answers)
    blocks.launch(
        server_name=host,
        server_port=port,
        app_kwargs={'routes': [Route('/clips/{name:path}', clip)], 'middleware': [known]},
        theme=gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['monospace']),  # none is fetched
        css=CSS,
        max_file_size=page.library.max_bytes,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
    )
    return blocks


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Reads the options."""
    parser = described_parser(__doc__)
    parser.add_argument('--videos', metavar='FOLDER', help='whose videos are searched; default: uploads only')
    parser.add_argument('--index', help='folder that keeps the index, which then holds these videos only')
    parser.add_argument('--config', default=CONFIG, help=f'default {CONFIG}')
    parser.add_argument('--checkpoint', default=CHECKPOINT, help=f'default {CHECKPOINT}')
    parser.add_argument('--qa-config', default=ask.CONFIG, help=f'default {ask.CONFIG}')
    parser.add_argument('--qa-checkpoint', help='default work_dirs/<config name>/best_qa_accuracy.pth')
    parser.add_argument('--window-s', type=float, help='seconds of a moment, default whole videos')
    parser.add_argument('--stride-s', type=float, help='from one moment to the next, default --window-s')
    parser.add_argument('--max-upload', type=int, default=100, metavar='MB', help='default 100')
    parser.add_argument(
        '--host', default=LOCAL[0], help='0.0.0.0 lets other machines in: there is no password'
    )
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument('--device', help="'cpu' or 'cuda:0', default a GPU if there is one")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Loads the models, brings the index up to date and serves the page."""
    args = parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not before uploads are deleted
    with TemporaryDirectory(prefix='stgt_mm_page_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = f'{folder}/received'
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise ImportError(f'the page needs Gradio ({error}): pip install gradio') from error
        from stgt_mm.apis import VideoQuestionAnswererInferencer, VideoTextRetriever
        from stgt_mm.apis.clip_library import ClipLibrary

        library = ClipLibrary(args.videos, f'{folder}/uploaded', args.max_upload * 2**20)
        windows = {'window_s': args.window_s, 'stride_s': args.stride_s}
        retriever = VideoTextRetriever(args.config, args.checkpoint, args.device, index=args.index, **windows)
        answerer, no_answers = None, ''
        try:
            checkpoint = args.qa_checkpoint or ask.checkpoint_of(args.qa_config)
        except FileNotFoundError as error:
            no_answers = str(error)
        else:
            answerer = VideoQuestionAnswererInferencer(args.qa_config, checkpoint, args.device)
        for name in library.left_out:
            print(f'left out, a link to another place: {name}')
        if library.files:
            print(retriever.index(list(library.files.values())))
        retriever.num_workers = 0  # uploads are few, and a server with threads should not fork
        blocks = serve(Page(retriever, library, answerer), no_answers, args.host, args.port)
        print(f'open {blocks.local_url} in a browser; Ctrl-C ends it', flush=True)
        try:
            blocks.server.thread.join()
        finally:
            blocks.close()


if __name__ == '__main__':
    sys.exit(run_tool(main))
