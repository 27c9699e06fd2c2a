"""flask-sqlalchemy-manual-remove (SAS713): a close of `db.session` by hand throws away what was written to it."""

from __future__ import annotations

from sa_session_lint.checks.flow_check import FlowCheck
from sa_session_lint.model.protocol import INACTIVE
from sa_session_lint.model.value import Made, Place
from sa_session_lint.project.modules import is_aside
from sa_session_lint.typestate.followed import Followed, Key
from sa_session_lint.typestate.state import Disjunct, Loc
from sa_session_lint.typestate.trail import state_of
from sa_session_lint.typestate.verdict import intrusions


class FlaskSqlalchemyManualRemove(FlowCheck):
    def function(self, found: Followed) -> None:
        """Report the closes before which nothing has committed a write, on this way or any other: by a method, a block or a function that is called."""
        if found.coarse or is_aside(self.file.path):
            return
        saved = {(met.loc, met.related) for met in found.met if met.kind == "saved"}
        told = {(met.step, met.loc) for met in intrusions(found)}  # by another rule
        by_hand = {(met.step, met.loc) for met in found.met if met.kind == "lost"}
        after: dict[Key, list[Disjunct]] = {}
        for (_, way), before in found.came.items():
            if before is not None and before[1].raising is None and way.raising is None:
                after.setdefault(before, []).append(way)
        for before, ways in after.items():
            for loc, state in before[1].heap:
                if state.unsaved is None or state.txn is INACTIVE or (loc, state.unsaved) in saved or (before[0], loc) in told or not self.is_framework(loc):
                    continue
                then = [state_of(way, loc) for way in ways]
                if all(now is not None and now.closed is not None and now.unsaved is None and ((before[0], loc) in by_hand or not now.saved) for now in then):
                    told.add((before[0], loc))
                    node = self.node(before[0])
                    self.report(node, [self.note(state.unsaved, "written here")], call=self.code(node), name=self.name(before[1], loc))

    def is_framework(self, loc: Loc) -> bool:
        """Whether a session is that of Flask-SQLAlchemy."""
        made = loc[1] if loc[0] == "ambient" else None
        return isinstance(made, Place) and self.index.once(("flask-sqlalchemy", made), lambda: self.is_made_by_flask(made))

    def is_made_by_flask(self, made: Place) -> bool:
        found = self.index.outline(made.path)
        scopes = (found.module, *found.scopes.values()) if found is not None else ()
        values = (self.index.value(call, scope, made.path) for scope in scopes for call in scope.calls if call.at == made.at)
        return any(isinstance(value, Made) and value.dotted == "flask_sqlalchemy.SQLAlchemy" for value in values)
