"""The sample that travels with a clip: who it is, what is said of it, what the model answered."""

from mmengine.structures import BaseDataElement


class VideoTextSample(BaseDataElement):
    """One clip and its words.

    Meta information (set through ``metainfo=`` or :meth:`set_metainfo`):

    - ``video``: path of the file as opened, str
    - ``video_id``: id that is unique in the data set, str
    - ``text``: caption, str (absent in video-only samples)
    - ``text_id``: id of the caption, str
    - ``noun_phrases``: things that the caption names, list of str (where the data have them)
    - ``question``, ``question_id``, str; ``answer``, the one to learn, str; ``answers``, all that count as
      right, list of str; ``question_type``, str (the last two where the data have them)
    - ``references``: all captions of the clip, list of str (where captions are evaluated)
    - ``action``: name of the action that is seen, str; ``clip_idx``: number of the clip, int, which views of
      one clip share (where actions are evaluated)
    - ``sample_idx``: index in the data set, int: results are merged by it
    - ``num_frames``: true number of frames of the file, int (after decoding)
    - ``frame_indices``: the frames that were taken, tuple of int (after decoding)

    A model that answers writes ``prediction``, ``score`` and ``mode``, one that captions the first two.
    """
