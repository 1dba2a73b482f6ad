"""The grouping block: group tokens look at the patch tokens, and gather those that choose them."""

from timm.layers import Mlp
from torch import Tensor, nn
from torch.nn import functional as F

from stgt_mm.functional.grouping import ASSIGNMENTS, assign_to_groups, mean_of_groups
from stgt_mm.functional.similarity import full_precision
from stgt_mm.models.layers.transformer import check_heads


class _Look(nn.Module):
    """Attention of groups [B, M, C] to normalised tokens [B, L, C] and an MLP, both with a residual."""

    def __init__(self, embed_dims: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm, self.norm_mlp = nn.LayerNorm(embed_dims), nn.LayerNorm(embed_dims)
        self.query, self.key, self.value, self.proj = (nn.Linear(embed_dims, embed_dims) for _ in range(4))
        self.mlp = Mlp(embed_dims, int(embed_dims * mlp_ratio))

    def forward(self, groups: Tensor, tokens: Tensor) -> Tensor:
        query, key, value = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in (self.query(self.norm(groups)), self.key(tokens), self.value(tokens))
        )
        found = F.scaled_dot_product_attention(query, key, value)
        groups = groups + self.proj(found.transpose(1, 2).flatten(2))
        return groups + self.mlp(self.norm_mlp(groups))


class GroupingBlock(nn.Module):
    """Refines M group tokens by the tokens that are assigned to them; their number stays.

    Every token chooses a group, the groups add the mean of theirs, and an MLP follows. With
    ``cross_attention`` the groups look at all tokens before, by an attention and an MLP.

    Args:
        embed_dims: C.
        num_heads: Heads of the cross-attention; the assignment has one.
        assign: How a token chooses, see :func:`~stgt_mm.functional.grouping.assign_to_groups`.
        mlp_ratio: Width of the MLPs over C.
        cross_attention: Whether groups look at all tokens first, as in GroupViT. Then a group can know what
            is in the clip without having it: its tokens need not be those of what it is taken for.

    Raises:
        ValueError: If an argument has no meaning here.

    Source: GroupViT (arXiv 2202.11094) section 3.2 without the MLP that mixes groups, which there changes
        their number; S-ViLM (arXiv 2303.16341) keeps it.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        assign: str = 'kmeans',
        mlp_ratio: float = 4.0,
        cross_attention: bool = False,
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        if assign not in ASSIGNMENTS:
            raise ValueError(f'assign must be one of {ASSIGNMENTS}, got {assign!r}.')
        self.assign = assign
        self.norm_tokens, self.norm_assign, self.norm_out = (nn.LayerNorm(embed_dims) for _ in range(3))
        self.assign_query, self.assign_key, self.assign_value, self.assign_proj = (
            nn.Linear(embed_dims, embed_dims) for _ in range(4)
        )
        self.mlp_out = Mlp(embed_dims, int(embed_dims * mlp_ratio))
        self.look = _Look(embed_dims, num_heads, mlp_ratio) if cross_attention else None

    def forward(self, groups: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Maps groups [B, M, C] and tokens [B, L, C] to groups [B, M, C] and assignments [B, M, L]."""
        tokens = self.norm_tokens(tokens)
        if self.look is not None:
            groups = self.look(groups, tokens)
        assignment = self._choose(self.norm_assign(groups), tokens)
        gathered = mean_of_groups(assignment.to(tokens.dtype), self.assign_value(tokens))
        groups = groups + self.assign_proj(gathered)
        return groups + self.mlp_out(self.norm_out(groups)), assignment

    def extra_repr(self) -> str:
        """Returns what the groups depend on beside the weights; feature caches are keyed by it."""
        return f'assign={self.assign}'

    def _choose(self, groups: Tensor, tokens: Tensor) -> Tensor:
        query, key = self.assign_query(groups), self.assign_key(tokens)
        logits = full_precision(query @ key.transpose(1, 2)) * query.shape[-1] ** -0.5
        return assign_to_groups(logits, self.assign, self.training)
