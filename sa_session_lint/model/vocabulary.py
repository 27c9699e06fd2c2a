"""SQLAlchemy and its frameworks as tables: which dotted name makes what, which method does what.

A name counts only when it was traced to one of these dotted names: a thing that is merely called `session` is unknown.
Sources: https://docs.sqlalchemy.org/en/20/orm/session_api.html, https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html,
https://docs.sqlalchemy.org/en/20/orm/contextual.html, https://fastapi.tiangolo.com/reference/dependencies/.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["sync", "async"]
Role = Literal["session class", "maker", "registry", "engine", "flask-sqlalchemy"]

_ORM = ("sqlalchemy.orm", "sqlalchemy.orm.session", "sqlalchemy.orm.scoping", "sqlalchemy.orm.decl_api")
_ASYNC = ("sqlalchemy.ext.asyncio", "sqlalchemy.ext.asyncio.session", "sqlalchemy.ext.asyncio.scoping", "sqlalchemy.ext.asyncio.engine")
_CORE = ("sqlalchemy", "sqlalchemy.engine", "sqlalchemy.engine.create", "sqlalchemy.future", "sqlmodel")


def _spell(modules: tuple[str, ...], name: str) -> dict[str, str]:
    return {f"{module}.{name}": name for module in modules}


ROLES: dict[str, tuple[Role, Kind]] = {
    **dict.fromkeys(_spell((*_ORM, "sqlmodel", "sqlmodel.orm.session", "sqlalchemy.future"), "Session"), ("session class", "sync")),
    **dict.fromkeys(_spell((*_ASYNC, "sqlmodel.ext.asyncio.session"), "AsyncSession"), ("session class", "async")),
    "flask_sqlalchemy.session.Session": ("session class", "sync"),
    "flask_sqlalchemy.SignallingSession": ("session class", "sync"),
    **dict.fromkeys(_spell(_ORM, "sessionmaker"), ("maker", "sync")),
    **dict.fromkeys(_spell(_ASYNC, "async_sessionmaker"), ("maker", "async")),
    **dict.fromkeys(_spell(_ORM, "scoped_session"), ("registry", "sync")),
    **dict.fromkeys(_spell(_ASYNC, "async_scoped_session"), ("registry", "async")),
    **dict.fromkeys(_spell(_CORE, "create_engine"), ("engine", "sync")),
    **dict.fromkeys(_spell(_CORE, "engine_from_config"), ("engine", "sync")),
    **dict.fromkeys(_spell(_ASYNC, "create_async_engine"), ("engine", "async")),
    **dict.fromkeys(_spell(_ASYNC, "async_engine_from_config"), ("engine", "async")),
    "flask_sqlalchemy.SQLAlchemy": ("flask-sqlalchemy", "sync"),
    "flask_sqlalchemy.extension.SQLAlchemy": ("flask-sqlalchemy", "sync"),
}
"""Dotted name of a callable or class -> what calling it gives, and whether that is for asyncio."""

STAR_MODULES = frozenset({*_ORM, *_ASYNC, *_CORE, "sqlmodel.ext.asyncio.session", "flask_sqlalchemy", "flask", "fastapi"})
"""Modules whose names a star import may bring in."""

CONTEXT_MANAGER = frozenset({"contextlib.contextmanager", "contextlib2.contextmanager"})
ASYNC_CONTEXT_MANAGER = frozenset({"contextlib.asynccontextmanager", "contextlib2.asynccontextmanager"})
CACHES = frozenset(
    {"functools.lru_cache", "functools.cache", "cachetools.cached", "async_lru.alru_cache", "cached_property.cached_property"}
)
OBJECT_CACHES = frozenset(
    {"functools.lru_cache", "functools.cache", "cachetools.cached", "cachetools.func.lru_cache", "cachetools.func.ttl_cache", "cachetools.func.lfu_cache",
     "async_lru.alru_cache", "asyncache.cached", "aiocache.cached", "aiocache.decorators.cached", "streamlit.cache_resource"}
)  # fmt: skip
"""Decorators that keep what a function gives in the memory of the process, and hand the same out again."""
COPY_CACHES = frozenset(
    {"flask_caching.Cache", "flask_cache.Cache", "dogpile.cache.make_region", "joblib.Memory", "diskcache.Cache"}
)  # fmt: skip
"""What makes caches whose decorators pickle what a function gives: https://flask-caching.readthedocs.io/en/latest/api.html#flask_caching.Cache.memoize"""
COPYING = frozenset({"memoize", "cached", "cache_on_arguments", "cache"})
"""The decorators of those."""
COPY_DECORATORS = frozenset({"streamlit.cache_data"})
CACHE_TABLES = frozenset({f"cachetools.{name}" for name in ("TTLCache", "LRUCache", "LFUCache", "FIFOCache", "RRCache", "TLRUCache", "Cache")})
"""Mappings that keep what is put in: https://cachetools.readthedocs.io/en/stable/"""
MEMORY_CACHES = frozenset({"aiocache.SimpleMemoryCache", "aiocache.backends.memory.SimpleMemoryCache"})
"""The same by `set()`: https://aiocache.aio-libs.org/en/latest/caches.html"""
CLOSE_ALL = frozenset({"sqlalchemy.orm.close_all_sessions", "sqlalchemy.orm.session.close_all_sessions"})
"""What closes every session in memory: https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.close_all_sessions"""
EXITS = frozenset({"sys.exit", "builtins.exit", "builtins.quit", "os._exit", "os.abort", "pytest.exit"})
"""What ends the program: nothing comes after it."""
RAISES = frozenset(
    {"flask.abort", "flask.helpers.abort", "flask_restful.abort", "flask_restx.abort", "flask_restplus.abort", "flask_smorest.abort", "quart.abort", "bottle.abort",
     "werkzeug.exceptions.abort", "pytest.fail", "pytest.skip", "typing.assert_never", "typing_extensions.assert_never"}
)
"""Functions that always raise: https://flask.palletsprojects.com/en/stable/api/#flask.abort"""
TRANSPARENT = frozenset({"functools.wraps", "typing.no_type_check", "typing.final", "typing_extensions.final", "typing.override"})
"""Decorators after which a function still gives what its body returns."""

DEPENDS = frozenset({"fastapi.Depends", "fastapi.params.Depends", "fastapi.param_functions.Depends", "fastapi.Security", "fastapi.params.Security"})
BACKGROUND_TASKS = frozenset(
    {"fastapi.BackgroundTasks", "fastapi.background.BackgroundTasks", "starlette.background.BackgroundTasks"}
)
BACKGROUND_TASK = frozenset({"starlette.background.BackgroundTask"})
ASGI_APPS = frozenset(
    {"fastapi.FastAPI", "fastapi.applications.FastAPI", "fastapi.APIRouter", "fastapi.routing.APIRouter",
     "starlette.applications.Starlette", "starlette.routing.Router"}
)  # fmt: skip
FLASK_APPS = frozenset({"flask.Flask", "flask.app.Flask", "flask.Blueprint", "flask.blueprints.Blueprint"})
FLASK_APP = frozenset({"flask.Flask", "flask.app.Flask"})
CELERY_STARTS = frozenset({"worker_init", "worker_process_init", "worker_ready", "celeryd_init"})
"""Signals that a worker sends once: https://docs.celeryq.dev/en/stable/userguide/signals.html#worker-signals"""
APPLICATIONS = frozenset(
    {"fastapi.FastAPI", "fastapi.applications.FastAPI", "starlette.applications.Starlette", "litestar.Litestar", "flask.Flask", "flask.app.Flask", "quart.Quart",
     "sanic.Sanic", "aiohttp.web.Application", "tornado.web.Application", "aiogram.Dispatcher", "discord.ext.commands.Bot", "disnake.ext.commands.Bot",
     "telegram.ext.Application", "celery.Celery"}
)  # fmt: skip
"""What a program makes once; the modules that it loads are those of an application."""
CELERY_APPS = frozenset({"celery.Celery", "celery.app.Celery", "celery.app.base.Celery"})
TASK_DECORATORS = frozenset({"celery.shared_task", "celery.task", "celery.task.task", "celery.decorators.task", "dramatiq.actor"})
TASK_CLASSES = frozenset({"celery.Task", "celery.task.Task", "celery.app.task.Task"})
TASK_SIGNALS = frozenset(f"celery.signals.{name}" for name in ("task_failure", "task_postrun", "task_prerun", "task_retry", "task_success"))
"""What Celery sends around each task, in the process and thread that runs it: https://docs.celeryq.dev/en/stable/userguide/signals.html#task-signals"""
RQ_QUEUES = frozenset({"rq.Queue", "rq.queue.Queue"})
ENQUEUING: dict[tuple[str, str], tuple[int, bool, bool]] = {
    ("Celery", "delay"): (0, False, True), ("Celery", "apply_async"): (0, True, True), ("Celery", "s"): (0, False, False), ("Celery", "si"): (0, False, False),
    ("Celery", "signature"): (0, True, False), ("Celery", "subtask"): (0, True, False), ("Celery application", "send_task"): (1, True, True),
    ("Dramatiq", "send"): (0, False, True), ("Dramatiq", "send_with_options"): (0, True, True), ("Dramatiq", "message"): (0, False, False),
    ("RQ", "enqueue"): (1, False, True),
}  # fmt: skip
"""What is called upon, and the method that hands something to a worker -> how many of its own arguments come before the task's, whether these are packed in
`args` and `kwargs`, and whether it sends them at once: a signature is sent later.
https://docs.celeryq.dev/en/stable/userguide/calling.html, https://dramatiq.io/reference.html#dramatiq.Actor, https://python-rq.org/docs/"""
DELAYING = frozenset({"countdown", "eta", "delay", "depends_on"})
"""Options by which a task waits for something before it runs."""
RETRYING_OPTIONS = frozenset({"autoretry_for", "retry_when"})
"""Options by which a task is run again when it fails."""
HUEY_APPS = frozenset({"huey.Huey", "huey.RedisHuey", "huey.SqliteHuey", "huey.MemoryHuey"})
ROUTE_METHODS = frozenset({"get", "post", "put", "delete", "patch", "head", "options", "trace", "websocket", "route", "api_route", "websocket_route"})

CONCURRENT = {
    "fastapi": "FastAPI", "starlette": "Starlette", "litestar": "Litestar", "flask": "Flask", "quart": "Quart", "sanic": "Sanic",
    "tornado": "Tornado", "pyramid": "Pyramid", "falcon": "Falcon", "bottle": "Bottle", "cherrypy": "CherryPy", "aiohttp.web": "aiohttp",
    "connexion": "Connexion", "celery": "Celery", "dramatiq": "Dramatiq", "huey": "Huey", "rq": "RQ", "apscheduler": "APScheduler",
    "telegram": "python-telegram-bot", "aiogram": "aiogram", "telebot": "pyTelegramBotAPI", "discord": "discord.py", "disnake": "disnake",
    "nextcord": "nextcord", "hikari": "hikari", "telepot": "telepot", "pyrogram": "Pyrogram", "telethon": "Telethon", "arq": "arq", "taskiq": "Taskiq",
    "dash": "Dash", "gradio": "Gradio", "blacksheep": "BlackSheep", "robyn": "Robyn", "starlite": "Starlite", "paho.mqtt": "Paho MQTT",
    "vkbottle": "vkbottle", "slack_bolt": "Slack Bolt", "grpc": "gRPC", "strawberry": "Strawberry",
    "socketserver": "socketserver", "SocketServer": "socketserver", "fedmsg": "fedmsg", "pika": "Pika", "kafka": "Kafka", "nameko": "nameko",
}  # fmt: skip
"""Top-level module -> framework whose handlers of one process run beside or after one another for as long as it lives."""

THREADS = frozenset({"threading", "concurrent.futures", "multiprocessing.pool", "_thread"})
"""Modules that start threads: a weaker sign, since a program may use one for something else."""

SESSION_CALLS = frozenset(
    {"add", "add_all", "begin_nested", "bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings", "close", "commit", "connection",
     "delete", "execute", "exec", "expire", "expire_all", "expunge", "expunge_all", "flush", "get", "get_one", "in_transaction", "is_modified",
     "merge", "query", "refresh", "rollback", "run_sync", "scalar", "scalars", "stream", "stream_scalars"}
)  # fmt: skip
"""Methods of a session that its maker lacks: `SessionLocal.query(...)` is an AttributeError."""

ORM_STATEMENTS = frozenset({"execute", "exec", "scalar", "scalars", "stream", "stream_scalars"})
"""Methods of a session that flush before they ask for mapped classes; text and tables they send as they are."""

ENDING_CALLS = frozenset({"commit", "rollback", "close", "flush", "remove", "expunge_all", "expire_all", "reset", "aclose", "invalidate"})
"""Methods called for their effect and without an argument: the bare attribute as a statement is a call forgotten."""

COROUTINES = frozenset(
    {"aclose", "close", "commit", "connection", "delete", "delete_all", "exec", "execute", "flush", "get", "get_one", "invalidate", "merge",
     "merge_all", "refresh", "remove", "reset", "rollback", "run_sync", "scalar", "scalars", "stream", "stream_scalars"}
)  # fmt: skip
"""Methods of AsyncSession and async_scoped_session that do nothing until awaited (measured on 1.4, 2.0 and 2.1)."""

NO_COROUTINES = frozenset({"add", "add_all", "expire", "expire_all", "expunge", "expunge_all", "in_transaction", "is_modified"})
"""Methods of AsyncSession that are plain functions: https://docs.sqlalchemy.org/en/20/orm/extensions/asyncio.html#sqlalchemy.ext.asyncio.AsyncSession"""

OF_COROUTINES = frozenset({"send", "throw", "close", "cr_await", "cr_frame", "cr_running", "__await__"})
"""Attributes that a coroutine has."""

SYNC_ONLY_CALLS = frozenset({"query", "bulk_insert_mappings", "bulk_save_objects", "bulk_update_mappings"})
"""Methods of Session that AsyncSession lacks: AttributeError."""

EVENT_LISTENERS = frozenset({"sqlalchemy.event.listen", "sqlalchemy.event.listens_for", "sqlalchemy.event.api.listen", "sqlalchemy.event.api.listens_for"})

LONG_LIVED_BASES = {
    "discord.ext.commands.Cog": "a Cog lives as long as the bot", "discord.ext.commands.Bot": "the bot lives as long as the process",
    "discord.Client": "the client lives as long as the process", "discord.ext.commands.AutoShardedBot": "the bot lives as long as the process",
    "nextcord.ext.commands.Cog": "a Cog lives as long as the bot", "disnake.ext.commands.Cog": "a Cog lives as long as the bot",
    "fedmsg.consumers.FedmsgConsumer": "a consumer lives as long as the hub", "threading.Thread": "a thread object lives as long as its thread",
    "celery.Task": "a task object lives as long as the worker", "celery.app.task.Task": "a task object lives as long as the worker",
    "nameko.extensions.DependencyProvider": "a provider lives as long as the container",
}  # fmt: skip
"""Base class of a framework -> why its instances outlive a unit of work."""

CALM_CALLS = frozenset(
    {"len", "isinstance", "issubclass", "print", "str", "repr", "id", "type", "bool", "callable", "hasattr", "super", "list", "dict", "set", "tuple", "enumerate",
     "zip", "range", "reversed", "sorted", "vars", "format", "frozenset", "select", "locals", "globals", "object", "getattr", "max", "min", "round", "abs"}
)  # fmt: skip
"""Calls that raise nothing, or nothing that anybody plans for."""

CALM_METHODS = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "append", "extend", "items", "keys", "values", "strip", "lower", "upper",
     "startswith", "endswith", "format", "join", "split", "filter", "filter_by", "where", "order_by", "limit", "offset", "options", "group_by",
     "setdefault", "copy", "pop", "popitem", "replace", "lstrip", "rstrip", "title", "capitalize", "encode", "strftime", "timestamp", "sort", "reverse", "discard", "clear", "add_argument", "isoformat", "utcnow", "now", "total_seconds", "select_from", "outerjoin", "having", "distinct", "print_exc", "format_exc",
     "close", "rollback", "remove", "expunge", "expunge_all", "expire", "expire_all", "add", "add_all"}
)  # fmt: skip
"""Methods of the kind; closing and rolling back may fail, but there is nothing that the code under check could do about that."""

WRAPPING = frozenset({"contextlib.closing", "contextlib.aclosing", "contextlib.nullcontext", "contextlib.ExitStack", "contextlib.AsyncExitStack"})
"""Context managers that carry another."""

MAPPING = frozenset({"Column", "mapped_column", "relationship", "deferred", "column_property", "Relationship"})
"""What the attributes of a mapped class are made by, under these names also as attributes of Flask-SQLAlchemy's `db`."""

RELATIONSHIPS = frozenset({"relationship", "Relationship"})
"""Those among them that lead to other objects."""

COLLECTIONS = frozenset({"list", "List", "set", "Set", "Sequence", "MutableSequence", "Collection", "dict", "Dict", "tuple", "Tuple"})
"""The types by which an annotation says that a relationship leads to many objects."""

APP_CONTEXTS = frozenset({"app_context", "test_request_context", "request_context"})
"""Methods of a Flask application whose blocks have a scope, and so a session of Flask-SQLAlchemy, of their own: https://flask-sqlalchemy.readthedocs.io/en/stable/contexts/"""

SUPPRESSING = frozenset({"contextlib.suppress", "pytest.raises"})
"""Context managers that swallow what is raised in their block."""

THREAD_STARTERS = frozenset(
    {"threading.Thread", "threading.Timer", "asyncio.to_thread", "_thread.start_new_thread", "starlette.concurrency.run_in_threadpool",
     "fastapi.concurrency.run_in_threadpool", "anyio.to_thread.run_sync"}
)  # fmt: skip
PROCESS_STARTERS = frozenset({"multiprocessing.Process", "multiprocessing.context.Process", "multiprocessing.process.Process"})
THREAD_POOLS = frozenset({"concurrent.futures.ThreadPoolExecutor", "concurrent.futures.thread.ThreadPoolExecutor", "multiprocessing.pool.ThreadPool",
                          "multiprocessing.dummy.Pool"})  # fmt: skip
PROCESS_POOLS = frozenset(
    {"concurrent.futures.ProcessPoolExecutor", "concurrent.futures.process.ProcessPoolExecutor", "multiprocessing.Pool", "multiprocessing.pool.Pool"}
)
POOL_METHODS = frozenset({"submit", "map", "apply_async", "map_async", "imap", "imap_unordered", "starmap", "starmap_async", "apply"})
TASK_STARTERS = frozenset({"asyncio.create_task", "asyncio.ensure_future", "asyncio.tasks.create_task"})
GATHERING = frozenset({"asyncio.gather", "asyncio.wait", "asyncio.as_completed", "asyncio.tasks.gather"})
PASSING = frozenset({"asyncio.wait_for", "asyncio.shield", "typing.cast"})
COLLECTING = frozenset({"append", "add", "insert", "extend", "appendleft"})
"""Methods that put something into a container."""
ENDING = frozenset({"shutdown", "join"})
"""Methods of a pool that wait for all its work."""
SIGNALS = frozenset({"wait", "wait_for", "join"})
"""Methods of an event, a barrier, a condition or a queue that wait for others."""
WAITING = frozenset({"concurrent.futures.wait", "concurrent.futures.as_completed", "gevent.joinall"})
TASK_GROUPS = frozenset({"asyncio.TaskGroup", "asyncio.taskgroups.TaskGroup", "anyio.create_task_group", "trio.open_nursery"})
EVENT_LOOPS = frozenset(
    {"asyncio.get_running_loop", "asyncio.get_event_loop", "asyncio.new_event_loop", "tornado.ioloop.IOLoop.current", "tornado.ioloop.IOLoop.instance"}
)
SPAWNING = (
    THREAD_STARTERS | PROCESS_STARTERS | THREAD_POOLS | PROCESS_POOLS | TASK_STARTERS | GATHERING | WAITING | TASK_GROUPS | {"asyncio.run_in_executor"}
)
"""What runs code beside the caller. https://docs.python.org/3/library/concurrency.html, https://docs.python.org/3/library/asyncio-task.html"""

CONSUMERS = frozenset({"builtins.list", "builtins.tuple", "builtins.set", "builtins.dict", "builtins.sorted", "builtins.any", "builtins.all", "builtins.sum",
                       "builtins.max", "builtins.min", "builtins.next", "builtins.len", "builtins.frozenset"})  # fmt: skip
"""Calls that read an iterable to its end, or a part of it, at once."""

DUMPING = frozenset({"builtins.vars", "fastapi.encoders.jsonable_encoder"})
"""Functions that take what is in the `__dict__` of an object for all that it has."""
VALIDATING_METHODS = frozenset({"model_validate", "from_orm"})
"""Class methods of pydantic that read an object: https://docs.pydantic.dev/latest/concepts/models/#arbitrary-class-instances"""
DUMPING_METHODS = frozenset({"model_dump", "model_dump_json", "dict", "json"})
"""Methods of an SQLModel that do so: https://sqlmodel.tiangolo.com/tutorial/automatic-id-none-refresh/"""

HARMLESS = frozenset(
    {"builtins.print", "builtins.isinstance", "builtins.type", "builtins.id", "builtins.repr", "builtins.str", "builtins.bool", "builtins.hasattr",
     "builtins.callable", "builtins.len", "sqlalchemy.inspect", "sqlalchemy.orm.object_session"}
)  # fmt: skip
"""Calls that do nothing to what they are given."""

RELEASING = frozenset(
    {f"sqlalchemy.orm.{where}make_transient{how}" for where in ("", "session.") for how in ("", "_to_detached")}
)
"""Calls after which an object is in no session any more: https://docs.sqlalchemy.org/en/20/orm/session_api.html#sqlalchemy.orm.make_transient"""

RETRYING = frozenset(
    {"tenacity.retry", "backoff.on_exception", "backoff.on_predicate", "retry.retry", "retrying.retry", "stamina.retry"}
)
"""Decorators after which a call still runs the function, once or several times."""

FLUSH_ERRORS = frozenset(
    {"BaseException", "Exception", "StandardError", "SQLAlchemyError", "StatementError", "DBAPIError", "DatabaseError", "IntegrityError", "OperationalError",
     "DataError", "InternalError", "ProgrammingError", "InterfaceError", "FlushError", "StaleDataError", "PendingRollbackError", "InvalidRequestError",
     "Error", "UniqueViolation", "UniqueViolationError", "PendingRollback"}
)  # fmt: skip
"""Exceptions as which the error of a flush may be caught: https://docs.sqlalchemy.org/en/20/core/exceptions.html"""

PENDING_ERRORS = frozenset({"BaseException", "Exception", "StandardError", "SQLAlchemyError", "InvalidRequestError", "PendingRollbackError", "PendingRollback"})
"""Exceptions as which the error may be caught that a use of a session raises when its flush has failed: https://docs.sqlalchemy.org/en/20/errors.html#error-7s2a"""

_DRIVERS = ("sqlite3", "aiosqlite", "psycopg2", "psycopg", "pymysql", "pymysql.err", "MySQLdb", "oracledb")
REFUSALS = frozenset(
    {
        *(f"{module}.{name}" for module in ("sqlalchemy.exc", *_DRIVERS) for name in ("IntegrityError", "DataError")),
        *(f"{module}.errors.{name}" for module in ("psycopg2", "psycopg") for name in ("UniqueViolation", "ForeignKeyViolation", "NotNullViolation", "CheckViolation")),
        "sqlalchemy.orm.exc.FlushError", "sqlalchemy.orm.exc.StaleDataError", "asyncpg.UniqueViolationError", "asyncpg.exceptions.UniqueViolationError",
    }
)  # fmt: skip
"""Exceptions that tell that the database did not take what was written: https://docs.sqlalchemy.org/en/20/core/exceptions.html, https://peps.python.org/pep-0249/#exceptions"""
STATEMENT_ERRORS = REFUSALS | {
    f"{module}.{name}" for module in ("sqlalchemy.exc", *_DRIVERS) for name in ("DBAPIError", "DatabaseError", "OperationalError", "InternalError", "ProgrammingError", "StatementError")
}
"""The same, and those that any statement may raise. SQLAlchemyError is none of them: `add()` raises some kinds of it, too."""

SQLLESS = frozenset(
    {"flask.request", "flask.flash", "flask.jsonify", "flask.url_for", "flask.current_app", "passlib", "bcrypt", "flask_bcrypt", "argon2", "faker", "werkzeug", "pydantic", "loguru", "structlog",
     "jwt", "jose", "dateutil", "pytz", "sqlalchemy.func", "sqlalchemy.text", "sqlalchemy.null"}
)  # fmt: skip
"""What is outside of the standard library and known to send nothing by a session: packages, and names in them."""
SQLLESS_BUILTINS = frozenset(
    {"str", "int", "float", "bool", "bytes", "dict", "len", "range", "round", "abs", "isinstance", "type", "repr", "print", "id", "callable", "super"}
)  # fmt: skip
"""The same of the builtins, exceptions aside: what iterates over its argument may send a query."""
PLAIN_DATA = frozenset({"pydantic", "abc", "enum", "typing", "typing_extensions", "builtins", "dataclasses", "collections"})
"""Where the bases come from of classes that are surely not mapped."""

MAPPED_BASES = frozenset({"sqlalchemy.orm.DeclarativeBase", "sqlalchemy.orm.DeclarativeBaseNoMeta", "sqlalchemy.ext.asyncio.AsyncAttrs", "builtins.object"})
"""Bases of mapped classes that bring no attribute which a constructor takes."""

DRIVER_ERRORS = frozenset({"DatabaseError", "IntegrityError", "OperationalError", "DataError", "InternalError", "ProgrammingError", "InterfaceError"})
"""What `StatementError` and `DBAPIError` are caught for as well."""

SQL_ERRORS = frozenset({"SQLAlchemyError"})
"""Exceptions of which every error of a flush is one."""

ENDLESS = frozenset(
    {"kafka.KafkaConsumer", "kafka.consumer.KafkaConsumer", "aiokafka.AIOKafkaConsumer", "itertools.count", "itertools.cycle", "watchfiles.watch",
     "watchfiles.awatch"}
)  # fmt: skip
"""What a loop over goes on for as long as the program runs."""

ASKING = frozenset({"in_transaction", "is_active"})
"""What a session tells about its transaction."""

RENEWING = frozenset(
    {"commit", "rollback", "close", "aclose", "remove", "reset", "invalidate", "end", "expire", "expire_all", "refresh", "expunge", "expunge_all", "flush", "merge", "begin",
     "begin_nested", "populate_existing", "execution_options", "with_for_update", "run_sync", "text", "update", "delete", "bulk_update_mappings", "bulk_save_objects",
     "setattr", "set_attribute", "set_committed_value", "dispose", "object_session", "app_context", "test_request_context", "request_context"}
)  # fmt: skip
"""What is called to see rows anew, or to change loaded objects otherwise: https://docs.sqlalchemy.org/en/20/orm/session_state_management.html#refreshing-expiring"""

LOGGING = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "log"})
"""Methods of a logger."""

ASKING_ROWS = frozenset(
    {"query", "select", "filter", "filter_by", "where", "options", "first", "one", "one_or_none", "all", "count", "scalar", "scalars", "scalar_one", "scalar_one_or_none",
     "execute", "exec", "unique", "get", "get_one", "get_or_404", "first_or_404", "one_or_404", "order_by", "limit", "in_", "is_", "is_not", "desc", "asc",
     "selectinload", "joinedload", "subqueryload", "immediateload", "contains_eager", "undefer", "defer", "load_only", "lazyload", "raiseload", "noload"}
)  # fmt: skip
"""Methods by which a query is put together and sent."""

STREAMED = frozenset(
    {"starlette.responses.StreamingResponse", "fastapi.responses.StreamingResponse", "sse_starlette.EventSourceResponse", "sse_starlette.sse.EventSourceResponse",
     "flask.Response", "flask.wrappers.Response", "quart.Response", "quart.wrappers.Response", "werkzeug.Response", "werkzeug.wrappers.Response",
     "werkzeug.wrappers.response.Response"}
)  # fmt: skip
"""Responses that read what they are given while they are sent: https://www.starlette.io/responses/#streamingresponse, https://flask.palletsprojects.com/en/stable/patterns/streaming/"""

BODIES = frozenset({"content", "response"})
"""The names by which they take it."""

URL_SETTING = "SQLALCHEMY_DATABASE_URI"
"""The setting of Flask that tells Flask-SQLAlchemy its database: https://flask-sqlalchemy.readthedocs.io/en/stable/config/"""

SERVED_BY_THREADS = ("flask", "django", "pyramid", "bottle", "cherrypy", "falcon", "streamlit")
"""Packages whose programs serve few requests at a time for each process, one in a thread."""
SERVED_BY_LOOPS = ("fastapi", "starlette", "litestar", "quart", "sanic", "aiohttp", "tornado")
"""Packages whose programs serve many at a time, in an event loop."""
LASTING = (
    *SERVED_BY_THREADS, *SERVED_BY_LOOPS, "twisted", "connexion", "strawberry", "gradio", "dash", "celery", "rq", "dramatiq", "arq", "huey", "kombu", "pika", "aio_pika",
    "kafka", "aiokafka", "faust", "paho", "zmq", "websockets", "grpc", "nameko", "socketserver", "http.server", "wsgiref", "aiogram", "telegram", "telebot", "discord",
    "disnake", "nextcord", "hikari", "pyrogram", "telethon", "slack_bolt", "nonebot", "apscheduler", "schedule", "threading", "_thread", "concurrent", "PyQt5", "PyQt6",
    "PySide2", "PySide6", "qgis", "wx", "tkinter", "gi", "kivy", "uvicorn", "gunicorn", "waitress", "oslo_service", "cotyledon",
)  # fmt: skip
"""Packages of programs that go on: servers, workers, bots, schedulers, threads, windows."""
ENDING_PROGRAMS = ("argparse", "optparse", "getopt", "click", "typer", "docopt", "fire", "airflow", "luigi", "prefect", "dagster")
"""Packages of programs that end: commands and the steps of pipelines."""
