"""Child specs and flags are checked when they are built or received, never when the failure comes. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    if spec.shutdown_s is not None and not spec.shutdown_s >= 0:
        _bad(spec, "shutdown_s", spec.shutdown_s, "seconds, 0 for brutal_kill, or None for infinity")
    if not (spec.start_limit_s > 0 and spec.liveness_limit_s > 0):
        _bad(spec, "start_limit_s, liveness_limit_s", (spec.start_limit_s, spec.liveness_limit_s), "above 0")
    if spec.significant and spec.restart == "permanent":
        _bad(spec, "significant", True, "only a transient or temporary child can be significant (OTP)")
    if spec.type == "supervisor":
        _check_supervisor(spec)
    else:
        _check_worker(spec)
    return spec


def check_child_of(sup: ChildSpec, spec: ChildSpec, siblings: Iterable[ChildSpec]) -> None:
    """A spec that is right by itself must also fit its supervisor, and its name must not be another child's.

    Ids may contain "/", so a supervisor ``a`` beside a child ``a/b`` would give two children one path.
    """
    flags = sup.supervisor
    assert flags is not None
    if spec.significant and flags.auto_shutdown == "never":
        _bad(spec, "significant", True, f"its supervisor {sup.id} has auto_shutdown never (OTP)")
    for other in siblings:
        if _may_collide(spec, other) or _may_collide(other, spec):
            _bad(spec, "id", spec.id, f"no name that a child of {other.id!r} beside it could have, or the other way")


def _may_collide(sup: ChildSpec, other: ChildSpec) -> bool:
    return sup.type == "supervisor" and other.id.startswith(sup.id + "/")


def _check_identity(spec: ChildSpec) -> None:
    parts = spec.id.split("/")
    if not ID.fullmatch(spec.id) or len(spec.id) > ID_LENGTH_MAX or ".." in spec.id or "." in parts:
        _bad(spec, "id", spec.id, f"1 to {ID_LENGTH_MAX} of A-Z a-z 0-9 @ $ . _ : + = -, parts joined by /")


def _check_worker(spec: ChildSpec) -> None:
    if not START.fullmatch(spec.start):
        _bad(spec, "start", spec.start, "'package.module:function'")
    if spec.supervisor is not None or spec.children:
        _bad(spec, "type", spec.type, "'supervisor', as it has a supervisor's flags or children")


def _check_supervisor(spec: ChildSpec) -> None:
    flags = spec.supervisor
    if flags is None:
        _bad(spec, "supervisor", None, "a supervisor needs its flags")
    if spec.start or spec.arguments:
        _bad(spec, "start", spec.start or spec.arguments, "nothing: a supervisor is no process, its children are")
    check_flags(spec, flags)
    if flags.dynamic and spec.children:
        _bad(spec, "children", len(spec.children), "a dynamic supervisor starts empty")
    if len(spec.children) > CHILDREN_MAX:
        _bad(spec, "children", len(spec.children), f"at most {CHILDREN_MAX}")
    ids = [child.id for child in spec.children]
    if len(set(ids)) != len(ids):
        _bad(spec, "children", ids, "each id once")
    supervisors = [child for child in spec.children if child.type == "supervisor"]
    for child in spec.children:
        validated(child)
        check_child_of(spec, child, (each for each in supervisors if each is not child))


def check_flags(spec: ChildSpec, flags: SupervisorFlags) -> None:
    """Intensity, period, strategy and back-off fit together."""
    if flags.intensity < 0:
        _bad(spec, "intensity", flags.intensity, "0 or more")
    if not flags.period_s > 0:
        _bad(spec, "period_s", flags.period_s, "above 0")
    if flags.dynamic and flags.strategy != "one_for_one":
        _bad(spec, "strategy", flags.strategy, "a dynamic supervisor is one_for_one")
    if flags.back_off and not 0 < flags.back_off.base_s <= flags.back_off.cap_s:
        _bad(spec, "back_off", flags.back_off, "0 < base_s <= cap_s")
    if flags.back_off and not flags.back_off.healthy_s > 0:
        _bad(spec, "healthy_s", flags.back_off.healthy_s, "above 0")


def _bad(spec: ChildSpec, field: str, value: object, wanted: str) -> NoReturn:
    raise BadSpec(f"child spec {spec.id!r}: {field} is {value!r}, wanted: {wanted}. Nothing was started.")
