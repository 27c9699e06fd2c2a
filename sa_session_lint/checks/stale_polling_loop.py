"""stale-polling-loop (SAS305): a loop waits for a row to change and looks at the object that its session has in memory."""

from __future__ import annotations

import libcst as cst

from sa_session_lint.checks.flow_check import FlowCheck, compounds
from sa_session_lint.model.expression import Name
from sa_session_lint.model.value import Place, Session
from sa_session_lint.project.mapping import is_column
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.polling import Polling
from sa_session_lint.project.renewing import Watch, everything, writes
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.state import Disjunct, Known, Loc, Object, Ref, SessionState
from sa_session_lint.typestate.transfer import Transfer
from sa_session_lint.typestate.way import Way


class StalePollingLoop(FlowCheck):
    rule = "stale-polling-loop"

    def function(self, found: Followed) -> None:
        text = self.index.data(self.file.path) or b""
        if found.coarse or is_aside(self.file.path) or (b"sleep" not in text and b"wait" not in text):
            return
        for loop in compounds(self.file.outline.nodes[self.around.at]):
            polling = Polling(self.index, self.file.outline, self.around, loop) if isinstance(loop, (cst.While, cst.For)) else None
            pause = polling.pause if polling is not None and polling.repeats else None
            if polling is not None and pause is not None and (read := next((r for r in polling.reads() if self.is_stale(polling, r)), None)) is not None:
                loaded = self.bound(polling, read)[0][0]
                self.report(read, [self.note(loaded, "loaded here"), self.note(pause, "waits here")], name=self.code(read.value), attribute=read.attr.value)

    def bound(self, polling: Polling, read: cst.Attribute) -> list[tuple[cst.CSTNode, Disjunct, object]]:
        """Where the name of what is read is bound before the end of the loop, in the order of the text; with the ways there and what it then holds."""
        name = Name(self.code(read.value))
        transfer = engine_of(self.index).transfer(self.found.sketch)
        steps = self.found.sketch.steps.items()
        places = [(self.node(at), at, value) for at, step in steps if step.op == "bind" for target, value in step.targets if target == name]
        found = [(node, way, transfer.evaluate(value, Way(way)) or self.asked(polling, node, transfer, way)) for node, at, value in places for way in self.found.ways.get(at, ())]
        return sorted(found, key=lambda each: self.file.source.span_of(each[0]).line)

    def asked(self, polling: Polling, node: cst.CSTNode, transfer: Transfer, way: Disjunct) -> Object | None:
        """The object that a statement asks for under a name of its own, which is not followed."""
        found = polling.asked(node.value) if isinstance(node, (cst.Assign, cst.AnnAssign)) and node.value is not None else None
        session = transfer.evaluate(self.expression(found[1]), Way(way)) if found is not None else None
        return Object(found[0], session.loc, loaded=True) if found is not None and isinstance(session, Ref) else None

    def is_stale(self, polling: Polling, read: cst.Attribute) -> bool:
        """Whether what is read is a column of an object that stays the same one, and as it was loaded, in all turns of the loop."""
        name, attribute = self.code(read.value), read.attr.value
        bound = [each for each in self.bound(polling, read) if self.file.source.span_of(each[0]).line <= self.file.source.span_of(polling.loop).end_line]
        objects = [each for _, _, each in bound if isinstance(each, Object)]
        inner = [node for node, _, _ in bound if self.holds(polling.loop, node)]
        if len({(each.model, each.loc) for each in objects}) != 1 or any(not isinstance(each, Object) and each != Known(None) for _, _, each in bound):
            return False
        one = objects[0]
        if one.model is None or one.loc is None or not one.loaded or not is_column(self.index, one.model, attribute):
            return False
        if b"always_refresh" in (self.index.data(one.model.path) or b"") or self.is_new(polling, one.loc):
            return False
        if len({id(node) for node in inner}) < len(polling.assigned.get(name, ())):
            return False
        if not inner and not polling.waits_for(read):
            return False
        if not all(isinstance(node, (cst.Assign, cst.AnnAssign)) and node.value is not None and polling.asks_for_same(node.value, name, one.model, attribute) for node in inner):
            return False
        sessions = frozenset(each for _, way, _ in bound for each in self.names(way, one.loc))
        keeps = all(state.expire is False for state in self.states(one.loc))
        watch = Watch(self.index, self.file.outline, self.around, name, sessions, one.loc[0] == "new", self.is_lent(polling, inner), keeps)
        before = [node for node in everything(self.file.outline.nodes[self.around.at]) if self.file.source.span_of(node).line <= self.file.source.span_of(polling.loop).end_line]
        if watch.is_shared([node for node in before if node not in polling.nodes]) or any(writes(node, attribute) for node in polling.nodes):
            return False
        own = watch.own and not watch.is_handed_on(before)
        return not any(watch.renewed_by(node, own) for node in polling.nodes)

    def is_lent(self, polling: Polling, asked: list[cst.CSTNode]) -> bool:
        """Whether the session that is asked in a loop is one of a framework's dependency: nobody but the request has it."""
        found = [polling.asked(node.value) for node in asked if isinstance(node, (cst.Assign, cst.AnnAssign)) and node.value is not None]
        sessions = [self.value(each[1]) for each in found if each is not None]
        return bool(sessions) and all(isinstance(each, Session) and each.how == "depends" for each in sessions)

    def states(self, loc: Loc) -> list[SessionState]:
        """A session as it is on all ways."""
        return [state for _, way in self.found.came for known, state in way.heap if known == loc]

    def is_new(self, polling: Polling, loc: Loc) -> bool:
        """Whether a session is opened in the loop, or commits by itself."""
        places = [part for part in loc if isinstance(part, Place) and part.path == self.file.path and part.at]
        return any(state.autocommit for state in self.states(loc)) or loc[0] == "older" or any(self.holds(polling.loop, self.at(place)) for place in places)
