"""Every key of a conversion is accounted for, and what cannot be right stops it."""

import pytest
import torch

from stgt_mm.converters.converted import Converted, KeyMap, rename
from stgt_mm.converters.report import account, check, report_lines
from stgt_mm.converters.sources import PARTS, SOURCES, convert_source, select_part

NAMES = KeyMap([('a.{}.x.*', 'layers.{}.y.*'), ('z', 'w')])


def source():
    return {
        'a.3.x.weight': torch.ones(2),
        'a.3.x.bias': torch.ones(3),
        'z': torch.ones(1),
        'counter': torch.ones(1),
        'odd': torch.ones(1),
    }


@pytest.fixture
def converted():
    return rename(source(), NAMES, [(r'count.*', 'a counter')])


def test_names_go_both_ways():
    for theirs, ours in (('a.12.x.weight', 'layers.12.y.weight'), ('z', 'w')):
        assert NAMES.get(theirs) == ours
        assert NAMES.reverse().get(ours) == theirs
    for other in ('a.x.weight', 'a.1.x.gamma', 'a.1.x.weight.more', 'zz', 'aa1ax.weight'):
        assert NAMES.get(other) is None


def test_two_keys_for_one_name_are_an_error():
    both = KeyMap([('a', 'x'), ('b', 'x')])
    with pytest.raises(ValueError, match="'a' and 'b' both become 'x'"):
        rename({'a': torch.ones(1), 'b': torch.ones(1)}, both)


def test_every_key_is_in_one_list(converted):
    converted.fill('made', torch.ones(1), 'made up')
    target = {'layers.3.y.weight': (2,), 'layers.3.y.bias': (4,), 'lost': (1,), 'new.a': (1,), 'made': (1,)}
    report = account(converted, target, {r'new\.': 'is new'})
    assert report.mapped == [
        'a.3.x.weight -> layers.3.y.weight',
        'a.3.x.bias -> layers.3.y.bias',
        'z -> w',
    ]
    assert report.left_aside == ['counter: a counter']
    assert report.filled == ['made: made up']
    assert report.gaps == ['new.a: is new']
    assert report.unknown == ['odd']
    assert report.missing == ['lost']
    assert report.unexpected == ['w']
    assert report.shapes == ['layers.3.y.bias: [3] in the source, [4] in the model']
    text = '\n'.join(report_lines(report, whole=True))
    for key in [*source(), *target]:
        assert key in text
    with pytest.raises(ValueError) as stop:
        check(report)
    for part in ('1 keys of the model are missing', '1 keys are not in the model', 'another shape', 'lost'):
        assert part in str(stop.value)


def test_a_few_unknown_keys_are_told_and_many_are_an_error(converted):
    report = account(converted)
    check(report, max_unknown=1)
    with pytest.raises(ValueError, match='1 keys have no known name, at most 0 may'):
        check(report, max_unknown=0)
    assert any('no model to compare with' in line for line in report_lines(report))


def test_a_source_of_another_kind_is_an_error():
    resnet = {f'layer1.{index}.conv1.weight': torch.ones(1) for index in range(3)}
    for name in sorted(set(SOURCES) - {'released_stgt'}):
        report = account(convert_source(name, resnet))
        assert len(report.unknown) == 3
        with pytest.raises(ValueError, match='is the source of this kind'):
            check(report)
    with pytest.raises(ValueError, match="Did you mean 'hf_blip2'"):
        convert_source('hf_blip', resnet)


def test_parts_share_out_the_whole():
    converted = Converted()
    converted.put('backbone.vit.cls_token', torch.ones(1), 'cls')
    converted.put('vision_norm.weight', torch.ones(1), 'norm')
    whole, backbone, rest = (select_part(converted, part) for part in PARTS)
    assert list(whole) == ['backbone.vit.cls_token', 'vision_norm.weight']
    assert list(backbone) == ['backbone.vit.cls_token'] and list(rest) == ['vision_norm.weight']
    assert backbone.left_aside == {'norm': 'not in the part backbone'}
    with pytest.raises(ValueError, match="nothing of the part 'no_backbone'"):
        select_part(backbone, 'no_backbone')
    with pytest.raises(ValueError, match='choose one of all'):
        select_part(converted, 'neck')
