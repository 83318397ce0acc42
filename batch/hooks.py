"""What a job calls when it ended: a program, a line of shell, or a webhook."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import urlsplit

from mlpack_edge.batch.job_file import Hook
from mlpack_edge.core.errors import MlpackError

Json = dict[str, Any]

#: Seconds for a webhook, from looking up the name to the status line.
WEBHOOK_SECONDS = 30.0
#: Linux takes at most 128 KiB in one variable, and a message must not keep a hook from being started.
_LONGEST = 8192


def is_webhook(hook: Hook) -> bool:
    return isinstance(hook, str) and hook.lower().startswith(("http://", "https://"))


def run_hook(
    name: str, hook: Hook, document: Json, environment: Mapping[str, str], time_limit: float, said: IO[bytes] | int
) -> None:
    """Call `hook` ("" is none) with the result of the run: POSTed, or on standard input of the command, as JSON.

    name: its key, for messages. environment: variables of a command beside those of this process. time_limit: seconds
    for a command; a webhook has WEBHOOK_SECONDS at most. said: where what the command prints goes. Raises MlpackError where the hook failed, was not there or
    took too long; a command is then killed with all it started.
    """
    if not hook:
        return
    body = json.dumps(document, allow_nan=False, default=str).encode()
    if is_webhook(hook):
        assert isinstance(hook, str)
        _post(name, hook, body, min(time_limit, WEBHOOK_SECONDS))
    else:
        _call(name, hook, body, environment, time_limit, said)


def _call(
    name: str, hook: Hook, body: bytes, environment: Mapping[str, str], time_limit: float, said: IO[bytes] | int
) -> None:
    words = ["/bin/sh", "-c", hook] if isinstance(hook, str) else list(hook)
    shown = hook if isinstance(hook, str) else " ".join(hook)
    variables = {key: value.replace("\0", "")[:_LONGEST] for key, value in environment.items()}
    with tempfile.TemporaryFile() as given:
        given.write(body)
        given.seek(0)
        try:
            child = subprocess.Popen(
                words, stdin=given, stdout=said, stderr=said, env={**os.environ, **variables}, start_new_session=True
            )
        except OSError as fault:
            raise MlpackError(
                f"the hook {name} could not be started: {shown:.200}", "check the path of the command",
                why=fault.strerror or str(fault),
            ) from fault  # fmt: skip
        try:
            code = child.wait(time_limit)
        except subprocess.TimeoutExpired as late:
            raise MlpackError(
                f"the hook {name} did not end within {time_limit:g} s and was stopped: {shown:.200}",
                "give it longer with time_limit below [hooks]",
            ) from late
        finally:
            if child.poll() is None:  # too late, or interrupted
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    if code:
        ended = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        raise MlpackError(f"the hook {name} {ended}: {shown:.200}", "what it printed stands above")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its body: the hook would seem to have worked."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(name: str, url: str, body: bytes, seconds: float) -> None:
    """POST in a thread: neither looking up a name nor a server that answers byte by byte heeds a socket's time limit."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as fault:
        raise MlpackError(f"the hook {name} is no URL", "check its host and port", why=str(fault)) from fault
    place = f"{parts.scheme}://{parts.hostname or ''}{port}"  # the rest of a webhook's URL is often its password
    outcome: list[str] = []
    thread = threading.Thread(target=lambda: outcome.append(_answer(url, body, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    why = outcome[0] if outcome else f"no answer within {seconds:g} s"
    if why:
        raise MlpackError(f"the webhook {name} at {place} failed", "try the address with curl", why=why)


def _answer(url: str, body: bytes, seconds: float) -> str:
    """Why the POST failed; "" where the server took it."""
    request = urllib.request.Request(
        url, data=body, method="POST", headers={"Content-Type": "application/json", "User-Agent": "mlpack-score"}
    )
    try:
        with urllib.request.build_opener(_NoRedirect()).open(request, timeout=seconds) as response:
            status = response.status
    except urllib.error.HTTPError as fault:
        status = fault.code
        fault.close()
    except urllib.error.URLError as fault:
        return str(fault.reason)
    except http.client.InvalidURL:  # its message would show the address
        return "its address holds a blank or a control character"
    except (OSError, http.client.HTTPException, ValueError) as fault:
        return f"{type(fault).__name__}: {fault}"
    if 300 <= status < 400:
        return f"it answered {status}, a redirect, which a POST does not follow: give the address itself"
    return "" if 200 <= status < 300 else f"it answered {status}"
