"""Child specs and supervisor flags: OTP's words, checked when they are built or decoded, never when the failure comes.

PURE. ``ChildSpec(...)`` with a wrong value raises ``BadSpec`` naming child, field and value. What is left out has OTP's
default (``supervisor``, "Child specification" and "Supervisor flags"; a dynamic supervisor's intensity is Elixir's
``DynamicSupervisor``'s). Unknown fields are refused, where OTP ignores them: a misspelt limit would be no limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, NoReturn

from msgspec import UNSET, UnsetType, field
from msgspec.structs import force_setattr

from supervisor.errors import BadSpec
from supervisor.message_base import Message

ID = re.compile(r"[A-Za-z0-9@$._:+=-]+(/[A-Za-z0-9@$._:+=-]+)*")
ID_LENGTH_MAX = 100
"""Names become file names and process titles; 100 characters leave room for both."""
GROUPS_MAX = 16
"""Groups of one child: each is a text in every view of the tree."""
START = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
CHILDREN_MAX = 2000
"""Of one supervisor: more would not start within a minute on a small server."""
SHUTDOWN_DEFAULT_S = 5.0
TOLD_MAX = 200
"""Characters of a wrong value that are told; it may have come from outside."""
MEMORY_MAX_MIB_LEAST = 16.0
"""A Python process that is just born has about as much; a lower ceiling could never be kept."""
INTENSITY_DEFAULT = {"static": 1, "dynamic": 3}
"""OTP's ``supervisor`` allows 1 restart in 5 s, Elixir's ``DynamicSupervisor`` 3."""


class BackOff(Message, frozen=True):
    """Waits of a held child: ``base_s * 2**n`` capped at ``cap_s``, full jitter; lifted after ``healthy_s`` up."""

    base_s: float = 1.0
    cap_s: float = 60.0
    healthy_s: float = 120.0

    def __post_init__(self) -> None:
        numbers = _is_number(self.base_s) and _is_number(self.cap_s)
        if not (numbers and 0 < self.base_s <= self.cap_s < float("inf")):
            _bad("back_off", "base_s, cap_s", (self.base_s, self.cap_s), "0 < base_s <= cap_s, seconds")
        if not (_is_number(self.healthy_s) and self.healthy_s > 0):
            _bad("back_off", "healthy_s", self.healthy_s, "seconds above 0")


class SupervisorFlags(Message, frozen=True):
    """The flags of a supervisor, as in OTP, plus ``dynamic`` (Elixir's DynamicSupervisor) and ``back_off``.

    ``intensity`` restarts in ``period_s`` machine seconds are allowed; beyond it the supervisor gives up (OTP), or,
    with ``back_off``, holds the failing child and slows its restarts down.
    """

    strategy: Literal["one_for_one", "one_for_all", "rest_for_one"] = "one_for_one"
    intensity: int | UnsetType = UNSET
    """Left out: 1; for a dynamic supervisor 3. Always a number once it is built."""
    period_s: float = 5.0
    auto_shutdown: Literal["never", "any_significant", "all_significant"] = "never"
    dynamic: bool = False
    max_children: int = CHILDREN_MAX
    """Of a dynamic supervisor: start_child beyond it is refused (Elixir's ``max_children``)."""
    back_off: BackOff | None = None

    def __post_init__(self) -> None:
        if self.intensity is UNSET:
            force_setattr(self, "intensity", INTENSITY_DEFAULT["dynamic" if self.dynamic else "static"])
        if self.strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
            _bad("flags", "strategy", self.strategy, "one_for_one, one_for_all or rest_for_one")
        if self.auto_shutdown not in ("never", "any_significant", "all_significant"):
            _bad("flags", "auto_shutdown", self.auto_shutdown, "never, any_significant or all_significant")
        if not isinstance(self.intensity, int) or isinstance(self.intensity, bool) or self.intensity < 0:
            _bad("flags", "intensity", self.intensity, "a whole number, 0 or more")
        if not (_is_number(self.period_s) and 0 < self.period_s < float("inf")):
            _bad("flags", "period_s", self.period_s, "seconds above 0")
        if not isinstance(self.dynamic, bool):
            _bad("flags", "dynamic", self.dynamic, "True or False")
        if not (self.back_off is None or isinstance(self.back_off, BackOff)):
            _bad("flags", "back_off", self.back_off, "None or a BackOff")
        if self.dynamic and self.strategy != "one_for_one":
            _bad("flags", "strategy", self.strategy, "one_for_one: a dynamic supervisor has no other")
        if not (type(self.max_children) is int and 0 <= self.max_children <= CHILDREN_MAX):
            _bad("flags", "max_children", self.max_children, f"0 to {CHILDREN_MAX}")


class ChildSpec(Message, frozen=True):
    """How to start, restart and end one child; OTP's words.

    ``start`` is ``"package.module:name"``: a function, called with a ``Child`` and ``arguments`` by name, or a
    ``Server``. ``children`` and ``supervisor`` are for supervisors only, which are no processes but nodes.
    """

    id: str
    start: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    shutdown_s: float | Literal["brutal_kill", "infinity"] | UnsetType = UNSET
    """Seconds between *stop* and SIGKILL. Left out: 5, and infinity for a supervisor (OTP). Always set once built."""
    type: Literal["worker", "supervisor"] = "worker"
    significant: bool = False
    start_limit_s: float = 15.0
    """A child that is not ready this many machine seconds after its fork has failed to start."""
    liveness_limit_s: float = 10.0
    """A child whose loop did not turn for this long is hung."""
    memory_max_mib: float | None = None
    """Ceiling of its resident memory; above it it is killed. None: no ceiling."""
    groups: tuple[str, ...] = ()
    """Groups that it has joined when it is ready."""
    supervisor: SupervisorFlags | None = None
    children: tuple[ChildSpec, ...] = ()

    def __post_init__(self) -> None:
        if self.shutdown_s is UNSET:
            force_setattr(self, "shutdown_s", "infinity" if self.type == "supervisor" else SHUTDOWN_DEFAULT_S)
        _check_shapes(self)
        _check_identity(self)
        _check_words(self)
        _check_limits(self)
        if self.type == "supervisor":
            _check_supervisor(self)
        else:
            _check_worker(self)

    @property
    def flags(self) -> SupervisorFlags:
        """A supervisor's flags; OTP's defaults where none were given."""
        return self.supervisor or DEFAULT_FLAGS

    @property
    def shutdown_limit_s(self) -> float:
        """``shutdown_s`` as a number: brutal_kill is 0 (no time for a word), infinity is infinity."""
        numbers = {"brutal_kill": 0.0, "infinity": float("inf")}
        return numbers[self.shutdown_s] if isinstance(self.shutdown_s, str) else float(self.shutdown_s)  # type: ignore[arg-type]


def check_child_of(flags: SupervisorFlags, name: str, spec: ChildSpec, siblings: Iterable[ChildSpec]) -> None:
    """A spec that is right by itself must also fit its supervisor, and its name must not be another child's.

    Ids may contain "/", so a supervisor ``a`` beside a child ``a/b`` would give two children one path.
    """
    if spec.significant and flags.auto_shutdown == "never":
        _bad(spec.id, "significant", True, f"False, as its supervisor {name!r} has auto_shutdown never (OTP)")
    for other in siblings:
        if _may_collide(spec, other) or _may_collide(other, spec):
            _bad(spec.id, "id", spec.id, f"no name that a child of {other.id!r} beside it could have, or the other way")


def _may_collide(sup: ChildSpec, other: ChildSpec) -> bool:
    return sup.type == "supervisor" and other.id.startswith(sup.id + "/")


def is_name(text: object) -> bool:
    """Whether it can be an id or a group: it may become part of a path, so nothing that leads out of a folder."""
    if not (isinstance(text, str) and len(text) <= ID_LENGTH_MAX and ID.fullmatch(text)):
        return False
    return ".." not in text and "." not in text.split("/")


def _check_shapes(spec: ChildSpec) -> None:
    """What is built in Python is not type-checked by anybody; decoding has done it. Lists are taken for tuples."""
    for name in ("groups", "children"):
        if isinstance(getattr(spec, name), list):
            force_setattr(spec, name, tuple(getattr(spec, name)))
    if not isinstance(spec.arguments, dict):
        _bad(spec.id, "arguments", spec.arguments, "values by name")
    if not isinstance(spec.groups, tuple):
        _bad(spec.id, "groups", spec.groups, "names of groups, in a tuple")
    if not (isinstance(spec.children, tuple) and all(isinstance(child, ChildSpec) for child in spec.children)):
        _bad(spec.id, "children", spec.children, "child specs, in a tuple")
    if not (spec.supervisor is None or isinstance(spec.supervisor, SupervisorFlags)):
        _bad(spec.id, "supervisor", spec.supervisor, "a supervisor's flags")


def _check_identity(spec: ChildSpec) -> None:
    for name, text in (("id", spec.id), *(("groups", group) for group in spec.groups)):
        if not is_name(text):
            _bad(spec.id, name, text, f"1 to {ID_LENGTH_MAX} of A-Z a-z 0-9 @ $ . _ : + = -, parts joined by /")
    if len(spec.groups) > GROUPS_MAX:
        _bad(spec.id, "groups", len(spec.groups), f"at most {GROUPS_MAX}")


def _check_words(spec: ChildSpec) -> None:
    if spec.restart not in ("permanent", "transient", "temporary"):
        _bad(spec.id, "restart", spec.restart, "permanent, transient or temporary")
    if spec.type not in ("worker", "supervisor"):
        _bad(spec.id, "type", spec.type, "worker or supervisor")
    if not isinstance(spec.significant, bool):
        _bad(spec.id, "significant", spec.significant, "True or False")
    if spec.significant and spec.restart == "permanent":
        _bad(spec.id, "significant", True, "False: only a transient or temporary child can be (OTP)")


def _check_limits(spec: ChildSpec) -> None:
    shutdown = spec.shutdown_s
    if shutdown not in ("brutal_kill", "infinity") and not (_is_number(shutdown) and 0 <= shutdown < float("inf")):  # type: ignore[operator]
        _bad(spec.id, "shutdown_s", shutdown, "seconds, 'brutal_kill' or 'infinity'")
    for name in ("start_limit_s", "liveness_limit_s"):
        value = getattr(spec, name)
        if not (_is_number(value) and 0 < value < float("inf")):
            _bad(spec.id, name, value, "seconds above 0")
    ceiling = spec.memory_max_mib
    if ceiling is not None and not (_is_number(ceiling) and ceiling >= MEMORY_MAX_MIB_LEAST):
        _bad(spec.id, "memory_max_mib", ceiling, f"None, or {MEMORY_MAX_MIB_LEAST:g} MiB or more")


def _check_worker(spec: ChildSpec) -> None:
    if not (isinstance(spec.start, str) and START.fullmatch(spec.start)):
        _bad(spec.id, "start", spec.start, "'package.module:function'")
    if spec.supervisor is not None or spec.children:
        _bad(spec.id, "type", spec.type, "'supervisor', as it has a supervisor's flags or children")


def _check_supervisor(spec: ChildSpec) -> None:
    if spec.start or spec.arguments:
        _bad(spec.id, "start", spec.start or spec.arguments, "nothing: a supervisor is no process, its children are")
    if spec.memory_max_mib is not None:
        _bad(spec.id, "memory_max_mib", spec.memory_max_mib, "None: a supervisor is no process")
    flags = spec.flags
    if flags.dynamic and spec.children:
        _bad(spec.id, "children", len(spec.children), "none: a dynamic supervisor starts empty")
    if len(spec.children) > CHILDREN_MAX:
        _bad(spec.id, "children", len(spec.children), f"at most {CHILDREN_MAX}")
    ids = [child.id for child in spec.children]
    if len(set(ids)) != len(ids):
        _bad(spec.id, "children", ids, "each id once")
    supervisors = [child for child in spec.children if child.type == "supervisor"]
    for child in spec.children:
        check_child_of(flags, spec.id, child, (each for each in supervisors if each is not child))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad(child: str, field: str, value: object, wanted: str) -> NoReturn:
    told = [text if len(text) <= TOLD_MAX else f"{text[:TOLD_MAX]}..." for text in (repr(child), repr(value))]
    raise BadSpec(f"child spec {told[0]}: {field} is {told[1]}, wanted: {wanted}. Nothing was started.")


DEFAULT_FLAGS = SupervisorFlags()
