import pytest
import torch
from torch.nn import functional as F

from stgt_mm.functional.similarity import cosine_matrix, max_query_similarity, mean_query_embedding


def unit(*shape, dtype=torch.float64):
    return F.normalize(torch.randn(*shape, dtype=dtype, generator=torch.manual_seed(sum(shape))), dim=-1)


@pytest.mark.parametrize('videos, queries, texts', [(3, 4, 5), (1, 4, 1), (2, 1, 3)])
def test_max_query_similarity_is_the_best_query(videos, queries, texts):
    q, t = unit(videos, queries, 6), unit(texts, 6)
    expected = [
        [max(float(torch.dot(q[v, r], t[k])) for r in range(queries)) for k in range(texts)]
        for v in range(videos)
    ]
    torch.testing.assert_close(
        max_query_similarity(q, t), torch.tensor(expected, dtype=q.dtype), rtol=0, atol=1e-12
    )


def test_mean_query_embedding_is_the_direction_of_the_mean():
    q = unit(3, 4, 6)
    for v in range(3):
        mean = sum(q[v, r] for r in range(4))
        torch.testing.assert_close(mean_query_embedding(q)[v], mean / mean.norm())


def test_half_precision_is_computed_in_float32_also_under_autocast():
    q, t = unit(3, 4, 64).bfloat16(), unit(5, 64).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        out = max_query_similarity(q, t)
        cosines = cosine_matrix(t, t)
    assert out.dtype == cosines.dtype == torch.float32
    exact = max_query_similarity(q.double(), t.double())
    torch.testing.assert_close(out.double(), exact, rtol=0, atol=1e-6)


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r'\(3, 4, 6\).*\(5, 7\)'):
        max_query_similarity(unit(3, 4, 6), unit(5, 7))
    with pytest.raises(ValueError, match='queries must be'):
        max_query_similarity(unit(3, 6), unit(5, 6))
