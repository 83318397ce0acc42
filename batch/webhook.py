"""POST the result of a run to a URL."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from mlpack_edge.core.errors import MlpackError

#: Seconds from looking up the name to the status line.
LONGEST = 30.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST arrives as a GET without its body: the hook would seem to have worked."""

    def redirect_request(self, *_: Any) -> None:
        return None


def post(name: str, url: str, body: bytes, time_limit: float) -> None:
    """POST JSON within `time_limit` seconds, 30 at most; raises MlpackError where it was not taken with a status 2xx.

    name: the hook's key, for messages, which show the host alone.
    """
    seconds = min(time_limit, LONGEST)
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as fault:
        raise MlpackError(f"the hook {name} is no URL", "check its host and port", why=str(fault)) from fault
    place = f"{parts.scheme}://{parts.hostname or ''}{port}"  # the rest of a webhook's URL is often its password
    outcome: list[str] = []
    # Neither looking up a name nor a server that answers byte by byte heeds a socket's time limit.
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
