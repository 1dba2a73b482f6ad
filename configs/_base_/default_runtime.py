"""The runner, hooks and environment that every run shares."""

from mmengine.hooks import IterTimerHook, LoggerHook, ParamSchedulerHook, RuntimeInfoHook

from stgt_mm.engine.hooks import MetricsFileHook, ProgressHook, ReplacedClipsHook, VideoTextCheckpointHook

default_scope = 'stgt_mm'
runner_type = 'VideoTextRunner'
default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50),
    param_scheduler=dict(type=ParamSchedulerHook),
    replaced_clips=dict(type=ReplacedClipsHook),
    metrics_file=dict(type=MetricsFileHook),
    progress=dict(type=ProgressHook),
    checkpoint=dict(type=VideoTextCheckpointHook, interval=1, save_best='t2v/Rmean'),
)
convert = 'python tools/model_converters/convert.py'
converters = 'python tools/dataset_converters'
env_cfg = dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork'), dist_cfg=dict(backend='nccl'))
randomness = dict(seed=0)
log_level = 'INFO'
# What makes a file that a run lacks: the end of its path, as a regular expression, and a command.
made_by = {
    r'eva_vit_g\.safetensors': f'{convert} eva eva_vit_g.pth {{path}}',
    r'blip2_qformer\.safetensors': f'{convert} lavis_blip2 blip2_pretrained.pth {{path}} --part no_backbone',
    r'bert_qformer\.safetensors': f'{convert} bert bert-base-uncased {{path}}',
    r'stgt_(\w+)\.safetensors': f'{convert} released_stgt checkpoint_{{0}}.pth {{path}}',
    r'clip_vit_(?:b32|b16|l14)\.safetensors': f'{convert} openai_clip CLIP_FOLDER {{path}}',
    r'(vit_\w+\.\w+)/model\.safetensors': 'hf download timm/{0} model.safetensors --local-dir {folder}',
    r'work_dirs/quickstart/[^/]+\.pth': 'python tools/quickstart.py --work-dir work_dirs/quickstart',
    r'work_dirs/(pretrain_videocc)/[^/]+\.pth': 'bash tools/dist_train.sh configs/s_vilm/{0}.py 8',
    r'work_dirs/(pretrain_\w+)/[^/]+\.pth': 'bash tools/dist_train.sh configs/stgt/{0}.py 8',
    r'work_dirs/(\w+)/[^/]+\.pth': 'the training that has work_dirs/{0} as its --work-dir',
    r'bert-base-uncased/vocab\.txt': (
        'hf download google-bert/bert-base-uncased vocab.txt --local-dir {folder}'
    ),
    r'weights/bert-base-uncased': 'hf download google-bert/bert-base-uncased --local-dir {path}',
    r'weights/opt-2\.7b': 'hf download facebook/opt-2.7b --local-dir {path}',
    r'weights/vicuna-7b': 'hf download lmsys/vicuna-7b-v1.3 --local-dir {path}',
    r'msrvtt_qa/answers\.txt': f'{converters}/msrvtt_qa.py downloads/msrvtt_qa {{folder}} --answers 1500',
    r'msvd_qa/answers\.txt': f'{converters}/msvd_qa.py downloads/msvd_qa {{folder}} --answers 1000',
    r'custom/words\.txt': f'{converters}/build_vocab.py {{folder}}/qa.jsonl {{path}} --keys question',
    r'custom/answers\.txt': f'{converters}/build_answers.py {{folder}}/qa.jsonl {{path}}',
    r'(ucf101|hmdb51)/actions\.txt': f'{converters}/{{0}}.py downloads/{{0}} {{folder}}',
    r'moving_shapes/[^/]+': f'{converters}/moving_shapes.py {{folder}}',
}
load_from = None
resume = False
