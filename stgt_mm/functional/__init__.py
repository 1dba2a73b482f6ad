"""The ideas of the method as pure functions of tensors: no mmengine, no transformers, no processes."""
