"""orm-object-in-cache (SAS404): a cache keeps objects that a session has loaded longer than the session lives."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.value import Place
from sa_session_lint.project.caching import How, is_merged, is_removed, keeper, only_columns_read, put, read_of
from sa_session_lint.project.mapping import left_unloaded
from sa_session_lint.project.modules import is_aside
from sa_session_lint.project.tracking import engine_of
from sa_session_lint.project.usage import called_name
from sa_session_lint.typestate.followed import Followed
from sa_session_lint.typestate.state import Abstract, Group, Object, objects_in
from sa_session_lint.typestate.way import Way

_FREEING = frozenset({"expunge", "expunge_all", "make_transient", "make_transient_to_detached"})


class OrmObjectInCache(FlowCheck):
    rule = "orm-object-in-cache"

    def function(self, found: Followed) -> None:
        if is_aside(self.file.path) or found.coarse or any(called_name(call.function) in _FREEING for call in self.around.calls):
            return
        self.told: set[int] = set()
        kept = keeper(self.index, self.file.outline, self.around)
        if kept is not None and not is_merged(self.index, self.file.outline, self.around):
            for at, _, given in self.handed_out(found):
                self.judge(at, given, *kept, "kept by the cache")
        evaluate = engine_of(self.index).transfer(found.sketch).evaluate
        for at, step in found.sketch.steps.items():
            for value, how, made in put(self.index, step, self.file.outline, self.around):
                for way in found.ways.get(at, ()):
                    self.judge(at, evaluate(value, Way(way)), how, made, "the cache is made here")

    def judge(self, step: int, value: Abstract, how: How, kept: Place, text: str) -> None:
        """Report objects that are read after their session has ended, or may be."""
        for found in objects_in(value) if isinstance(value, (Object, Group)) and step not in self.told else ():
            consequence = self.consequence(found, how)
            if consequence is not None and found.model is not None:
                self.told.add(step)
                trail = [self.note(found.at, "comes from here"), self.note(kept, text)]
                self.report(self.node(step), trail, model=found.model.qualname.rpartition(".")[2], consequence=consequence)
                return

    def consequence(self, found: Object, how: How) -> str | None:
        """What comes of an object that is handed out again later; None of one whose session the caller has as well, or the owner of the cache."""
        if found.model is None or found.loc is None or not found.loaded or found.loc[0] in {"parameter", "slot"}:
            return None
        if found.expired is not None and (found.detached is not None or how == "copies"):
            return "what it had loaded has expired, and it has no session: to read it raises DetachedInstanceError"
        if found.loc[0] == "ambient" and not (isinstance(found.loc[1], Place) and is_removed(self.index, found.loc[1])):
            return None
        if found.loc[0] == "ambient" and how == "shares":
            return "it belongs to the session of whoever called first: once that has committed and is removed, to read it raises DetachedInstanceError"
        missing = [name for name in left_unloaded(self.index, found.model) if found.fetched is not None and name not in found.fetched]
        if how == "shares" and only_columns_read(self.index, self.file.outline, self.around, found.model):
            return None
        read = [name for name in missing if how == "shares" or name in read_of(self.index, self.file.outline, self.around)]
        return f"to read its `{read[0]}`, which nothing has loaded while it had a session, raises DetachedInstanceError" if read else None
