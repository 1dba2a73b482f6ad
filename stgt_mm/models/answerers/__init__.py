"""Models that answer questions about videos."""

from stgt_mm.models.answerers.language_model import CausalLanguageModel
from stgt_mm.models.answerers.video_question_answerer import VideoQuestionAnswerer

__all__ = ['CausalLanguageModel', 'VideoQuestionAnswerer']
