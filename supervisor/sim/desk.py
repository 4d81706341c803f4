"""A simulated machine that runs one tree: the supervisor's pure core starting and ending simulated processes."""

from __future__ import annotations

from typing import Any

from supervisor.core.machine import next_deadline_s
from supervisor.core.tree import NEVER_S, Boot, Hung, ShutDown, Spawn, Spawned, Tick, TreeEvent
from supervisor.messages import ChildSpec, Message, Predecessor, SupervisorReply
from supervisor.runtime.main import first_incarnation
from supervisor.runtime.performer import Performer
from supervisor.sim.kernel import DEATH_S, FORK_S, HOP_S, Entry, Kernel
from supervisor.sim.process import SimProcess

KILLED = "killed by SIGKILL"


class SimDesk(Performer[SimProcess]):
    """One life of the supervisor. ``crashes``: what killed processes, for whoever looks for a bug."""

    def __init__(self, kernel: Kernel, root: ChildSpec, life: int, record_to: str = "", keep_log: bool = False) -> None:
        super().__init__(root, first_incarnation=first_incarnation(life))
        self.kernel = kernel
        self.record_to = record_to
        self.log_lines: list[str] | None = [] if keep_log else None
        self.crashes: list[str] = []
        self.log = _SupervisorLog(self)
        self.gone = False
        self._tick: Entry | None = None
        self._forks = 0

    # -- coming and going ------------------------------------------------------------------------------

    def boot(self) -> None:
        self.feed(Boot())

    def shut_down(self) -> None:
        self.feed(ShutDown("the supervisor was told to shut down"))

    def kill_all(self) -> None:
        """kill -9 of the supervisor: all its children die with it, and nobody restarts them."""
        self.gone = True
        if self._tick is not None:
            self._tick.cancel()
        for process in list(self.kids.values()):
            self._bury(process)
            process.kill()

    def kill_process(self, name: str) -> bool:
        """kill -9 from outside; False if it is not there just now."""
        process = self.kids.get(name)
        if process is None:
            return False
        self.killed(process)
        return True

    def freeze(self, name: str, seconds: float) -> bool:
        """SIGSTOP, and SIGCONT within its liveness limit: past it the supervisor finds it hung and kills it."""
        process = self.kids.get(name)
        if process is None or process.frozen:
            return False
        process.freeze()
        limit_s = process.spec.liveness_limit_s
        if seconds > limit_s:
            self.kernel.post(limit_s, self._found_hung, process)
        else:
            self.kernel.post(seconds, process.thaw)
        return True

    def _found_hung(self, process: SimProcess) -> None:
        if not process.dead and not self.gone:
            self.feed(Hung(process.name, process.incarnation, process.spec.liveness_limit_s))

    # -- the performer's side ------------------------------------------------------------------------------

    def now_s(self) -> float:
        return self.kernel.now_s

    def now_utc(self) -> float:
        return self.kernel.outside.market_utc(self.kernel.now_s)

    def pid(self) -> int:
        return 1

    def feed(self, event: TreeEvent) -> None:
        if self.gone:
            return
        super().feed(event)
        self._plan_tick()

    def fork(self, action: Spawn, predecessor: Predecessor | None) -> TreeEvent:
        process = SimProcess(self, action.path, action.incarnation, action.spec, predecessor)
        self.kids[action.path] = process
        self._forks += 1
        self.kernel.post(FORK_S, self._begin, process)
        return Spawned(action.path, action.incarnation, self._forks)

    def vitals(self, kid: SimProcess) -> tuple[float | None, float | None]:
        """Nobody hangs here but who is frozen, and that is found by the kernel. Freshness is shown, not judged."""
        fresh_for_s = None if kid.fresh_until_s is None else kid.fresh_until_s - self.kernel.now_s
        return kid.spec.liveness_limit_s, fresh_for_s

    def _begin(self, process: SimProcess) -> None:
        """It has its socket now: those who look for its name find it."""
        if not process.dead:
            self.kernel.processes[process.name] = process
            self.kernel.topology += 1
            process.world.publications.greet()
            process.start()

    def tell(self, kid: SimProcess, message: Message) -> None:
        if isinstance(message, SupervisorReply):
            self.kernel.hop((kid.name, kid.incarnation, "down"), kid.world.on_reply, message.number, message)
        else:
            self.kernel.hop((kid.name, kid.incarnation, "down"), kid.put, "info", message)

    def kill(self, kid: SimProcess) -> None:
        self.kernel.post(HOP_S, self.killed, kid)

    # -- what happens to processes ---------------------------------------------------------------------------

    def heard(self, process: SimProcess, message: Message) -> None:
        if not self.gone and self.kids.get(process.name) is process:
            self.on_word(process, message)

    def killed(self, process: SimProcess) -> None:
        """From outside, by the supervisor, or at one of its own boundaries (then this raises ``WorldEnded``)."""
        if not process.dead:
            self._die(process, KILLED)
            process.kill()

    def exited(self, process: SimProcess, status: str) -> None:
        self._die(process, status)

    def crashed(self, name: str, error: Exception, trace: str) -> None:
        self.crashes.append(f"{self.kernel.now_s:.4f} {name}: {trace}")

    def _die(self, process: SimProcess, status: str) -> None:
        self._bury(process)
        self.kernel.post(DEATH_S, self._noticed, process, status)

    def _bury(self, process: SimProcess) -> None:
        if self.kernel.processes.get(process.name) is process:
            del self.kernel.processes[process.name]
            self.kernel.topology += 1

    def _noticed(self, process: SimProcess, status: str) -> None:
        if not self.gone and self.kids.get(process.name) is process:
            del self.kids[process.name]
            self.died(process, process.exit(status), process.note)

    def _plan_tick(self) -> None:
        due_s = next_deadline_s(self.tree)
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if due_s != NEVER_S:
            self._tick = self.kernel.after(max(0.0, due_s - self.kernel.now_s), self._on_tick)

    def _on_tick(self) -> None:
        self._tick = None
        self.feed(Tick())


class _SupervisorLog:
    def __init__(self, desk: SimDesk) -> None:
        self._desk = desk

    def _write(self, level: str, text: str) -> None:
        if self._desk.log_lines is not None:
            self._desk.log_lines.append(f"{self._desk.kernel.now_s:.4f} {level} nightdesk: {text}")

    def debug(self, text: str, **fields: Any) -> None:
        self._write("DEBUG", text)

    def info(self, text: str, **fields: Any) -> None:
        self._write("INFO", text)

    def warning(self, text: str, **fields: Any) -> None:
        self._write("WARNING", text)

    def error(self, text: str, **fields: Any) -> None:
        self._write("ERROR", text)
