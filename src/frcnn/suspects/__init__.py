"""Annotations that are probably wrong: ranked by how a model's held-out detections differ from them."""
