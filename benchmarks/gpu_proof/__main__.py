"""Runs the parts one after another and writes a JSON file each and one page with their tables."""

import argparse
import contextlib
import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

PARTS = ('tests', 'step', 'attention', 'flex', 'rerank', 'throughput', 'compile', 'distributed', 'losses')
LIMIT_S = 540
SHOWN_LINES = 15


def run_part(part: str, out: Path, reduced: bool) -> dict[str, Any]:
    """Runs a part in a process of its own; whatever happens to it, its JSON file says so."""
    file = out / f'{part}.json'
    file.unlink(missing_ok=True)
    command = [sys.executable, '-m', f'gpu_proof.{part}', str(file), *(['--reduced'] if reduced else [])]
    start = time.monotonic()
    with open(out / f'{part}.log', 'w', encoding='utf-8') as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = process.wait(LIMIT_S)
            state = 'done' if status == 0 else f'failed with status {status}'
        except subprocess.TimeoutExpired:
            state = f'stopped after {LIMIT_S} s'
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers too
            process.wait()
    content = json.loads(file.read_text()) if file.is_file() else {'tables': []}
    content = {'part': part, 'state': state, 'seconds': round(time.monotonic() - start, 1), **content}
    if state != 'done':
        lines = (out / f'{part}.log').read_text(encoding='utf-8', errors='replace').splitlines()
        content['end_of_log'] = lines[-SHOWN_LINES:]
    file.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    return content


def show(cell: Any) -> str:
    """Writes a cell: numbers with three digits that count, nothing as a dash."""
    if isinstance(cell, float):
        return f'{cell:,.0f}' if abs(cell) >= 1000 else f'{cell:.3g}'
    return '-' if cell is None else str(cell).replace('|', '\\|')


def page(contents: list[dict[str, Any]], title: str, about: str) -> str:
    """Writes all tables as Markdown."""
    parts = [f'# {title}', about]
    parts.append('\n'.join(f'- `{one["part"]}`: {one["state"]}, {one["seconds"]:.0f} s' for one in contents))
    for one in contents:
        parts.append(f'## {one["part"]}')
        for table in one['tables']:
            header = table['header']
            lines = [header, ['---'] + ['---:'] * (len(header) - 1), *table['rows']]
            rows = '\n'.join(f'| {" | ".join(map(show, line))} |' for line in lines)
            parts += [f'**{table["title"]}**', rows, *([table['note']] if table['note'] else [])]
        if 'end_of_log' in one:
            parts.append('\n'.join(['```', *one['end_of_log'], '```']))
    return '\n\n'.join(parts) + '\n'


def main() -> int:
    """Runs what is asked for; the status is 1 if a part was not done."""
    parser = argparse.ArgumentParser(prog='gpu_proof.sh', description=__doc__)
    parser.add_argument('out', type=Path, help='folder of the results')
    parser.add_argument('--part', action='append', choices=PARTS, help='only this part; can be repeated')
    parser.add_argument('--reduced', action='store_true', help='small sizes: that it runs, not its figures')
    parser.add_argument('--wheels', help='folder of gpu_wheels.sh; gpu_proof.sh installs from it')
    args = parser.parse_args()
    import torch  # and no more: each part imports for itself

    args.out.mkdir(parents=True, exist_ok=True)
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
    today = datetime.date.today().isoformat()
    slug = re.sub(r'[^A-Za-z0-9]+', '-', card).strip('-').lower()
    size = 'reduced size, whose figures mean nothing' if args.reduced else 'full size, random weights'
    about = (
        f'`measured` by `bash tools/analysis_tools/gpu_proof.sh OUT` at {size}: {card}, '
        f'{torch.cuda.device_count()} cards, Python {sys.version.split()[0]}, torch {torch.__version__}, '
        f'torchvision {version("torchvision")}, transformers {version("transformers")}.'
    )
    chosen = args.part or PARTS
    for part in chosen:
        print(f'{part} ...', flush=True)
        content = run_part(part, args.out, args.reduced)
        print(f'{part}: {content["state"]}, {content["seconds"]:.0f} s', flush=True)
        # The page has all parts that are in the folder, those of earlier calls too, and is whole after each.
        found = [json.loads(file.read_text()) for p in PARTS if (file := args.out / f'{p}.json').is_file()]
        (args.out / f'{today}-{slug}.md').write_text(page(found, f'{card}, {today}', about), encoding='utf-8')
    print(f'written: {args.out / f"{today}-{slug}.md"}')
    return int(any(json.loads((args.out / f'{p}.json').read_text())['state'] != 'done' for p in chosen))


if __name__ == '__main__':
    sys.exit(main())
