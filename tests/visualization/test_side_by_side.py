import torch
from PIL import Image

from stgt_mm.evaluation.rank import Ranking
from stgt_mm.functional.ranking import Relation
from stgt_mm.visualization.comparison import (
    Answered,
    Hits,
    Retrieved,
    best_items,
    draw_answers,
    draw_retrieval,
)


def test_best_items_are_those_of_the_evaluation():
    similarity = torch.tensor([[0.9, 0.5, 0.7, 0.5], [0.1, 0.1, 0.3, 0.2]])
    ranking = Ranking('t2v', 't2v', Relation.from_lists([[1], [0]]), similarity)
    found = best_items(ranking, 3)
    assert found.order.tolist() == [[0, 2, 1], [2, 3, 0]]
    assert found.right.tolist() == [[False, False, True], [False, False, True]]
    assert found.rank.tolist() == [3, 3]
    # candidates go before all others, by their own scores
    ranking.candidates, ranking.fused = (
        torch.tensor([[2, 1], [2, 3]]),
        torch.tensor([[-9.0, -8.0], [0.0, 1.0]]),
    )
    found = best_items(ranking, 4)
    assert found.order.tolist() == [[1, 2, 0, 3], [3, 2, 0, 1]]
    assert found.rank.tolist() == [1, 3]


def test_pictures_hold_what_they_are_given(tmp_path):
    clip = torch.randint(0, 255, (5, 3, 9, 16), dtype=torch.uint8)
    videos = Hits([clip, clip], [False, True], 2)
    words = Hits(['a caption of many words ' * 6, 'short'], [True, False], 1)
    queries = [Retrieved('who costs $5 or $6?', [videos, videos]), Retrieved(clip, [words, words])]
    one, both = (
        Image.open(draw_retrieval(part, ['one', 'two'], tmp_path / 'r.png')).size
        for part in (queries[:1], queries)
    )
    assert one[0] == both[0] and one[1] < both[1]
    asked = [Answered(clip, 'what is it?', ['a', 'b'], 'a'), Answered(clip, 'and this?', ['a', 'b'])]
    assert Image.open(draw_answers(asked, ['one', 'two'], tmp_path / 'a.png')).width == both[0]
