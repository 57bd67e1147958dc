"""How a pruning run comes to the channels that go: by rank, by gates, or by sparsity."""
