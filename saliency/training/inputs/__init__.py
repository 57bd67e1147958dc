"""The inputs of training: examples, augmentation, batches and caches."""
