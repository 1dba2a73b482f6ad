"""The loop that validates and tests captioning: every video gets a caption, the metrics judge."""

import inspect
from typing import Any

from stgt_mm.engine.loops.answer_loop import AnswerLoop
from stgt_mm.registry import LOOPS
from stgt_mm.structures import VideoTextSample
from stgt_mm.utils import did_you_mean


@LOOPS.register_module()
class CaptionLoop(AnswerLoop):
    """Captioning over a ``VideoCaptionDataset``; serves as ``val_cfg`` and as ``test_cfg``.

    The model's ``caption`` gives (caption, score) of each video of a batch: that of an aligner is its
    Q-Former's own decoder, that of a question answerer with ``task='caption'`` its language model.

    Args:
        *args: Of :class:`~stgt_mm.engine.loops.evaluation_loop.EvaluationLoop`.
        generation: Options of the model's ``caption``, ``dict(num_beams=3)`` for an aligner.
        **kwargs: Of the same.

    Raises:
        ValueError: If the model has no ``caption``, or it takes no such option.
    """

    items = 'videos'

    def __init__(self, *args: Any, generation: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        name = type(self.model).__name__
        if not hasattr(self.model, 'caption'):
            raise ValueError(f'{name} cannot caption: CaptionLoop calls its method caption(inputs).')
        _, *taken = inspect.signature(self.model.caption).parameters.values()
        self.generation = {option.name: option.default for option in taken}
        for option in set(generation or ()) - set(self.generation):
            remedy = did_you_mean(option, self.generation) if taken else 'Its options are in its own config.'
            raise ValueError(f'generation: caption of {name} takes no {option}. {remedy}')
        self.generation.update(generation or {})

    def predict(self, inputs: dict[str, Any], data_samples: list[VideoTextSample]) -> list[VideoTextSample]:
        """Has the model caption a prepared batch."""
        for sample, (text, score) in zip(data_samples, self.model.caption(inputs, **self.generation)):
            sample.set_field(text, 'prediction', field_type='data')
            sample.set_field(score, 'score', field_type='data')
        return data_samples

    @property
    def asked(self) -> dict[str, Any]:
        """How the model was asked, for ``protocol``."""
        return {'task': 'caption', **super().asked, **self.generation}
