"""OPT-2.7B, read from a folder: ``hf download facebook/opt-2.7b --local-dir weights/opt-2.7b``."""

from stgt_mm.models import CausalLanguageModel

language_model = dict(
    type=CausalLanguageModel,
    pretrained='weights/opt-2.7b',
    precision='float16',
    # of the published weights: what is built where they are not read, to count parameters and FLOPs
    config=dict(
        model_type='opt',
        vocab_size=50_272,
        hidden_size=2560,
        word_embed_proj_dim=2560,
        ffn_dim=10_240,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=2048,
    ),
)
