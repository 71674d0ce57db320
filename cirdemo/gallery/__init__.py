"""Galleries: embeddings of pictures that queries are searched in."""
