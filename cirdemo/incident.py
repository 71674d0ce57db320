"""A number for an error that nobody expected: the log has all of it, the page the number alone."""

from __future__ import annotations

import logging
import secrets


def number(log: logging.Logger) -> str:
    """Log the exception under way with its stack, and return the number that it is logged under.

    Messages of such exceptions hold paths and words of other programs, so nobody else is told.
    """
    found = secrets.token_hex(4)
    log.exception("incident %s", found)
    return found
