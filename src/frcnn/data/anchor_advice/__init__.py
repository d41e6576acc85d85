"""Which anchors and which picture size suit a data set: measured before training."""
