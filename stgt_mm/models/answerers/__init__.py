"""Models that answer questions about videos."""

from stgt_mm.models.answerers.dual_encoder_answerer import DualEncoderAnswerer
from stgt_mm.models.answerers.language_model import CausalLanguageModel
from stgt_mm.models.answerers.video_question_answerer import VideoQuestionAnswerer

__all__ = ['CausalLanguageModel', 'DualEncoderAnswerer', 'VideoQuestionAnswerer']
