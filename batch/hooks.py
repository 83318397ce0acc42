"""What a job calls when it ended: a program, a line of shell, or a webhook."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from typing import IO, Any

from mlpack_edge.batch.job_file import Hook
from mlpack_edge.core.errors import MlpackError

Json = dict[str, Any]

#: Linux takes at most 128 KiB in one variable, and a message must not keep a hook from being started.
_LONGEST = 8192


def is_webhook(hook: Hook) -> bool:
    return isinstance(hook, str) and hook.lower().startswith(("http://", "https://"))


def run_hook(
    name: str, hook: Hook, document: Json, environment: Mapping[str, str], time_limit: float, said: IO[bytes] | int
) -> None:
    """Call `hook` ("" is none) with the result of the run: POSTed, or on standard input of the command, as JSON.

    name: its key, for messages. environment: variables of a command beside those of this process. time_limit: seconds
    for a command; a webhook has 30 at most. said: where what the command prints goes. Raises MlpackError where the hook failed, was not there or
    took too long; a command is then killed with all it started.
    """
    if not hook:
        return
    body = json.dumps(document, allow_nan=False, default=str).encode()
    if is_webhook(hook):
        assert isinstance(hook, str)
        from mlpack_edge.batch.webhook import post  # most jobs have none, and HTTP takes its time to load

        post(name, hook, body, time_limit)
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
