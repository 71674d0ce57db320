"""Encoders and multimodal language models."""
