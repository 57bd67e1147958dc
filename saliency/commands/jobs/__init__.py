"""What verbs share, and the work of those that have several forms."""
