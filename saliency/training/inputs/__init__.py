"""What a network is shown: examples, augmentation, batches and caches."""
