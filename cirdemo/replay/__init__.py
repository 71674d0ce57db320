"""A search as one zip file that can be shown again with no model, and recomputed with one.

The file holds result.json (query, options, prompts, what the models wrote and answered, model
identities, seconds) and, unless they are left out, small pictures of what the lists show. Every
picture is named with the SHA-256 of its pixels, so that a gallery at hand can be compared.
"""

from cirdemo.replay.read import Bundled, Replay, load
from cirdemo.replay.verify import verify
from cirdemo.replay.write import bundle, pixel_hash

__all__ = ["Bundled", "Replay", "bundle", "load", "pixel_hash", "verify"]
