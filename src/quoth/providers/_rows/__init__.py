"""The rows that most programs never ask for: loaded when a name or an id is met that the first rows do not know.

By kind, one file each. What each row rests on stands in ``confidence``: recorded traffic, or the packages of
providers and of other clients that agreed on 2026-11-23. ``docs/providers.md`` shows them all.
"""

from __future__ import annotations

from .clouds import CLOUDS
from .gateways import GATEWAYS
from .hosts import HOSTS
from .makers import MAKERS
from .servers import SERVERS

__all__ = ["MORE_ROWS"]

MORE_ROWS = (*MAKERS, *CLOUDS, *GATEWAYS, *HOSTS, *SERVERS)
