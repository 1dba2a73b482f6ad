"""Two processes train as one does: each set of objectives, and pictures and videos in turn."""

import pytest
import torch
import torch.distributed as dist
from gloo_pair import in_two_processes
from mmengine.model import MMDistributedDataParallel
from tiny_aligner import NECKS, TEXTS, build_aligner, prepared_batch, total, write_vocab
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from stgt_mm.datasets import EpochSampler, MixedDataset, SourceBatchSampler, video_text_collate
from stgt_mm.structures import VideoTextSample

# alpha of the contrastive head, and what the aligner lacks
CASES = [(1.0, 'nothing'), (0.0, 'nothing'), (1.0, 'captions'), (1.0, 'matching'), (1.0, 'global passes')]
STEPS = 4  # two sources of two batches each


class Clips(Dataset):
    """Random clips of T frames with captions."""

    def __init__(self, size, frames):
        generator = torch.Generator().manual_seed(frames)
        self.clips = torch.randint(0, 256, (size, frames, 3, 16, 16), generator=generator, dtype=torch.uint8)

    def __len__(self):
        return len(self.clips)

    def __getitem__(self, index):
        meta = dict(video_id=f'v{int(index)}', text=TEXTS[index % len(TEXTS)])
        return {'inputs': self.clips[index], 'data_samples': VideoTextSample(metainfo=meta)}


def mixed():
    return MixedDataset({'films': Clips(9, 3), 'pictures': Clips(8, 1)})


def epoch_of(rank, world, size):
    return list(SourceBatchSampler(EpochSampler(mixed(), seed=2, rank=rank, world_size=world), size))


def prepare(aligner, indices, noise):
    data = mixed()
    batch = aligner.data_preprocessor(video_text_collate([data[index] for index in indices]))
    batch['inputs']['video'] = batch['inputs']['video'].double()
    batch['inputs']['negative_noise'] = noise
    return batch


def train(vocab, neck, batches, rows, wrap=lambda model: model):
    """A few steps of SGD over given batches; ``rows`` are this process's among those of all."""
    aligner = build_aligner(vocab, neck)
    model = wrap(aligner)
    optimizer = torch.optim.SGD([p for p in aligner.parameters() if p.requires_grad], lr=0.1)
    noise = torch.rand(STEPS, 2, 4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    frames, losses = [], []
    for step, indices in enumerate(batches):
        batch = prepare(aligner, indices, noise[step][:, rows])
        frames.append(batch['inputs']['video'].shape[1])
        loss = total(model(**batch, mode='loss'))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        lonely = [n for n, p in aligner.named_parameters() if p.requires_grad and p.grad is None]
        assert lonely == []  # so that find_unused_parameters=False is right
        optimizer.step()
        losses.append(loss.detach())
    return {'frames': frames, 'losses': torch.stack(losses), 'state': aligner.state_dict()}


def objectives(vocab, alpha, without, rows, steps=1, wrap=lambda model: model):
    """Losses, their mean over the processes, and gradients of an aligner on rows of the fixed batch."""
    aligner = build_aligner(vocab, alpha=alpha, without=without)
    model = wrap(aligner)
    noise = torch.rand(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for _ in range(steps):
        aligner.zero_grad()
        losses = model(**prepared_batch(aligner, rows, noise), mode='loss')
        total(losses).backward()
    shares = {key: value.detach().clone() for key, value in losses.items() if 'loss' in key}
    if dist.is_initialized():
        for value in shares.values():
            dist.all_reduce(value)
            value /= 2
    gradients = {name: p.grad for name, p in aligner.named_parameters() if p.grad is not None}
    return {'losses': shares, 'gradients': gradients}


def work(vocab):
    rank = dist.get_rank()

    def wrap(model):  # as the runner does on a CPU
        return MMDistributedDataParallel(
            module=model, device_ids=None, broadcast_buffers=False, find_unused_parameters=False
        )

    rows = slice(2 * rank, 2 * rank + 2)
    results = {neck: train(vocab, neck, epoch_of(rank, 2, 2), rows, wrap) for neck in NECKS}
    own = range(3) if rank == 0 else range(3, 5)
    for case in CASES:
        # twice: in the second step DDP complains of parameters that had no gradient in the first
        results[str(case)] = objectives(vocab, *case, own, steps=2, wrap=DistributedDataParallel)
    return results


@pytest.fixture(scope='module')
def vocab(tmp_path_factory):
    return write_vocab(tmp_path_factory.mktemp('vocab'))


@pytest.fixture(scope='module')
def two(tmp_path_factory, vocab):
    return in_two_processes(work, tmp_path_factory.mktemp('gloo'), vocab)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_losses_and_gradients_of_two_processes_equal_one(two, vocab, case):
    expected, found = objectives(vocab, *case, range(5)), two[0][str(case)]
    assert found['losses'].keys() == expected['losses'].keys()
    assert found['gradients'].keys() == expected['gradients'].keys()
    for part, values in found.items():
        for key, value in values.items():
            torch.testing.assert_close(value, expected[part][key], atol=1e-9, rtol=0, msg=key)


@pytest.mark.parametrize('neck', NECKS)
def test_two_processes_train_on_both_as_one_does(two, vocab, neck):
    # gathered over processes, the rows of the first stand before those of the second
    batches = [first + second for first, second in zip(epoch_of(0, 2, 2), epoch_of(1, 2, 2), strict=True)]
    expected = train(vocab, neck, batches, slice(None))
    ranks = [results[neck] for results in two]
    assert sorted(expected['frames']) == [1, 1, 3, 3]
    assert ranks[0]['frames'] == ranks[1]['frames'] == expected['frames']
    mean = (ranks[0]['losses'] + ranks[1]['losses']) / 2
    torch.testing.assert_close(mean, expected['losses'], rtol=0, atol=1e-9)
    for key, value in expected['state'].items():
        assert torch.equal(ranks[0]['state'][key], ranks[1]['state'][key]), key
        torch.testing.assert_close(ranks[0]['state'][key], value, rtol=0, atol=1e-9, msg=f'{key} differs')


@pytest.mark.parametrize(('neck', 'tokens'), [('stgt', 5), ('cross_frame', 6), ('mean_pool', 5), ('none', 5)])
def test_a_picture_keeps_all_its_tokens(vocab, neck, tokens):
    aligner = build_aligner(vocab, neck).eval()
    picture = torch.rand(2, 1, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = aligner(dict(video=picture))
    assert features.tokens.shape == (2, tokens, 16)
    other = picture.clone()
    other[:, :, :, 8:, 8:] = 0  # one of the four patches
    changed = (aligner(dict(video=other)).tokens - features.tokens).abs().amax(dim=(0, 2))
    assert (changed > 0).all()
