"""Which calls of libraries wait, how long, and when: as soon as they are called, or when their coroutine is awaited."""

from __future__ import annotations

_HTTP = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "request"})
_MODEL = frozenset({"create", "parse", "stream", "generate", "complete", "count_tokens"})
_BUCKETS = frozenset(
    {"upload_file", "download_file", "upload_fileobj", "download_fileobj", "put_object", "get_item", "put_item", "delete_item", "update_item", "query", "scan",
     "send_message", "send_messages", "receive_messages", "publish", "put", "get", "delete", "load", "copy", "copy_from", "wait_until_exists"}
)  # fmt: skip

SLOW_CALLS = frozenset(
    {"time.sleep", "gevent.sleep", "eventlet.sleep", "os.system", "urllib.request.urlopen", "urllib.request.urlretrieve", "urllib3.request",
     "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.getoutput", "subprocess.getstatusoutput",
     "smtplib.SMTP", "smtplib.SMTP_SSL", "requests.request", "httpx.request", "httpx.stream", "litellm.completion", "ollama.chat", "ollama.generate", "replicate.run",
     "openai.ChatCompletion.create", "openai.Completion.create", "openai.Embedding.create"}
    | {f"{module}.{name}" for module in ("requests", "httpx") for name in _HTTP}
)  # fmt: skip
"""Calls that wait for the network, another process, the clock or a person."""

LONG_CALLS = frozenset(
    {name for name in SLOW_CALLS if name.startswith(("time.", "gevent.", "eventlet.", "os.", "subprocess.", "litellm.", "ollama.", "replicate.", "openai."))}
    | {"urllib.request.urlretrieve", "subprocess.Popen", "asyncio.sleep", "asyncio.tasks.sleep", "trio.sleep", "anyio.sleep", "litellm.acompletion",
       "replicate.async_run", "openai.ChatCompletion.acreate", "openai.Completion.acreate", "openai.Embedding.acreate"}
)  # fmt: skip
"""Those that take seconds or more: what one request takes is not known, as a rule it is less."""

LONG_METHODS = frozenset(
    {"stream", "upload_file", "download_file", "upload_fileobj", "download_fileobj", "wait_until_exists", "invoke_model", "converse"}
)  # fmt: skip
"""Methods of clients that do so, by their names."""

SLOW_AWAITED = frozenset(
    {"asyncio.sleep", "asyncio.tasks.sleep", "trio.sleep", "anyio.sleep", "litellm.acompletion", "replicate.async_run", "aiosmtplib.send",
     "openai.ChatCompletion.acreate", "openai.Completion.acreate", "openai.Embedding.acreate"}
)  # fmt: skip
"""Functions whose coroutines do so when they are awaited."""

SLOW_CLIENTS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("requests.Session", "requests.sessions.Session", "requests.session", "httpx.Client", "httpx.AsyncClient", "aiohttp.ClientSession"),
        _HTTP | {"stream", "send", "ws_connect"},
    ),
    **dict.fromkeys(("urllib3.PoolManager", "urllib3.HTTPConnectionPool", "urllib3.HTTPSConnectionPool"), frozenset({"request", "urlopen"})),
    **dict.fromkeys(("smtplib.SMTP", "smtplib.SMTP_SSL"), frozenset({"sendmail", "send_message", "login", "connect", "starttls"})),
    "subprocess.Popen": frozenset({"wait", "communicate"}),
}
"""Class -> its methods that wait. https://requests.readthedocs.io/en/latest/api/, https://www.python-httpx.org/api/,
https://docs.aiohttp.org/en/stable/client_reference.html, https://docs.python.org/3/library/smtplib.html"""

SLOW_SERVICES: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("openai.OpenAI", "openai.AsyncOpenAI", "openai.AzureOpenAI", "openai.AsyncAzureOpenAI", "anthropic.Anthropic", "anthropic.AsyncAnthropic",
         "anthropic.AnthropicBedrock", "anthropic.AsyncAnthropicBedrock", "groq.Groq", "groq.AsyncGroq", "mistralai.Mistral"),
        _MODEL,
    ),
    **dict.fromkeys(("google.genai.Client", "google.generativeai.GenerativeModel"), frozenset({"generate_content", "generate_images", "embed_content"})),
    **dict.fromkeys(("cohere.Client", "cohere.ClientV2", "ollama.Client"), frozenset({"chat", "generate", "embed", "rerank"})),
    "boto3.resource": _BUCKETS,
}  # fmt: skip
"""Class -> names of methods that wait, also of what its attributes and methods lead to: `client.chat.completions.create(...)`."""

LOCAL_METHODS: dict[str, frozenset[str]] = {
    "boto3.client": frozenset({"can_paginate", "close", "generate_presigned_post", "generate_presigned_url", "get_paginator", "get_waiter"}),
}
"""What makes a client all of whose methods wait -> those that do not.
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/clients.html"""

AWAITED_CLIENTS = frozenset(
    {"httpx.AsyncClient", "aiohttp.ClientSession", "openai.AsyncOpenAI", "openai.AsyncAzureOpenAI", "anthropic.AsyncAnthropic", "anthropic.AsyncAnthropicBedrock",
     "groq.AsyncGroq"}
)  # fmt: skip
"""Those of them whose methods wait when they are awaited or entered."""

MADE_BY = {
    **{(cls, kind): f"boto3.{kind}" for cls in ("boto3.Session", "boto3.session.Session") for kind in ("client", "resource")},
    **{("boto3.resource", kind): "boto3.resource" for kind in ("Bucket", "Object", "Queue", "Table", "Topic")},
}
"""Class and method -> as which function the method makes a client."""

PAUSES = frozenset({"time.sleep", "gevent.sleep", "eventlet.sleep", "asyncio.sleep", "asyncio.tasks.sleep", "trio.sleep", "anyio.sleep"})
"""Calls that let time pass, and nothing else."""

EVENTS = frozenset({"threading.Event", "multiprocessing.Event", "asyncio.Event", "gevent.event.Event"})
"""What is made to be waited for: `stop.wait(5)`."""
