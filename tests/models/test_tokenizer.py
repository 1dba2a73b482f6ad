"""Tokenizer and vocabulary builder, on small vocabularies and on BERT's when it is at hand."""

import json
import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_aligner import CAPTIONS

from stgt_mm.models.tokenizer import SPECIAL_TOKENS, WordPieceTokenizer
from stgt_mm.preparation.wordpiece import train_wordpiece
from stgt_mm.registry import TOKENIZERS

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get('STGT_SHARED_DATA', ROOT.parent / 'shared' / 'data'))


@pytest.fixture
def vocab(tmp_path):
    path = tmp_path / 'vocab.txt'
    path.write_text('\n'.join(train_wordpiece(CAPTIONS, 500)) + '\n', encoding='utf-8')
    return path


@pytest.fixture
def tokenizer(vocab):
    return WordPieceTokenizer(str(vocab))


@pytest.fixture
def bert_vocab():
    path = SHARED / 'bert-base-uncased' / 'vocab.txt'
    if not path.is_file():
        pytest.skip(
            f'{path} is absent: NOT compared with BERT; set STGT_SHARED_DATA to the folder of real data'
        )
    return path


def test_ids_mask_and_special_tokens(vocab, tokenizer):
    tokens = vocab.read_text().split()
    ids, mask = tokenizer(CAPTIONS)
    assert ids.shape == mask.shape == (3, 9) and ids.dtype == torch.long and mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [7, 9, 6]
    names = [[tokens[i] for i in row] for row in ids.tolist()]
    assert names[0] == ['[CLS]', *CAPTIONS[0].split(), '[SEP]', '[PAD]', '[PAD]']
    assert tokenizer.vocab_size == len(tokens) + 1 and tokenizer.dec_id == len(tokens)
    assert [tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id] == [0, 2, 3]


def test_truncation_is_on_the_right_and_keeps_sep(vocab):
    tokenizer = WordPieceTokenizer(str(vocab), max_length=5)
    ids, mask = tokenizer(CAPTIONS)
    assert ids.shape == (3, 5) and mask.all()
    assert (ids[:, -1] == tokenizer.sep_id).all() and (ids[:, 0] == tokenizer.cls_id).all()
    assert tokenizer.decode(ids) == ['a red circle', 'a blue square', 'the red circle']


def test_decode(tokenizer):
    ids, _ = tokenizer(CAPTIONS)
    assert tokenizer.decode(ids) == CAPTIONS
    ids[:, 0] = tokenizer.dec_id
    assert tokenizer.decode(ids[1]) == CAPTIONS[1] and tokenizer.decode(ids[1].tolist()) == CAPTIONS[1]
    assert tokenizer.decode(torch.cat([ids[0], ids[1]])) == CAPTIONS[0]
    assert tokenizer.decode([]) == ''


def test_unknown_words_are_spelled_and_unknown_characters_marked(tokenizer):
    assert tokenizer.decode(tokenizer(['a red dog'])[0][0]) == 'a red dog'
    assert tokenizer.decode(tokenizer(['a Red 犬 é'])[0][0]) == 'a red [UNK] e'


def test_special_tokens_in_a_caption_are_text(tokenizer):
    ids, mask = tokenizer(['a [SEP] circle [PAD] [DEC]'])
    inner = ids[0, 1:-1]
    assert not set(inner.tolist()) & {tokenizer.sep_id, tokenizer.pad_id, tokenizer.dec_id}
    assert mask.all()


def test_a_vocabulary_that_has_dec_gets_no_second(vocab):
    vocab.write_text(vocab.read_text() + '[DEC]\n')
    tokenizer = WordPieceTokenizer(str(vocab))
    assert tokenizer.vocab_size == len(vocab.read_text().split()) == tokenizer.dec_id + 1


def test_cache_changes_nothing_and_forgets_the_oldest(vocab, monkeypatch):
    plain, cached = WordPieceTokenizer(str(vocab), cache_size=0), WordPieceTokenizer(str(vocab), cache_size=2)
    generator = np.random.default_rng(0)
    for _ in range(20):
        texts = [CAPTIONS[i] for i in generator.integers(0, 3, size=4)]
        for a, b in zip(plain(texts), cached(texts)):
            assert torch.equal(a, b)
        assert cached._encode.cache_info().currsize <= 2 and not plain._encode.cache_info().currsize
    hits = []
    for index in (0, 1, 0, 2, 0, 2, 1):
        before = cached._encode.cache_info().hits
        cached([CAPTIONS[index]])
        hits.append(cached._encode.cache_info().hits - before)
    assert hits[2:] == [1, 0, 1, 1, 0]  # the third caption put out the second, unused for longest
    first, _ = cached([CAPTIONS[0]])
    first.zero_()
    assert cached([CAPTIONS[0]])[0].any()


@pytest.mark.parametrize('texts', [[], 'a red circle'])
def test_wrong_texts(tokenizer, texts):
    with pytest.raises(ValueError, match='list with at least one caption'):
        tokenizer(texts)


def test_wrong_vocabularies(tmp_path):
    command = 'tools/dataset_converters/build_vocab.py'
    with pytest.raises(ValueError, match=rf'nowhere/vocab\.txt.*{command}'):
        WordPieceTokenizer('nowhere/vocab.txt')
    path = tmp_path / 'vocab.txt'
    path.write_text('[PAD]\n[UNK]\na\nb\n')
    with pytest.raises(ValueError, match=rf'lacks \[CLS\], \[SEP\].*{command}'):
        WordPieceTokenizer(str(path))
    path.write_text('[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n')
    with pytest.raises(ValueError, match='1 tokens twice'):
        WordPieceTokenizer(str(path))


def test_a_name_that_cannot_be_downloaded(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError('no network\ndetails')

    monkeypatch.setattr('huggingface_hub.hf_hub_download', offline)
    with pytest.raises(
        ValueError, match=r"'bert-base-uncased' is neither.*OSError: no network\).*build_vocab"
    ):
        WordPieceTokenizer('bert-base-uncased')


def test_a_name_is_looked_up_on_the_hub(vocab, monkeypatch):
    asked = []
    monkeypatch.setattr('huggingface_hub.hf_hub_download', lambda *args: asked.append(args) or str(vocab))
    assert WordPieceTokenizer('someone/some-bert').vocab_size == len(vocab.read_text().split()) + 1
    assert asked == [('someone/some-bert', 'vocab.txt')]


def test_wrong_options(vocab):
    with pytest.raises(ValueError, match='max_length is 2'):
        WordPieceTokenizer(str(vocab), max_length=2)
    with pytest.raises(ValueError, match='cache_size is -1'):
        WordPieceTokenizer(str(vocab), cache_size=-1)


def test_registered_by_name(vocab):
    assert isinstance(
        TOKENIZERS.build({'type': 'WordPieceTokenizer', 'vocab': str(vocab)}), WordPieceTokenizer
    )


def test_bert_vocabulary(bert_vocab):
    from transformers import BertTokenizer

    tokenizer = WordPieceTokenizer(str(bert_vocab), max_length=16)
    assert tokenizer.vocab_size == 30523 and tokenizer.dec_id == 30522
    assert (tokenizer.pad_id, tokenizer.cls_id, tokenizer.sep_id) == (0, 101, 102)
    texts = ['A man is playing the guitar.', 'Crème brûlée — 3½ eggs!', 'supercalifragilistic 犬 \t\n x' * 4]
    reference = BertTokenizer(vocab=str(bert_vocab), do_lower_case=True)
    wanted = reference(texts, padding='longest', truncation=True, max_length=16, return_tensors='pt')
    ids, mask = tokenizer(texts)
    assert torch.equal(ids, wanted['input_ids']) and torch.equal(mask, wanted['attention_mask'].bool())


def test_training_gives_one_token_a_word_when_there_is_room():
    tokens = train_wordpiece(CAPTIONS, 500)
    words = {word for caption in CAPTIONS for word in caption.split()}
    assert tokens[:5] == list(SPECIAL_TOKENS) and len(tokens) == len(set(tokens))
    assert {token for token in tokens[5:] if len(token.removeprefix('##')) > 1} == words - {'a'}


def test_training_keeps_to_the_size_and_covers_the_captions(tmp_path):
    for size in (77, 80, 85, 90):
        tokens = train_wordpiece(CAPTIONS, size)
        path = tmp_path / f'{size}.txt'
        path.write_text('\n'.join(tokens) + '\n')
        tokenizer = WordPieceTokenizer(str(path), max_length=64)
        assert len(tokens) <= size and tokenizer.decode(tokenizer(CAPTIONS)[0]) == CAPTIONS
    with pytest.raises(ValueError, match='size is 76'):
        train_wordpiece(CAPTIONS, 76)


def test_build_vocab_command(tmp_path, monkeypatch, capsys):
    tool = str(ROOT / 'tools/dataset_converters/build_vocab.py')
    annotation, vocab = tmp_path / 'train.jsonl', tmp_path / 'out' / 'vocab.txt'
    annotation.write_text(''.join(json.dumps({'video': 'v.mp4', 'text': text}) + '\n' for text in CAPTIONS))
    monkeypatch.setattr('sys.argv', [tool, str(annotation), str(vocab), '--size', '300'])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    assert stop.value.code == 0
    assert vocab.read_text().splitlines() == train_wordpiece(CAPTIONS, 300)
    assert '88 tokens from 3 texts' in capsys.readouterr().out
    annotation.write_text('{"text": "fine"}\n{broken\n')
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(tool, run_name='__main__')
    assert stop.value.code == 2
    assert 'train.jsonl:2: not JSON' in capsys.readouterr().err
