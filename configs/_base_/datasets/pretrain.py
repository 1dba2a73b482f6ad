"""Data of pre-training: WebVid, VIDAL and CC3M; a config chooses. Its test is zero-shot MSR-VTT, 1k-A.

``--cfg-options data_root=/disk`` moves all paths. Clips that are not on disk, as always with sets from the
web, are counted in the log and left out.
"""

from mmengine.config import read_base

with read_base():
    from .msrvtt import *

from stgt_mm.datasets import VideoTextDataset
from stgt_mm.datasets.transforms import LoadImage

data_root = 'data'
converters = 'python tools/dataset_converters'
image_pipeline = [dict(type=LoadImage), *train_pipeline[1:]]
webvid2m = dict(
    type=VideoTextDataset,
    ann_file=f'{data_root}/webvid2m/train.jsonl',
    video_root=f'{data_root}/webvid2m/videos',
    made_by=f'{converters}/webvid.py results_2M_train.csv {data_root}/webvid2m/train.jsonl '
    f'--video-root {data_root}/webvid2m/videos',
    pipeline=train_pipeline,
    missing='skip',
)
webvid10m = dict(
    webvid2m,
    ann_file=f'{data_root}/webvid10m/train.jsonl',
    video_root=f'{data_root}/webvid10m/videos',
    made_by=f'{converters}/webvid.py results_10M_train.csv {data_root}/webvid10m/train.jsonl '
    f'--video-root {data_root}/webvid10m/videos',
)
vidal4m = dict(
    webvid2m,
    ann_file=f'{data_root}/vidal10m/train_4m.jsonl',
    video_root=f'{data_root}/vidal10m/videos',
    made_by=f'{converters}/vidal.py CAPTIONS.json {data_root}/vidal10m/train_4m.jsonl --max-videos 4000000 '
    f'--video-root {data_root}/vidal10m/videos',
)
vidal7m = dict(
    vidal4m,
    ann_file=f'{data_root}/vidal10m/train_7m.jsonl',
    made_by=f'{converters}/vidal.py CAPTIONS.json {data_root}/vidal10m/train_7m.jsonl --max-videos 7000000 '
    f'--video-root {data_root}/vidal10m/videos',
)
cc3m = dict(
    webvid2m,
    ann_file=f'{data_root}/cc3m/train.jsonl',
    video_root=f'{data_root}/cc3m/images',
    made_by=f'{converters}/cc3m.py Train_GCC-training.tsv {data_root}/cc3m/train.jsonl '
    f'--image-root {data_root}/cc3m/images',
    pipeline=image_pipeline,
)
