"""What the training methods share: data order, noise, objective, optimizers, checkpoints, records."""
