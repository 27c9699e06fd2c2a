"""What of a function matters to its sessions: which tests decide anything, which steps can go, what must still be remembered where.

    if verbose:                     decides nothing: whatever the answer, the same comes next
        print(names)
    if found is None:               decides: on one way the function ends, on the other it commits
        return
    session.commit()
"""

from __future__ import annotations

from sa_session_lint.model.expression import Name
from sa_session_lint.typestate.sketch import ENDS, Sketch, SketchStep, names_in

MANY = frozenset({-1})
"""More than are told apart."""
LIMIT = 16


def decisive(steps: dict[int, SketchStep], observable: set[int]) -> set[int]:
    """The tests, by number, after which another observable step comes next on one way than on the other.

    This is the next-observable relation of slicing for arbitrary control flow (Danicic et al., https://doi.org/10.1016/j.tcs.2011.08.033). That a step
    may raise is no reason to remember how a test came out.
    """
    first: dict[int, frozenset[int]] = {at: frozenset({at}) for at in (*ENDS, *sorted(observable))}
    order = [at for at in reversed(list(steps)) if at not in first]
    growing = True
    while growing:
        growing = False
        for at in order:
            step = steps[at]
            here = frozenset[int]().union(*(first.get(to, ()) for to in step.next or (step.error,) if to is not None))
            if here >= MANY or len(here) > LIMIT:
                here = MANY
            if here != first.get(at):
                first[at] = here
                growing = True
    return {at for at, step in steps.items() if step.op == "test" and (first[at] == MANY or len({first.get(to) for to in step.next}) > 1)}


def wanted(sketch: Sketch) -> dict[int, set[object]]:
    """What matters still at each step: the names that it or a later one may read, the conditions that may be asked again of the same values."""
    found: dict[int, set[object]] = {}
    about: dict[object, frozenset[str]] = {step.condition.key: step.condition.names for step in sketch.steps.values() if step.condition is not None}
    bound: dict[int, set[object]] = {}
    for at, step in sketch.steps.items():
        names: set[str] = set()
        for expression in (step.value, *(value for _, value in step.targets), *(target for target, _ in step.targets if not isinstance(target, Name))):
            if expression is not None:
                names_in(expression, names, [])
        if step.condition is not None:
            names |= step.condition.names
        for name in names & sketch.closures.keys():
            names |= sketch.closures[name]
        found[at] = {*names} if step.condition is None else {*names, step.condition.key}
        written = {target.name for target, _ in step.targets if isinstance(target, Name)}
        bound[at] = {key for key, names in about.items() if not names.isdisjoint(written)} if written else set()
        if step.op == "bind":
            bound[at] |= written
    growing = True
    while growing:
        growing = False
        for at in reversed(list(found)):
            step, here = sketch.steps[at], found[at]
            before = len(here)
            for to in (*step.next, step.error, step.misuse, step.base):
                if to in found:
                    here |= found[to] - bound[at] if bound[at] else found[to]
            growing |= len(here) != before
    return found


def contract(steps: dict[int, SketchStep], start: int, keep: set[int]) -> tuple[dict[int, SketchStep], int]:
    """Leave out what need not be kept: a step that only passes control on vanishes, one that may raise becomes a `may`."""
    alias: dict[int, int] = {at: at for at in ENDS}

    def resolve(at: int) -> int:
        chain: list[int] = []
        while alias.get(at, at) != at:
            chain.append(at)
            at = alias[at]
        for each in chain:
            alias[each] = at
        return at

    light: dict[int, SketchStep] = {}
    for at, step in steps.items():
        if at in keep:
            light[at] = step
        elif step.op == "leave" and step.raising and step.error is not None:
            alias[at] = step.error  # what is not followed swallows nothing
        elif step.error is not None and step.op != "next":
            light[at] = SketchStep("may", step.at, step.next[:1], step.error)
        elif len(step.next) > 1:
            error = step.error if step.base is not None else None  # a plain loop over what is not followed raises nothing
            light[at] = SketchStep("fork", step.at, step.next, error)
        elif step.next:
            alias[at] = step.next[0]
        else:
            light[at] = step
    changed = True
    while changed:
        changed = False
        for at, step in list(light.items()):
            if resolve(at) != at:
                continue
            if step.op == "fork":
                to = tuple(dict.fromkeys(resolve(n) for n in step.next if resolve(n) != at))
                ends = {resolve(light[n].next[0]) if n in light and light[n].op == "may" else n for n in to}
                one = [n for n in to if n in light and light[n].op == "may"] or list(to)
                if step.error is None and len(ends) == 1 and len(one) == 1:  # to do nothing, or what may raise and then comes to the same
                    alias[at] = one[0]
                    changed = True
            elif step.op == "may":
                then = resolve(step.next[0])
                after = light.get(then)
                if then != at and after is not None and after.op == "may" and step.error is not None and after.error is not None:
                    if resolve(after.error) == resolve(step.error):
                        alias[at] = then
                        changed = True
    final: dict[int, SketchStep] = {}
    stack = [resolve(start)]
    while stack:
        at = stack.pop()
        if at in final or at in ENDS:
            continue
        step = light[at]
        to = tuple(resolve(n) for n in step.next)
        if step.op in {"fork", "dispatch"}:
            to = tuple(dict.fromkeys(to))
        error = None if step.error is None else resolve(step.error)
        base = None if step.base is None else resolve(step.base)
        misuse = None if step.misuse is None else resolve(step.misuse)
        final[at] = step._replace(next=to, error=error, base=base, misuse=misuse)
        stack += [n for n in (*to, error, base, misuse) if n is not None]
    return final, resolve(start)
