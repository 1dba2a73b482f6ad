"""Counts of parameters and FLOPs: against formulas, against PyTorch's own counter, at the paper's size."""

import sys

import pytest
import torch
from command_line import ROOT, run_here
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stgt_mm.analysis import flops
from stgt_mm.config import load_config
from stgt_mm.random_weights import build_on_meta, weight_files, without_weights

sys.path.extend([str(ROOT / 'tests/models'), str(ROOT / 'tests/models/answerers')])
import tiny_answerer
from tiny_aligner import NECKS, aligner_config, write_vocab

FULL = ROOT / 'configs/retrieval/msrvtt_zeroshot.py'
SIZES = flops.Sizes(frames=3, image=(16, 16), text_tokens=7, candidates=4)


@pytest.fixture(scope='module')
def shallow():
    """The config of the paper's size but for a backbone of two blocks, and its model on the meta device."""
    cfg = load_config(FULL, {'model.backbone.depth': 2})
    return cfg, build_on_meta(cfg.model)


def meta(*shape):
    return torch.empty(*shape, device='meta')


def test_parameters_of_table_6():
    """The paper: neck 59.5M, learnable 246.2M; the baseline's 60.4M is 59.5M with these parts."""
    model = build_on_meta(load_config(FULL).model)
    assert (model.backbone.embed_dims, model.backbone.grid_size) == (1408, (16, 16))
    assert len(model.backbone.vit.blocks) == 39
    counts = flops.count_parameters(model)
    assert counts['neck'] == (59_531_648, 59_531_648)
    assert counts['total'] == (1_232_131_646, 246_237_118)
    assert counts['backbone'] == (985_894_528, 0)
    assert sum(total for name, (total, _) in counts.items() if name != 'total') == counts['total'][0]
    options = {'model.neck.type': 'CrossFrameNeck', 'model.backbone.depth': 1}
    baseline = flops.count_parameters(build_on_meta(load_config(FULL, options).model))
    width = 1408
    attention, mlp, norm = 4 * width * (width + 1), width * (8 * width + 5), 2 * width
    block = attention + mlp + 2 * norm
    message = width * (width + 1) + norm + attention
    # message and block of CCT; norm, projection, temporal embedding and block of MIT; the video token
    expected = message + block + norm + width * width + 8 * width + block + width
    assert baseline['neck'][0] == expected == 59_535_872


def test_flops_of_the_full_neck_follow_the_formula(shallow):
    """Every product of Eq. 4-15: C width, T frames, N patches, w frames seen."""
    cfg, model = shallow
    parts = {part.name: part for part in flops.count_flops(model, flops.sizes_of(cfg, model))}
    C, T, N = 1408, 8, 256
    pairs = sum(N * N * (min(T, t + 2) - max(0, t - 1)) for t in range(T))
    linears = T * (1 + N) * C * C + 2 * T * 12 * C * C + 4 * T * N * C * C + T * (1 + N) * 12 * C * C
    attention = 2 * 2 * T * T * C + T * 2 * (1 + N) ** 2 * C + 3 * pairs * C  # graph: cosines, scores, values
    pooled = T * (1 + 16 + 16) * C * C
    norms = parts['neck'].by_operator['layer_norm']
    assert parts['neck'].flops - norms == linears + attention + pooled
    vit = T * (256 * C * 3 * 14 * 14 + 2 * (257 * (4 * C * C + 2 * C * 6144) + 2 * 257**2 * C))
    assert parts['backbone'].flops - parts['backbone'].by_operator['layer_norm'] == vit
    assert not any(part.unknown for part in parts.values())


@pytest.mark.parametrize('neck', NECKS)
@pytest.mark.parametrize('backend', ['banded', 'dense'])
def test_parts_equal_pytorchs_own_counter(neck, backend, tmp_path):
    config = aligner_config(write_vocab(tmp_path), neck)
    if neck == 'stgt':
        config['neck'] = {**config['neck'], 'attention_backend': backend}
    model = build_on_meta(config)
    ids = torch.zeros(1, 7, dtype=torch.long, device='meta')
    mask = torch.ones_like(ids, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter:
        with torch.no_grad():
            video = model.encode_video({'video': meta(1, 3, 3, 16, 16)})
            model.encode_text(ids, mask)
        seen = counter.get_total_flops()
        given = model.qformer.project_video(video.tokens)
        projection = counter.get_total_flops() - seen
        model.matching_head(model.qformer.fuse(given, ids.expand(4, -1)[None], mask.expand(4, -1)[None]))
    parts = flops.count_flops(model, SIZES)
    products = sum(part.flops - part.by_operator.get('layer_norm', 0) for part in parts)
    assert 2 * products == counter.get_total_flops() - projection
    assert not any(part.unknown for part in parts)


@pytest.mark.parametrize('family', [None, 'opt', 'llama'])
def test_answerers_are_counted_up_to_the_first_token(tmp_path, family):
    folder, reads = tiny_answerer.write_files(tmp_path), family != 'opt'
    options = dict(family=family) if family else dict(mode='classify')
    config = tiny_answerer.config(folder, **options, condition_on_question=reads)
    if family:
        config['language_model']['config'] = {**config['language_model']['config'], 'vocab_size': 20}
    model = build_on_meta(config)
    sizes = flops.Sizes(frames=2, image=(16, 16), text_tokens=7, candidates=0)
    parts = {part.name: part for part in flops.count_flops(model, sizes)}
    assert not any(part.unknown for part in parts.values())
    assert ('question: Q-Former' in parts) is reads and ('Q-Former: queries' in parts) is not reads
    if family is None:
        assert parts['question: answer head'].flops == 8 * 5
        return
    row, width, wide = 3 + 7, 16, 32  # queries and question; widths of the language model
    linears = 4 * width * width + (2 if family == 'opt' else 3) * width * wide
    attention = 2 * row * width
    expected = row * (2 * (linears + attention) + width * 20)
    found = parts['question: language model']
    assert found.flops - found.by_operator.get('layer_norm', 0) == expected
    assert parts['question: projection'].flops == 3 * 8 * width


def test_convolutions_count_their_windows():
    grouped = nn.Conv2d(8, 12, (3, 2), stride=2, padding=1, dilation=2, groups=4, device='meta')
    part = flops.count_step('conv', grouped, grouped, meta(2, 8, 20, 21))
    height, width = nn.Conv2d(8, 12, (3, 2), 2, 1, 2, 4)(torch.zeros(2, 8, 20, 21)).shape[2:]
    assert part.flops == 2 * 12 * height * width * (8 // 4) * 3 * 2
    assert grouped(meta(2, 8, 20, 21)).shape == (2, 12, height, width)


def test_an_operator_that_nobody_knows_is_named():
    part = flops.count_step('solve', nn.Identity(), lambda x: torch.linalg.inv(x) * 2, meta(3, 5, 5))
    assert part.flops == 0 and part.uncounted['aten::mul'] == 1
    assert part.unknown == {'aten::linalg_inv': 1}


def test_weight_files_are_named_and_taken_out():
    config = {'backbone': {'checkpoint': 'a.pth', 'model_name': 'x'}, 'parts': [{'pretrained': True}]}
    assert weight_files(config) == ['a.pth', 'timm: ?']
    assert weight_files(without_weights(config)) == []
    assert config['backbone']['checkpoint'] == 'a.pth'


def test_tool_prints_what_the_paper_says(shallow, capsys):
    options = ['--candidates', 2, '--cfg-options', 'model.backbone.depth=2']
    assert run_here('analysis_tools/get_flops.py', FULL, *options) == 0
    printed = capsys.readouterr().out
    total = flops.count_parameters(shallow[1])['total'][0]
    assert 'paper, Table 6: neck 59.5M, learnable 246.2M' in printed
    assert f'{total / 1e6:.2f}M' in printed and 'k = 2' in printed and 'softmax 28' in printed
    assert 'UNKNOWN' not in printed


def test_tool_names_a_size_that_is_missing(capsys, tmp_path):
    tiny = ROOT / 'configs/moving_shapes/stgt_tiny.py'
    vocab = f'model.data_preprocessor.tokenizer.vocab={write_vocab(tmp_path)}'
    assert run_here('analysis_tools/get_flops.py', tiny, '--frames', 0, '--cfg-options', vocab) == 2
    assert 'frames is 0' in capsys.readouterr().err
