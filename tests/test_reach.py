"""Which functions of an application anything leads to: a finding in one that nothing leads to helps nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from sa_session_lint.project.files import list_python
from sa_session_lint.project.index import Index
from sa_session_lint.project.mentions import mentions
from sa_session_lint.project.reach import is_left_over, serves_commands

APP = "from fastapi import FastAPI\n\napp = FastAPI()\n"
ROUTE = f"{APP}\n@app.get('/')\ndef home():\n    "


def index_of(root: Path, files: dict[str, str]) -> Index:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return Index(root, list_python(root))


def left_over(root: Path, files: dict[str, str], path: str = "jobs.py", qualname: str = "job") -> bool:
    index = index_of(root, files)
    outline = index.outline(path)
    assert outline is not None
    return is_left_over(index, outline, outline.scopes[qualname])


JOB = "def job():\n    return 1\n"

REACHED = {
    "called": {"main.py": f"from jobs import job\n{ROUTE}return job()\n"},
    "called under another name": {"main.py": f"from jobs import job as work\n{ROUTE}return work()\n"},
    "called through its module": {"main.py": f"import jobs\n{ROUTE}return jobs.job()\n"},
    "by a method that a library calls": {
        "main.py": f"from server import serve\nfrom handler import Handler\n{APP}\nserve(Handler())\n",
        "handler.py": "from jobs import job\n\nclass Handler:\n    def handle_DATA(self):\n        return job()\n",
    },
    "by a class that its package offers": {
        "main.py": f"import apis\n{APP}\nprint(getattr(apis, input()).retrieve())\n", "apis/__init__.py": "from .one import One\n", "apis/base.py": "class Api:\n    pass\n",
        "apis/one.py": "from jobs import job\nfrom .base import Api\n\nclass One(Api):\n    def retrieve(self):\n        return job()\n",
    },
    "as an attribute of its package": {
        "main.py": f"from work import tasks\n{ROUTE}return tasks.job()\n", "work/__init__.py": "", "work/tasks/__init__.py": "from .daily import job\n\n__all__ = ['job']\n",
        "work/tasks/daily.py": JOB,
    },
    "imported by a file that cannot be read": {"main.py": APP, "old.py": "import jobs\nprint jobs.job()\n"},
    "imported where a module cannot be found": {"main.py": f"import other\n{APP}", "other.py": "from app.jobs import job\n\nprint(job())\n"},
    "in a module with a command": {"main.py": APP, "jobs.py": f"{JOB}\ndef main():\n    return job()\n"},
    "named in a script without a suffix": {"main.py": APP, "bin/work": "#!/usr/bin/env python\nfrom jobs import job\n\njob()\n"},
    "handed on": {"main.py": f"from jobs import job\n{ROUTE}return run(job)\n"},
    "named by a string": {"main.py": f"import jobs\n{ROUTE}return send('jobs.job')\n"},
    "in a formatted string": {"main.py": f"from jobs import job\n{ROUTE}return f'{{job()}}'\n"},
    "through all names of its module": {"main.py": f"from jobs import *\n{ROUTE}return job()\n"},
    "by a loader that asks for all": {
        "main.py": f"import load\nimport jobs\n{APP}", "load.py": "from importlib import import_module\n\ndef load(name):\n    module = import_module(name)\n    return [getattr(module, each) for each in dir(module)]\n",
    },
    "by a loader that asks for it": {
        "main.py": f"import load\nimport jobs\n{APP}", "load.py": "from importlib import import_module\n\ndef load(name):\n    return getattr(import_module(name), 'job', None)\n",
    },
    "through others": {"main.py": f"from jobs import first\n{ROUTE}return first()\n", "jobs.py": f"{JOB}\ndef first():\n    return second()\n\ndef second():\n    return job()\n"},
    "by a statement of its module": {"main.py": f"import jobs\n{APP}", "jobs.py": f"{JOB}\nstarted = job()\n"},
    "in what starts the project": {"main.py": f"import jobs\n{APP}", "Procfile": "worker: rq worker --job jobs.job\n"},
    "registered by a decorator of its own": {
        "main.py": f"import jobs\n{APP}", "jobs.py": "known = []\n\ndef register(f):\n    known.append(f)\n    return f\n\n@register\ndef job():\n    return 1\n",
    },
    "registered by a decorator that is made": {
        "main.py": f"import jobs\n{APP}", "jobs.py": "def route(app):\n    def decorator(f):\n        app.get('/')(f)\n        return f\n    return decorator\n\n@route(app)\ndef job():\n    return 1\n",
    },
    "in an application without another": {"jobs.py": f"{APP}\n{JOB}"},
    "in a library": {"main.py": "def other():\n    return 1\n"},
}  # fmt: skip

LEFT = {
    "by a loader that asks for others": {
        "main.py": f"import load\nimport jobs\n{APP}",
        "load.py": "from importlib import import_module\n\ndef load(name):\n    module = import_module(name)\n    return getattr(module, \"plugin\", None) or getattr(module, 'other')\n",
    },
    "imported only": {"main.py": f"from jobs import job\n{APP}"},
    "named in a docstring": {"main.py": f'"""Does what job does."""\nimport jobs\n{APP}'},
    "named in a comment": {"main.py": f"import jobs  # job() is gone\n{APP}"},
    "named in a sentence": {"main.py": f"import jobs\n{ROUTE}return 'the job is done'\n"},
    "a method of the same name": {"main.py": f"import jobs\nimport other\n{APP}", "other.py": "def work(home):\n    return home.job()\n\nwork(1)\n"},
    "a keyword of the same name": {"main.py": f"import jobs\n{ROUTE}return dict(job=1)\n"},
    "another of that name": {"main.py": f"import jobs\nfrom other import job\n{ROUTE}return job()\n", "other.py": JOB},
    "called by what is left over": {"main.py": f"import jobs\n{APP}", "jobs.py": f"{JOB}\ndef first():\n    return second()\n\ndef second():\n    return first() + job()\n"},
    "called by tests only": {"main.py": f"import jobs\n{APP}", "tests/test_jobs.py": "from jobs import job\n\ndef test():\n    assert job()\n"},
    "in a module that nothing loads": {"main.py": APP, "jobs.py": f"{JOB}\nstarted = job()\n", "more.py": "import jobs\n"},
    "wrapped by a decorator of its own": {
        "main.py": f"import jobs\n{APP}", "jobs.py": "def logged(f):\n    def inner():\n        return f()\n    return inner\n\n@logged\ndef job():\n    return 1\n",
    },
    "defined anew": {"main.py": f"from jobs import job\n{ROUTE}return job()\n", "jobs.py": f"{JOB}\n{JOB}"},
}  # fmt: skip


@pytest.mark.parametrize("case", REACHED)
def test_what_may_run_is_reached(tmp_path: Path, case: str) -> None:
    path = "work/tasks/daily.py" if "of its package" in case else "jobs.py"
    assert not left_over(tmp_path, {"jobs.py": JOB, **REACHED[case]}, path)


@pytest.mark.parametrize("case", LEFT)
def test_what_nothing_leads_to_is_left_over(tmp_path: Path, case: str) -> None:
    index = index_of(tmp_path, {"jobs.py": JOB, **LEFT[case]})
    outline = index.outline("jobs.py")
    assert outline is not None
    first = min((scope for scope in outline.scopes.values() if scope.name == "job"), key=lambda scope: scope.at)
    assert is_left_over(index, outline, first)


CLASS = "class Jobs:\n    def job(self):\n        return 1\n"

METHODS = {
    "of an object": (f"from jobs import Jobs\n{ROUTE}return Jobs().job()\n", CLASS, False),
    "of an object that nobody makes": (f"from jobs import Jobs\n{APP}", CLASS, True),
    "of another class": (f"from jobs import Jobs\nfrom other import Other\n{ROUTE}return Jobs(), Other().job()\n", CLASS, True),
    "of something unknown": (f"from jobs import Jobs\n{ROUTE}return find(Jobs).job()\n", CLASS, False),
    "of a base": (f"from jobs import Base, Jobs\n{ROUTE}return by_name(Jobs, Base().job())\n", f"class Base:\n    def job(self):\n        return 0\n\n{CLASS.replace(':', '(Base):', 1)}", False),
    "of a library's class": (f"from jobs import Jobs\n{ROUTE}return Jobs\n", f"from flask.views import MethodView\n\n{CLASS.replace(':', '(MethodView):', 1)}", False),
    "that Python calls": (f"from jobs import Jobs\n{ROUTE}return Jobs()\n", CLASS.replace("job", "__len__"), False),
}


@pytest.mark.parametrize("case", METHODS)
def test_a_method_is_reached_with_its_class_and_by_its_name(tmp_path: Path, case: str) -> None:
    main, jobs, expected = METHODS[case]
    files = {"main.py": main, "jobs.py": jobs, "other.py": "class Other:\n    def job(self):\n        return 2\n"}
    name = "Jobs.__len__" if "__len__" in jobs else "Jobs.job"
    assert left_over(tmp_path, files, qualname=name) is expected


def test_where_a_name_is_said(tmp_path: Path) -> None:
    index = index_of(tmp_path, {"a.py": "import b\n\nclass C:\n    x = job\n\n    def m(self):\n        return self.job('job', job)\n\n\ndef f():\n    def job(): ...\n\nb.job\n\nlong = f\"\"\"it's {job}\"\"\"\nlast = job\n"})
    assert [(one.unit, one.how) for one in mentions(index, "job")] == [
        ("C", "name"), ("C.m", "attribute"), ("C.m", "text"), ("C.m", "name"), ("", "attribute"), ("", "text"), ("", "name"),
    ]  # fmt: skip


def test_classes_that_make_each_other_are_read_to_an_end(tmp_path: Path) -> None:
    one, two = (f"class {a}:\n    def from_{a}(self):\n        return {b}().work()\n\n    def work(self):\n        return 1\n" for a, b in (("One", "Two"), ("Two", "One")))
    files = {"main.py": f"import one\n{APP}", "one.py": f"from two import Two\n\n{one}", "two.py": f"from one import One\n\n{two}"}
    assert not left_over(tmp_path, files, "one.py", "One.work")  # in doubt it is reached
    assert left_over(tmp_path, {}, "two.py", "Two.from_Two")


COMMANDS = {
    "a command": ("@click.command()\ndef work():\n    Jobs().job()\n", True),
    "a command and something else": ("@click.command()\ndef work():\n    Jobs().job()\n\nJobs().job()\n", False),
    "a command that goes on for ever": ("@click.command()\ndef work():\n    while True:\n        Jobs().job()\n", False),
    "nothing": ("def work():\n    Jobs().job()\n", False),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_what_only_commands_lead_to_ends_with_them(tmp_path: Path, case: str) -> None:
    text, expected = COMMANDS[case]
    index = index_of(tmp_path, {"jobs.py": CLASS, "manage.py": f"import click\nfrom jobs import Jobs\n\n{text}", "main.py": f"import manage\n{APP}"})
    outline = index.outline("jobs.py")
    assert outline is not None
    assert serves_commands(index, outline, outline.scopes["Jobs.job"]) is expected
