"""Child specs and flags are checked when they are built or received, never when the failure comes. PURE."""

from __future__ import annotations

import re
from typing import NoReturn

from supervisor.errors import BadSpec
from supervisor.messages import ChildSpec, SupervisorFlags

ID = re.compile(r"[A-Za-z0-9@$._:+=-]+(/[A-Za-z0-9@$._:+=-]+)*")
ID_LENGTH_MAX = 100
"""Names become file names and process titles; 100 characters leave room for both."""
START = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
CHILDREN_MAX = 2000
"""Of one supervisor: more would not start within a minute on a small server."""


def validated(spec: ChildSpec) -> ChildSpec:
    """The spec itself, or ``BadSpec`` naming child, field and value."""
    _check_identity(spec)
    if spec.shutdown_s is not None and spec.shutdown_s < 0:
        _bad(spec, "shutdown_s", spec.shutdown_s, "seconds, 0 for brutal_kill, or None for infinity")
    if spec.start_limit_s <= 0 or spec.liveness_limit_s <= 0:
        _bad(spec, "start_limit_s, liveness_limit_s", (spec.start_limit_s, spec.liveness_limit_s), "above 0")
    if spec.significant and spec.restart == "permanent":
        _bad(spec, "significant", True, "only a transient or temporary child can be significant (OTP)")
    if spec.type == "supervisor":
        _check_supervisor(spec)
    elif not START.fullmatch(spec.start):
        _bad(spec, "start", spec.start, "'package.module:function'")
    return spec


def _check_identity(spec: ChildSpec) -> None:
    if not ID.fullmatch(spec.id) or len(spec.id) > ID_LENGTH_MAX or ".." in spec.id:
        _bad(spec, "id", spec.id, f"1 to {ID_LENGTH_MAX} of A-Z a-z 0-9 @ $ . _ : + = -, parts joined by /")


def _check_supervisor(spec: ChildSpec) -> None:
    flags = spec.supervisor
    if flags is None:
        _bad(spec, "supervisor", None, "a supervisor needs its flags")
    check_flags(spec, flags)
    if flags.dynamic and spec.children:
        _bad(spec, "children", len(spec.children), "a dynamic supervisor starts empty")
    ids = [child.id for child in spec.children]
    if len(set(ids)) != len(ids):
        _bad(spec, "children", ids, "each id once")
    for child in spec.children:
        validated(child)
        if child.significant and flags.auto_shutdown == "never":
            _bad(child, "significant", True, f"its supervisor {spec.id} has auto_shutdown never (OTP)")


def check_flags(spec: ChildSpec, flags: SupervisorFlags) -> None:
    """Intensity, period, strategy and back-off fit together."""
    if flags.intensity < 0:
        _bad(spec, "intensity", flags.intensity, "0 or more")
    if flags.period_s <= 0:
        _bad(spec, "period_s", flags.period_s, "above 0")
    if flags.dynamic and flags.strategy != "one_for_one":
        _bad(spec, "strategy", flags.strategy, "a dynamic supervisor is one_for_one")
    if flags.back_off and not 0 < flags.back_off.base_s <= flags.back_off.cap_s:
        _bad(spec, "back_off", flags.back_off, "0 < base_s <= cap_s")


def _bad(spec: ChildSpec, field: str, value: object, wanted: str) -> NoReturn:
    raise BadSpec(f"child spec {spec.id!r}: {field} is {value!r}, wanted: {wanted}. Nothing was started.")
