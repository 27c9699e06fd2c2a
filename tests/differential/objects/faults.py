"""Wrong rules of the model about objects, made on purpose: each changes one place of the engine, and the programs must tell.

A fault is noticed by a claim or a report that a run belies, or because something that was rightly reported is not reported any more.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from tests.differential.objects.compare import Compared


@dataclass(frozen=True, slots=True)
class Fault:
    """In a function of the engine, `module:Class.method`, some text stands for another."""

    name: str
    where: str
    right: str
    wrong: str

    @contextmanager
    def made(self) -> Iterator[None]:
        """The engine with the fault."""
        module_name, _, path = self.where.partition(":")
        module = importlib.import_module(f"sa_session_lint.{module_name}")
        *outer, name = path.split(".")
        holder = getattr(module, outer[0]) if outer else module
        original = getattr(holder, name)
        text = textwrap.dedent(inspect.getsource(original))
        assert self.right in text, f"{self.name}: {self.where} does not say {self.right!r}"
        space: dict[str, object] = {}
        exec(compile(text.replace(self.right, self.wrong), "fault.py", "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True), module.__dict__, space)
        holders = [holder] if outer else [each for each in list(sys.modules.values()) if getattr(each, "__name__", "").startswith("sa_session_lint") and getattr(each, name, None) is original]
        patches = [mock.patch.object(each, name, space[name]) for each in holders]
        for patch in patches:
            patch.start()
        try:
            yield
        finally:
            for patch in patches:
                patch.stop()

    def is_noticed(self, right: Compared, wrong: Compared) -> bool:
        """Whether programs, compared without and with the fault, tell of it."""
        return len(wrong.wrong) > len(right.wrong) or wrong.found < right.found or any(wrong.rules[rule] < number for rule, number in right.rules.items())


SWEPT, WAY, INSTANCES = "typestate.way:swept", "typestate.way:Way", "typestate.instances:Instances"
METHODS, BLOCKS, INVOCATION = "typestate.methods:Methods", "typestate.blocks:Blocks", "typestate.invocation:Invocation"
FAULTS = tuple(
    Fault(*each)
    for each in (
        ("what a commit does", SWEPT, "return replace(found, new=False, expired=found.expired or at, fetched=_NOTHING, mixed=None)", "return found"),
        ("a commit that keeps", SWEPT, "return replace(found, new=False) if found.new else found", "return replace(found, new=False, expired=at, fetched=_NOTHING)"),
        ("what a rollback does", SWEPT, "return replace(found, expired=found.expired or at, undone=", "return found if found else replace(found, expired=at, undone="),
        ("what close() does", SWEPT, "return replace(found, detached=at)", "return found"),
        ("what SQL does", SWEPT, "return replace(found, expired=None, undone=False, fetched=None) if found.expired is not None else found", "return found"),
        ("a rollback of what is new", SWEPT, "return replace(found, loc=None, new=False, fetched=None)", "return replace(found, new=False, expired=at, fetched=_NOTHING)"),
        ("a rollback of what was merged", SWEPT, 'case "rollback" if found.new and found.loaded:', 'case "never":'),
        ("what was pending is sent", SWEPT, 'event not in {"expire", "close"}', 'event not in {"expire", "close", "sql", "commit", "keep"}'),
        ("what may be deleted", SWEPT, 'if event == "delete" or found.gone:', "if found.gone:"),
        ("what nobody knows", SWEPT, 'if event == "forget":', 'if event == "never":'),
        ("what has left its session", SWEPT, "if found.detached is not None:", "if False:"),
        ("a failed flush", f"{WAY}.operate", "for way in raise_ if state.pending", "for way in raise_ if False"),
        ("a commit sends what is pending", f"{WAY}.commits", "if before.pending or not before.expire:", "if False:"),
        ("a commit that expires", f"{WAY}.commits", '"commit" if expire', '"keep" if expire'),
        ("a rollback in a block that is over", f"{WAY}.undoes", "before.txn is not CTXDONE and ", ""),
        ("a rollback of nothing", f"{WAY}.undoes", "before.txn is not IDLE or before.pending", "True"),
        ("a second query of a class", f"{WAY}.meets", "return SOMETHING not in known", "return True"),
        ("an object that is there already", f"{WAY}.meets", "if model not in known:", "if model not in known or True:"),
        ("flush() reads keys", f"{WAY}.operate", '"get", "bulk", "flush", "nested"}:  #', '"get", "bulk"}:  #'),
        ("one of many comes back", f"{WAY}.becomes_alone", 'swept(old, "delete", at)', "new"),
        ("another name for what comes back", f"{WAY}.comes_back", 'swept(each, "delete", at)', "each"),
        ("make_transient() and expunge()", f"{WAY}.release", "all(each.loc != loc", "True or all(each.loc != loc"),
        ("an object that others get", f"{WAY}.escape", 'swept(each, "forget", PLACE)', "each"),
        ("a session that others get", f"{WAY}.escape", 'self.sweep(loc, "delete", PLACE)', "pass"),
        ("an expired read", f"{INSTANCES}.kind", '"expired read" if found.expired is not None else', "None if found.expired is not None else"),
        ("a loaded column", f"{INSTANCES}.kind", '{"lazy", "lazy one", "deferred"}', '{"lazy", "lazy one", "deferred", "column"}'),
        ("a lazy relationship", f"{INSTANCES}.kind", '(what in {"lazy", "lazy one", "deferred"}', '(what in {"deferred"}'),
        ("a deferred column", f"{INSTANCES}.kind", '(what in {"lazy", "lazy one", "deferred"}', '(what in {"lazy", "lazy one"}'),
        ("an eager relationship", "project.tracking:ProjectFacts.attribute", "lambda: attribute(self.index, model, name)", 'lambda: (attribute(self.index, model, name) or "").replace("eager", "lazy") or None'),
        ("a pending object's key", f"{INSTANCES}.kind", "self.of.facts.is_generated(found.model, name)", "True"),
        ("a read in a block that is over", f"{INSTANCES}.kind", " or state.txn in {INACTIVE, CTXDONE}", ""),
        ("an expired read under asyncio", f"{INSTANCES}.kind", '"async read" if state.kind == "async" and what != "lazy one" else', ""),
        ("a lazy read under asyncio", f"{INSTANCES}.kind", 'return "async read" if state.kind == "async" and what in', 'return "async read" if state.kind == "sync" and what in'),
        ("two names for one object", f"{INSTANCES}.is_unloaded", "return all(each.fetched is not None and name not in each.fetched", "return all(True"),
        ("what was set", f"{INSTANCES}.written", "each.fetched | {attribute}", "each.fetched"),
        ("a relationship is set", f"{INSTANCES}.written", 'what != "column" or', "False or"),
        ("a key is set", f"{INSTANCES}.written", "self.of.facts.is_generated(found.model, attribute)", "False"),
        ("a read loads what has expired", f"{INSTANCES}.loaded", "way.loads(found, replace(found, expired=None, undone=False, fetched=None))", "pass"),
        ("a relationship that was read", f"{INSTANCES}.loaded", "way.loads(found, replace(found, fetched=found.fetched | {name}))", "pass"),
        ("what a constructor is given", f"{INSTANCES}.made", "frozenset(key for key, _ in call.keywords if key is not None) if plain", "frozenset() if plain"),
        ("refresh()", f"{INSTANCES}.operated", "way.loads(each, replace(each, expired=None, fetched=None, unsent=None, sent=None, stale=None))", "pass"),
        ("expire_all()", f"{INSTANCES}.operated", 'way.sweep(loc, "expire", at)', "pass"),
        ("expire() of some attributes", f"{INSTANCES}.operated", "whole = len(call.arguments) == 1 and not call.keywords and", "whole ="),
        ("delete()", f"{INSTANCES}.operated", 'if name == "delete" or wrote:', "if wrote:"),
        ("add() of what has left its session", f"{INSTANCES}.added", "replace(uncopied(known), loc=loc, written=None, expired=None, detached=None, fetched=None)", "replace(known, loc=loc, written=None)"),
        ("add() of what is new", f"{INSTANCES}.added", "pending=at if known.made else None", "pending=None"),
        ("add() of what has a session", f"{INSTANCES}.misused", "held.loc != loc and held.detached is None", "held.loc != loc"),
        ("add() of what has the same", f"{INSTANCES}.misused", "held.loc != loc and held.detached", "held.detached"),
        ("delete() of what has left its session", f"{INSTANCES}.misused", 'held.detached is not None and name != "delete"', "held.detached is not None"),
        ("expunge() of what is pending", f"{INSTANCES}.misused", 'held.pending is not None and name != "expunge"', "held.pending is not None"),
        ("a session that is over is asked", f"{INSTANCES}.misused", " or way.state(loc).txn is CTXDONE", ""),
        ("what is in memory", "typestate.instances:is_expired", " and not found.fetched and", " and"),
        ("what was deleted by a statement", "typestate.methods:given", "DELETED in way.state(each.loc).models or any(added)", "any(added)"),
        ("a query of what was added", "typestate.methods:given", "DELETED in way.state(each.loc).models or any(added)", "DELETED in way.state(each.loc).models"),
        ("a query of what is there", "typestate.methods:given", "replace(found, fetched=None)", "found"),
        ("options of a query", f"{METHODS}.on", "receiver.fetched | loaded)", "receiver.fetched)"),
        ("options of get() and select()", "typestate.statements:fetched_by", "return", "return frozenset() and"),
        ("a savepoint that is rolled back", f"{METHODS}.on_handle", 'way.sweep(loc, "undo", at)', "pass"),
        ("the end of a session's block", f"{BLOCKS}.closed", 'way.sweep(loc, "close", at)', "pass"),
        ("the end of a transaction's block", f"{BLOCKS}.ended", "way.commits(loc, state, at)", "pass"),
        ("a transaction's block that fails", f"{BLOCKS}.ended", "way.undoes(loc, state, at)", "pass"),
        ("a savepoint's block", f"{BLOCKS}.ended", '"undo" if lost else "sql"', '"undo" if lost else "none"'),
        ("a savepoint's block that fails", f"{BLOCKS}.ended", '"undo" if lost else "sql"', '"sql"'),
        ("some ways only", "typestate.followed:_certain", "met.kind in CERTAIN and len(meeting)", "False and len(meeting)"),
        ("the first turn of a loop", "typestate.followed:_comes_round", "if not turns(found, met):", "if True:"),
        ("sessions that keep", "project.tracking:ProjectFacts.expires", "return expires(self.index, options, kind)", "return True"),
        ("what a lambda reads", f"{INSTANCES}.captured", 'swept(held, "forget", PLACE)', "held"),
        ("what is computed", "typestate.instances:_within", "case Row(items) | Text(items) | Reads(items):", "case Row(items) | Text(items):"),
        ("what a helper does to a session", f"{INVOCATION}.cases", "for event in state.swept or ():", "for event in ():"),
        ("what a helper does to an object", f"{INVOCATION}.cases", "renamed(changed.get((SLOT, number)), names)", "value"),
    )
)  # fmt: skip
