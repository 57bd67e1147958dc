"""The loop of pruning: train on, remove channels, measure, until the network is fast enough."""
