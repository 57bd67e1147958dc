"""The saliency network: its parts, checkpoints, export, and loading of both kinds of file."""
