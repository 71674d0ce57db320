"""How many examples a property gets, and whether they are the same every time.

`ci` is short and always the same, so that what was green stays green; `nightly`
(HYPOTHESIS_PROFILE=nightly) looks for new ones. No example has a deadline: how fast the machine is
says nothing about a property.
"""

import os

from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=SLOW,
)
EXAMPLES = int(os.environ.get("CIRDEMO_EXAMPLES", 10_000))  # a property, in the long profile
settings.register_profile(
    "nightly", max_examples=EXAMPLES, deadline=None, print_blob=True, suppress_health_check=SLOW
)
PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
