"""No training and no validation: what a config that tests a finished checkpoint leaves out."""

train_dataloader = None
val_dataloader = val_evaluator = val_cfg = None
