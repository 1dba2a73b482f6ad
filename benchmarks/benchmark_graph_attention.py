"""Times the banded graph attention against a fixed reference that works on all T*N x T*N pairs.

    python benchmarks/benchmark_graph_attention.py --threads 2

The reference is fixed here: matmul, scale, times W, masked_fill, softmax, matmul over all T*N tokens, with W
and the mask given; its time does not include the graph. That of 'banded' is printed both ways: with the graph
given, and with the graph built each time. Figures are medians over rounds in which the methods take turns, so
that a busy machine slows all of them. CPU time of all threads stands beside the wall clock, which on a shared
machine also measures the others. Memory is the growth of the peak resident set in a fresh child process
(Linux VmHWM above VmRSS just before the call); inputs, W and masks are not counted.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
from timing import take_turns
from torch import Tensor

from stgt_mm.engine.cli import described_parser, run_tool
from stgt_mm.functional.graph import banded_graph, dense_graph
from stgt_mm.models.layers import banded_attention

THRESHOLD = 0.1
METHODS = ('reference', 'banded', 'banded+graph')


def reference(query: Tensor, key: Tensor, value: Tensor, weights: Tensor, hidden: Tensor) -> Tensor:
    """Computes the graph attention in the plain way; it must stay as it is.

    Queries, keys, values have shape [B, H, T*N, d]; W_s, and ``hidden`` (True where not linked), have shape
    [B, 1, T*N, T*N].
    """
    scores = torch.matmul(query, key.transpose(-2, -1))
    scores = scores / math.sqrt(query.shape[-1])
    scores = scores * weights
    scores = scores.masked_fill(hidden, float('-inf'))
    return torch.matmul(torch.softmax(scores, dim=-1), value)


def build(method: str, args: argparse.Namespace, frames: int) -> Callable[[bool], Tensor]:
    """Makes inputs and returns a function of ``backward`` that runs a method once and returns its output."""
    torch.manual_seed(0)
    total, heads = frames * args.tokens, args.heads
    tokens = torch.randn(args.batch, total, args.width)
    tokens += torch.randn(args.batch, 1, args.width)
    shape = (args.batch, heads, total, args.width // heads)
    q, k, v = (torch.randn(shape, requires_grad=True) for _ in range(3))
    grad = torch.randn(shape)
    if method == 'reference':
        graph = dense_graph(tokens, frames, THRESHOLD)
        given = (graph.weights[:, None], ~graph.linked[:, None])
        del graph
    else:
        given = banded_graph(tokens, frames, THRESHOLD)

    def run(backward: bool) -> Tensor:
        with torch.set_grad_enabled(backward):
            if method == 'reference':
                out = reference(q, k, v, *given)
            else:
                graphs = banded_graph(tokens, frames, THRESHOLD) if method == 'banded+graph' else given
                out = banded_attention(q * (1 / math.sqrt(q.shape[-1])), k, v, graphs, band=1)
            if backward:
                torch.autograd.grad(out, (q, k, v), grad)
        return out.detach()

    return run


def _status(field: str) -> int:
    """Returns a field of /proc/self/status in bytes."""
    with open('/proc/self/status', encoding='ascii') as handle:
        line = next(line for line in handle if line.startswith(field + ':'))
    return int(line.split()[1]) * 1024


def extra_memory(method: str, args: argparse.Namespace, backward: bool) -> int:
    """Measures the extra peak memory of one call in bytes, in this (fresh) process."""
    run = build(method, args, args.frames)
    torch.ones(1, requires_grad=True).mul(2).backward()
    with open('/proc/self/clear_refs', 'w', encoding='ascii') as handle:
        handle.write('5')
    before = _status('VmRSS')
    run(backward)
    return _status('VmHWM') - before


def memory_in_child(method: str, args: argparse.Namespace, backward: bool) -> int:
    """Runs ``extra_memory`` in a process of its own and returns its bytes."""
    sizes = [f'--{name}={getattr(args, name)}' for name in ('batch', 'frames', 'tokens', 'width', 'heads')]
    command = [sys.executable, __file__, *sizes, f'--threads={args.threads}', f'--memory-of={method}']
    command += ['--backward'] if backward else []
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)['bytes']


def times(
    runs: dict[str, Callable[[bool], Tensor]], rounds: int, backward: bool
) -> dict[str, tuple[float, float]]:
    """Times methods in turns after a warm-up: median seconds of the wall clock and of the CPU."""
    for run in runs.values():
        run(backward)
    taken = take_turns({name: partial(run, backward) for name, run in runs.items()}, rounds)
    return {name: tuple(map(statistics.median, zip(*own))) for name, own in taken.items()}


def report(args: argparse.Namespace) -> None:
    """Prints all figures."""
    runs = {method: build(method, args, args.frames) for method in METHODS}
    longer = build('banded', args, args.frames * args.growth)
    difference = (runs['reference'](False) - runs['banded'](False)).abs().max().item()
    print(
        f'{args.batch} x {args.frames} frames x {args.tokens} tokens, width {args.width}, '
        f'{args.heads} heads, {args.threads} threads, torch {torch.__version__}, median of {args.rounds}; '
        f'largest difference of outputs {difference:.1e}'
    )
    for backward in (False, True):
        print('forward+backward:' if backward else 'forward:')
        taken = times(runs, args.rounds, backward)
        grown = times({'short': runs['banded'], 'long': longer}, args.rounds, backward)
        memory = {method: memory_in_child(method, args, backward) for method in METHODS}
        wall, cpu = taken['reference']
        for method in METHODS:
            own_wall, own_cpu = taken[method]
            share = memory[method] / max(1, memory['reference'])
            print(
                f'  {method:12s} wall {own_wall * 1e3:8.2f} ms, {wall / own_wall:5.2f}x faster; '
                f'CPU {own_cpu * 1e3:8.2f} ms, {cpu / own_cpu:5.2f}x; '
                f'extra memory {memory[method] / 2**20:7.1f} MiB, {share:.2f} of the reference'
            )
        growth = [long / short for long, short in zip(grown['long'], grown['short'])]
        print(
            f'  banded, {args.frames} -> {args.frames * args.growth} frames: time grows '
            f'{growth[0]:.2f}x (wall), {growth[1]:.2f}x (CPU)'
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the command line and runs the benchmark."""
    parser = described_parser(__doc__)
    parser.add_argument('--batch', type=int, default=1, help='clips')
    parser.add_argument('--frames', type=int, default=8, help='frames of a clip')
    parser.add_argument('--growth', type=int, default=4, help='factor of the longer clip for the growth row')
    parser.add_argument('--tokens', type=int, default=256, help='patches of a frame')
    parser.add_argument('--width', type=int, default=768, help='embedding width')
    parser.add_argument('--heads', type=int, default=12, help='attention heads')
    parser.add_argument('--threads', type=int, default=2, help='CPU threads')
    parser.add_argument('--rounds', type=int, default=9, help='timed rounds')
    parser.add_argument('--memory-of', choices=METHODS, help='only measure the memory of one method')
    parser.add_argument('--backward', action='store_true', help='with --memory-of: include the backward pass')
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    if args.memory_of:
        print(json.dumps({'bytes': extra_memory(args.memory_of, args, args.backward)}))
    else:
        report(args)


if __name__ == '__main__':
    sys.exit(run_tool(main))
