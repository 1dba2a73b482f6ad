"""The loop that validates and tests action recognition: every view of every video, the metrics judge."""

from typing import Any

from stgt_mm.engine.loops.answer_loop import AnswerLoop
from stgt_mm.registry import LOOPS


@LOOPS.register_module()
class ActionLoop(AnswerLoop):
    """Action recognition over a ``VideoActionDataset``; serves as ``val_cfg`` and as ``test_cfg``.

    ``clips`` of its protocol are views. For the arguments see
    :class:`~stgt_mm.engine.loops.evaluation_loop.EvaluationLoop`.
    """

    items = 'clips'

    @property
    def asked(self) -> dict[str, Any]:
        """How the model was asked, for ``protocol``."""
        segments, crops = self.dataloader.dataset.views
        return {**super().asked, 'views': f'{segments} segments x {crops} crops, probabilities averaged'}
