"""The base of models that answer questions: predictions of a batch, and fields that samples must have."""

from collections.abc import Sequence

from torch import Tensor

from stgt_mm.models.video_encoder import VideoEncoder
from stgt_mm.structures import VideoTextSample


class Answerer(VideoEncoder):
    """Base of models with ``answer(inputs, questions, k)`` and ``mode``."""

    mode: str

    def predict(
        self, inputs: dict[str, Tensor], data_samples: list[VideoTextSample]
    ) -> list[VideoTextSample]:
        """Writes ``prediction`` (str), its ``score`` (float) and ``mode`` into B samples."""
        found = self.answer(inputs, self.questions_of(data_samples), k=1)
        for sample, ((text, score),) in zip(data_samples, found):
            for name, value in (('prediction', text), ('score', score), ('mode', self.mode)):
                sample.set_field(value, name, field_type='data')
        return data_samples

    def questions_of(self, samples: Sequence[VideoTextSample]) -> list[str]:
        """Takes the questions of samples; a ValueError if one has none."""
        return texts_of(samples, 'question')


def texts_of(samples: Sequence[VideoTextSample], field: str) -> list[str]:
    """Takes a field of all samples; the error for one without it says which."""
    missing = [sample.get('question_id', sample.get('video_id')) for sample in samples if field not in sample]
    if missing:
        raise ValueError(
            f'{len(missing)} samples have no {field}, the first is {missing[0]!r}: write "{field}" into '
            'every line of the annotation file.'
        )
    return [getattr(sample, field) for sample in samples]
