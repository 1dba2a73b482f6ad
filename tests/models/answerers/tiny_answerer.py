"""Answerers small enough for a unit test: a tiny backbone, Q-Former and language model, in any mode."""

import torch

from stgt_mm.models.tokenizer import SPECIAL_TOKENS
from stgt_mm.registry import MODELS
from stgt_mm.structures import VideoTextSample

WORDS = ['what', 'colour', 'is', 'it', 'who', 'runs', 'question', 'short', 'answer', ':', '?']
ANSWERS = ['red', 'blue', 'dark blue', 'dog', 'a cat']
QUESTIONS = ['what colour is it?', 'who runs?', 'what runs']
TRUTHS = ['dark blue', 'dog', 'a cat']
WIDTH = 8
LANGUAGE_MODELS = {
    'opt': dict(
        model_type='opt',
        hidden_size=16,
        word_embed_proj_dim=16,
        ffn_dim=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        dropout=0.0,
    ),
    'llama': dict(
        model_type='llama',
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
    ),
}


def write_files(folder):
    """Writes a word vocabulary, the answers and returns the folder."""
    words = [*SPECIAL_TOKENS, *WORDS, *dict.fromkeys(' '.join(ANSWERS).split())]
    (folder / 'vocab.txt').write_text('\n'.join(words) + '\n')
    (folder / 'answers.txt').write_text('\n'.join(ANSWERS) + '\n')
    return folder


def config(folder, mode='generate', family='opt', **changes):
    vocab = str(folder / 'vocab.txt')
    qformer = dict(type='QFormer', width=WIDTH, depth=2, num_heads=2, num_queries=3, vision_width=16)
    vit = dict(
        model_name='vit_tiny_patch16_224', img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2
    )
    cfg = dict(
        type='VideoQuestionAnswerer',
        data_preprocessor=dict(
            type='VideoTextDataPreprocessor', tokenizer=dict(type='WordPieceTokenizer', vocab=vocab)
        ),
        backbone=dict(type='TimmViT', **vit),
        neck=dict(type='STGT', embed_dims=16, num_heads=2, num_frames=2, grid_size=2, attn_drop=0.0),
        vision_norm=dict(eps=1e-5),
        qformer=dict(**qformer, max_positions=16, dropout=0.0, vocab_size=None, init_std=0.3),
        mode=mode,
    )
    if mode == 'classify':
        cfg['answer_head'] = dict(type='AnswerHead', width=WIDTH, vocabulary=str(folder / 'answers.txt'))
        cfg['condition_on_question'] = True
    else:
        cfg['language_model'] = dict(
            type='CausalLanguageModel', config=LANGUAGE_MODELS[family], tokenizer=vocab
        )
    if mode == 'rank':
        cfg['candidates'] = str(folder / 'answers.txt')
    return {**cfg, **changes}


def build(folder, seed=0, **options):
    """Builds an answerer with weights large enough that questions and videos matter."""
    torch.manual_seed(seed)
    model = MODELS.build(config(folder, **options))
    if model.language_model is not None:
        with torch.no_grad():
            for parameter in model.language_model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
            torch.nn.init.normal_(model.projection.weight, std=0.5)
    return model


def samples(questions=QUESTIONS, answers=TRUTHS):
    return [
        VideoTextSample(metainfo=dict(video_id=f'v{i}', question_id=i, question=question, answer=answer))
        for i, (question, answer) in enumerate(zip(questions, answers))
    ]


def inputs(count=3, dtype=torch.float32):
    """Cached tokens (count, T, 1 + N, C)."""
    return {'tokens': torch.randn(count, 2, 5, 16, generator=torch.Generator().manual_seed(1)).to(dtype)}
