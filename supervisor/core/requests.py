"""What can be asked of the supervisor: OTP's functions, and ``ensure_child``. PURE; part of ``step``.

A refusal begins with OTP's word for it: not_found, already_started, already_present, running, restarting, stopping.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor.core.spec import CHILDREN_MAX, validated
from supervisor.core.tree import Asked, Node, Reply
from supervisor.core.views import tree_view
from supervisor.errors import BadSpec
from supervisor.messages import (
    ChildSpec,
    DeleteChild,
    Done,
    EnsureChild,
    ReadTree,
    RestartChild,
    StartChild,
    Started,
    TerminateChild,
)

if TYPE_CHECKING:
    from supervisor.core.machine import Work


def answer(work: Work, event: Asked) -> None:
    """Answer now, or note the token where the answer will come from. Never raises: a bad request is refused."""
    handler = ANSWERS.get(type(event.request))
    if handler is None:
        refuse(work, event.token, f"unknown request {type(event.request).__name__}")
        return
    try:
        handler(work, event.token, event.request)
    except BadSpec as bad:
        refuse(work, event.token, f"bad_spec: {bad}")


def refuse(work: Work, token: int, error: str) -> None:
    work.act(Reply(token, None, error))


def read_tree(work: Work, token: int, request: ReadTree) -> None:
    work.act(Reply(token, tree_view(work.nodes, request.under, work.now_s)))


def start_child(work: Work, token: int, request: StartChild) -> None:
    sup, node = find(work, token, request.under, request.spec)
    if sup is None:
        return
    if node is None:
        begin(work, token, sup, request.spec)
    elif node.state == "ended":
        refuse(work, token, f"already_present: {node.path} has ended; restart_child or delete_child it")
    else:
        refuse(work, token, f"already_started: {node.path} is {node.state}")


def ensure_child(work: Work, token: int, request: EnsureChild) -> None:
    sup, node = find(work, token, request.under, request.spec)
    if sup is None:
        return
    if node is None:
        begin(work, token, sup, request.spec)
    elif node.state == "ended":
        work.set(node.path, state="idle", spec=request.spec, started_by=(token,))
        work.touch(sup.path)
    elif node.state == "stopping":
        tokens = node.again[1] if node.again else ()
        work.set(node.path, again=(request.spec, (*tokens, token)), after="ended", outcome=None)
    elif node.state == "starting" and node.started_by:
        work.set(node.path, started_by=(*node.started_by, token))
    else:
        work.act(Reply(token, Started(node.path, node.incarnation, already=True)))


def find(work: Work, token: int, under: str, spec: ChildSpec) -> tuple[Node | None, Node | None]:
    """The supervisor that is asked to start, and the child of that id it may have already."""
    sup = work.nodes.get(under)
    validated(spec)
    if sup is None or sup.spec.type != "supervisor":
        refuse(work, token, f"not_found: no supervisor is called {under!r}")
    elif sup.state not in ("starting", "up"):
        refuse(work, token, f"stopping: {under or 'the root'} is {sup.state} and starts nothing")
    elif len(sup.order) >= CHILDREN_MAX:
        refuse(work, token, f"max_children: {under or 'the root'} has {CHILDREN_MAX} children, its limit")
    else:
        return sup, work.nodes.get(f"{under}/{spec.id}" if under else spec.id)
    return None, None


def begin(work: Work, token: int, sup: Node, spec: ChildSpec) -> None:
    work.add(sup.path, spec, started_by=(token,))
    work.touch(sup.path)


def terminate_child(work: Work, token: int, request: TerminateChild) -> None:
    node = named(work, token, request.name)
    if node is None:
        return
    if node.down:
        work.stop(node.path, "ended", "")
        work.act(Reply(token, Done()))
        if work.parent(node).flags.dynamic:
            work.forget(node.path)
    else:
        work.set(node.path, stopped_by=(*node.stopped_by, token))
        work.stop(node.path, "ended", "terminate_child")


def restart_child(work: Work, token: int, request: RestartChild) -> None:
    node = named(work, token, request.name)
    if node is None:
        return
    if node.state == "ended":
        work.set(node.path, state="idle", started_by=(token,))
        work.touch(node.parent)
    else:
        refuse(work, token, f"{'restarting' if node.state == 'waiting' else 'running'}: {node.path} is {node.state}")


def delete_child(work: Work, token: int, request: DeleteChild) -> None:
    node = named(work, token, request.name)
    if node is None:
        return
    if node.state == "ended":
        work.forget(node.path)
        work.act(Reply(token, Done()))
    else:
        refuse(work, token, f"running: {node.path} is {node.state}; terminate_child it first")


def named(work: Work, token: int, name: str) -> Node | None:
    """The child of that name; the root is nobody's child."""
    node = work.nodes.get(name) if name else None
    if node is None:
        refuse(work, token, f"not_found: no child is called {name!r}")
    return node


ANSWERS: dict[type, Callable[[Any, int, Any], None]] = {
    ReadTree: read_tree,
    StartChild: start_child,
    EnsureChild: ensure_child,
    TerminateChild: terminate_child,
    RestartChild: restart_child,
    DeleteChild: delete_child,
}
