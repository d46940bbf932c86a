"""HTTP as the tests speak it: a busy machine is waited for, and no proxy is asked."""

from __future__ import annotations

from functools import partial
from typing import Final

import httpx

SECONDS: Final = 60.0

get = partial(httpx.get, timeout=SECONDS, trust_env=False)
post = partial(httpx.post, timeout=SECONDS, trust_env=False)
delete = partial(httpx.delete, timeout=SECONDS, trust_env=False)
stream = partial(httpx.stream, timeout=SECONDS, trust_env=False)
Client = partial(httpx.Client, timeout=SECONDS, trust_env=False)
