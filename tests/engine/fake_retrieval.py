"""A retrieval model and set small enough to check every number of the loop by brute force."""

from hashlib import sha256
from logging import getLogger
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from stgt_mm.datasets import video_text_collate
from stgt_mm.engine.loops.retrieval_loop import RetrievalLoop
from stgt_mm.evaluation import RetrievalMetric
from stgt_mm.registry import DATASETS, MODELS
from stgt_mm.structures import VideoTextSample

WORDS = ['a', 'red', 'blue', 'circle', 'square', 'moves', 'left', 'right', 'up', 'turns', 'stops', 'grows']
NAMES = ('R1', 'R5', 'R10', 'Rmean', 'MdR', 'MnR')


class Preprocessor(nn.Module):
    def tokenize(self, texts):
        rows = [[1 + WORDS.index(word) for word in text.split()] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return ids, ids > 0

    def forward(self, batch, training=False):
        return {'inputs': {'video': batch['inputs'].float() / 255}, 'data_samples': batch['data_samples']}


class FakeQFormer(nn.Module):
    """Queries that read the text and the video; the numbers depend on every token and on no padding."""

    def __init__(self, width=48, queries=4):
        super().__init__()
        self.words = nn.Embedding(len(WORDS) + 1, width)
        self.queries = nn.Parameter(torch.randn(queries, width))
        self.key = nn.Linear(width, width)

    def project_video(self, tokens):
        return self.key(tokens)

    def select_videos(self, keys, index):
        return keys[index]

    def fuse(self, keys, ids, mask):
        text = (self.words(ids) * mask[..., None]).sum(-2) / mask.sum(-1, keepdim=True)
        reader = self.queries + text[..., None, :]  # [V, k, Q, D]
        weight = torch.einsum('vkqd,vmd->vkqm', reader, keys).softmax(-1)
        return torch.einsum('vkqm,vmd->vkqd', weight, keys) * text[..., None, :]


@MODELS.register_module()
class FakeAligner(nn.Module):
    def __init__(self, seed=0, width=48):
        super().__init__()
        torch.manual_seed(seed)
        self.data_preprocessor = Preprocessor()
        self.video = nn.Linear(3 * 4 * 4, width)
        self.qformer = FakeQFormer(width)
        self.matching = nn.Linear(width, 2)
        self.text = nn.Linear(width, width)
        self.contrastive_head = SimpleNamespace(temperature=torch.tensor(0.05))
        self.calls = []

    def encode_video(self, inputs):
        tokens = self.video(inputs['video'].flatten(2))
        self.calls.append(len(tokens))
        weight = torch.einsum('qd,vmd->vqm', self.qformer.queries, tokens).softmax(-1)
        queries = torch.einsum('vqm,vmd->vqd', weight, tokens)
        return SimpleNamespace(queries=nn.functional.normalize(queries, dim=-1), tokens=tokens)

    def encode_text(self, ids, mask):
        words = (self.qformer.words(ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return nn.functional.normalize(self.text(words), dim=-1)

    def similarity(self, queries, texts):
        return torch.einsum('vqp,kp->vkq', queries, texts).amax(-1)

    def matching_head(self, queries):
        return self.matching(queries).mean(-2)


@DATASETS.register_module()
class FakeRetrieval(Dataset):
    def __init__(
        self, videos=23, captions=2, seed=0, broken=(), collect_broken=False, missing='keep', many=True
    ):
        rng = np.random.default_rng(seed)
        self.clips = torch.from_numpy(rng.integers(0, 255, (videos, 5, 3, 4, 4), dtype=np.uint8))
        self.videos = [{'video': f'v{i}.mp4', 'video_id': f'v{i}'} for i in range(videos)]
        texts = (' '.join(rng.choice(WORDS, rng.integers(2, 9))) for _ in range(9 * videos * captions))
        self.texts = list(dict.fromkeys(texts))[: videos * captions]
        self.text_ids = [f't{i}' for i in range(videos * captions)]
        self.text_to_videos = [[i // captions] for i in range(videos * captions)]
        if many:
            self.text_to_videos[0] = [0, 5, 7]
        self.triples = [
            {'video': i, 'true': i, 'false': (i + 3) % videos, 'kind': 'odd' if i % 2 else 'even'}
            for i in range(videos)
        ]
        self.broken = broken
        assert collect_broken and missing == 'keep'

    def __len__(self):
        return len(self.videos)

    def __getitem__(self, index):
        info = {'sample_idx': index, **self.videos[index]}
        if index in self.broken:
            info['broken'] = 'no moov atom'
        clip = None if index in self.broken else self.clips[index]
        return {'inputs': clip, 'data_samples': VideoTextSample(metainfo=info)}


class StubRunner:
    """What the loop needs of a runner, without a work folder and without DDP."""

    build_dataloader = staticmethod(Runner.build_dataloader)

    def __init__(self, model):
        self.model, self.hooks, self.seed, self._randomness_cfg = model, [], 0, {}
        self.logger = getLogger('test')
        self.message_hub = MessageHub.get_instance(f'test-{id(self)}')
        self.called = []

    def register_hook(self, hook):
        self.hooks.append(hook)

    def call_hook(self, name, **kwargs):
        self.called.append(name)


def make_loop(dataset=None, batch_size=4, metric=None, choices=(), sampler=None, **options):
    dataset = dataset or FakeRetrieval(collect_broken=True)
    loader = DataLoader(dataset, batch_size=batch_size, collate_fn=video_text_collate, sampler=sampler)
    runner = StubRunner(FakeAligner().train())
    loop = RetrievalLoop(runner, loader, Evaluator(metric or RetrievalMetric()), **options)
    loop._choice_loaders = dict.fromkeys(choices, loader)
    return loop


def digest_of_scores(loop):
    """Hash of every score of every ranking: a difference too small for a rank shows."""
    digest = sha256()
    for ranking in loop.rank(loop.encode(), [loop.rerank_k])[loop.rerank_k]:
        for _, scores, _, _ in ranking.blocks():
            # 0.0 is added because a sum over processes turns -0.0 into it
            digest.update((scores + 0.0).contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def full_matrices(model, dataset):
    """Similarity and matching logits of every pair, by the shortest way."""
    features = model.encode_video({'video': dataset.clips.float() / 255})
    ids, mask = model.data_preprocessor.tokenize(dataset.texts)
    similarity = model.similarity(features.queries, model.encode_text(ids, mask))
    every = (len(dataset), *ids.shape)
    keys = model.qformer.project_video(features.tokens)
    logits = model.matching_head(model.qformer.fuse(keys, ids.expand(every), mask.expand(every)))
    return similarity.double(), logits


def brute_force(similarity, fused, k, relevant):
    """Sorts: the top k by fused score, then the rest by similarity; one rank a query."""
    found = []
    for sim, score, own in zip(similarity.tolist(), fused.tolist(), relevant):
        order = sorted(range(len(sim)), key=lambda i: -sim[i])
        order = sorted(order[:k], key=lambda i: -score[i]) + order[k:]
        found.append(1 + next(place for place, item in enumerate(order) if item in own))
    rank = np.array(found)
    recalls = [100 * float(np.mean(rank <= cutoff)) for cutoff in (1, 5, 10)]
    return dict(zip(NAMES, [*recalls, float(np.mean(recalls)), float(np.median(rank)), float(rank.mean())]))
