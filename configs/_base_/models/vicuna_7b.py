"""Vicuna-7B, read from a folder: ``hf download lmsys/vicuna-7b-v1.3 --local-dir weights/vicuna-7b``."""

from stgt_mm.models import CausalLanguageModel

language_model = dict(
    type=CausalLanguageModel,
    pretrained='weights/vicuna-7b',
    precision='float16',
    # of the published weights: what is built where they are not read, to count parameters and FLOPs
    config=dict(
        model_type='llama',
        vocab_size=32_000,
        hidden_size=4096,
        intermediate_size=11_008,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=2048,
    ),
)
