"""Fine-tuning on fixations: the run, its steps, distillation and validation."""
