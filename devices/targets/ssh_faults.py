"""What ssh and the shell behind it say when they fail, turned into errors.

OpenSSH writes its messages in English alone, and a banner, a greeting or a warning may stand before them: only whole
lines of known form count, the most telling first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mlpack_edge.core.errors import IoFault, MissingExtra, MlpackError, Untrusted, WorkerFault
from mlpack_edge.devices.targets.ssh_address import SshAddress

#: ssh itself failed, or what it ran was ended by a signal.
_OF_SSH = 255
_NOISE = re.compile(
    r"Warning: |\*\* |debug\d|Pseudo-terminal|Shared connection to |mux_|ControlSocket |Killed by signal"
)


@dataclass(frozen=True, slots=True)
class _Fault:
    """A line that ssh prints. In the texts {name}: the target; {ssh}: the line that reaches it; {line}: what was found."""

    line: re.Pattern[str]
    kind: type[MlpackError]
    message: str
    hint: str


def _fault(line: str, kind: type[MlpackError], message: str, hint: str) -> _Fault:
    return _Fault(re.compile(line), kind, message, hint)


_FAULTS = (
    _fault(
        r"@?\s*WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED|.*host key .*has changed and you have requested strict",
        Untrusted,
        "THE HOST KEY OF {name} HAS CHANGED: it is not the machine that was there before, or somebody sits between",
        "ask whoever runs it. Only if the machine was set up anew: {forget}, then {ssh} once by hand, and compare the "
        "fingerprint",
    ),
    _fault(
        r".*(Host key .*revoked|REVOKED HOST KEY|is marked as revoked)",
        Untrusted,
        "the host key of {name} is revoked",
        "ask whoever runs the machine; nothing is sent there",
    ),
    _fault(
        r"No \S+ host key is known for |Host key verification failed",
        Untrusted,
        "the host key of {name} is not known here, so nothing was sent there",
        "{ssh} once by hand, and compare the fingerprint it shows; or, on a network that you trust: {scan}",
    ),
    _fault(
        r"ssh: Could not resolve hostname ",
        IoFault,
        "{name}: there is no host of this name",
        "check the name, or give it an address in ~/.ssh/config",
    ),
    _fault(
        r"ssh: connect to host .*: Connection refused",
        IoFault,
        "{name} refuses connections",
        "start its SSH server (sudo systemctl enable --now ssh), or name the port: ssh://USER@HOST:PORT",
    ),
    _fault(
        r"(ssh: connect to host .*: (Connection|Operation) timed out|Connection timed out during banner exchange)",
        IoFault,
        "{name} does not answer",
        "see whether it is on and reachable from here: {ssh}",
    ),
    _fault(
        r"ssh: connect to host .*: (No route to host|Network is unreachable|Host is down|.*)",
        IoFault,
        "{name} cannot be reached",
        "see whether it is on and in the same network: {ssh}",
    ),
    _fault(
        r"\S*\s?(Permission denied \(.*\)\.?$|Permission denied, please try again)|.*Too many authentication failures|"
        r"no such user",
        IoFault,
        "{name} does not let this user in",
        "give it a key of yours ({copy}), or ssh-add the one it has; without a terminal nobody can type a password",
    ),
    _fault(
        r".*(Bad configuration option|terminating, \d+ bad configuration|Bad owner or permissions on|"
        r"Can't open user config file|line \d+: )",
        IoFault,
        "ssh refuses its own configuration",
        "mend it: {ssh} says the same",
    ),
    _fault(
        r"Unable to negotiate |.*no matching .* found",
        IoFault,
        "{name} and the ssh of this machine have no way to encrypt in common",
        "update the older one of the two",
    ),
    _fault(
        r".*(Timeout, server \S+ not responding|client_loop: |Connection to \S+ (closed|timed out)|"
        r"Connection (closed|reset) by|kex_exchange_identification|Broken pipe|Connection reset|channel \d+: open failed|"
        r"stdio forwarding failed)",
        WorkerFault,
        "{name} closed the connection before it began",
        "see what it says to {ssh} -v, and what its own log says",
    ),
)


def ssh_error(
    address: SshAddress, name: str, python: str, code: int | None, printed: str, answered: bool, settings: Mapping[str, str]
) -> MlpackError:  # fmt: skip
    """The error for an ssh that ended. settings: its own configuration for this host. answered: the agent spoke before."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = [line for line in lines if not _NOISE.match(line)]
    last = telling[-1][:400] if telling else ""
    if code != _OF_SSH and code is not None and code >= 0 and not answered:
        return _of_shell(address, name, python, code, telling)
    if answered:
        lost = code in (_OF_SSH, None) or code < 0
        return WorkerFault(
            f"the connection to {name} was lost in the middle" if lost else f"the agent on {name} ended in the middle",
            "see whether the machine is still up, and try again; the agent ends with its connection and removes what it "
            "had put there (after a loss of power the next run does)",
            why=last or _silent_end(code),
        )
    for fault in _FAULTS:
        for line in lines:
            if fault.line.match(line):
                words = {"name": name, "ssh": address.command, **_remedies(address, settings)}
                return fault.kind(fault.message.format(**words), fault.hint.format(**words), why=_why(line, lines))
    return WorkerFault(
        f"{name} could not be reached", f"see what it says to: {address.command} -v", why=last or _silent_end(code)
    )


def _why(line: str, lines: list[str]) -> str:
    """The line found, unless it is an ornament; for a key that ssh would not use, its reason as well."""
    said = [one for one in lines if "UNPROTECTED PRIVATE KEY" in one or one.startswith(("Offending ", "Load key "))]
    return "; ".join(dict.fromkeys([*(one.strip("@ ") for one in said), line.strip("@ ")]))[:400]


def _silent_end(code: int | None) -> str:
    if code is None:
        return "ssh said nothing and did not end"
    if code < 0:
        return f"the ssh of this machine was ended by signal {-code}"
    return f"ssh ended with code {code} and said nothing" + (
        "; what it had started there was ended by a signal, perhaps for want of memory" if code == _OF_SSH else ""
    )


def _remedies(address: SshAddress, settings: Mapping[str, str]) -> dict[str, str]:
    """Lines that mend something, with the host and port that ssh itself makes of the address."""
    host, port = settings.get("hostname", address.host), settings.get("port", str(address.port or 22))
    listed = host if port == "22" else f"[{host}]:{port}"
    known = settings.get("userknownhostsfile", "~/.ssh/known_hosts").split()[0]
    where = [] if port == "22" else ["-p", port]
    return {
        "forget": shlex.join(["ssh-keygen", "-f", known, "-R", listed]),
        "scan": f"{shlex.join(['ssh-keyscan', *where, host])} >> {known}",
        "copy": shlex.join(["ssh-copy-id", *address.words]),
    }


def _of_shell(address: SshAddress, name: str, python: str, code: int, lines: list[str]) -> MlpackError:
    """The command that the login shell was given ended without a word of the agent."""
    last = lines[-1][:400] if lines else ""
    # csh and tcsh end with 1 where others end with 127.
    missing = any(re.search(r"(?i)\b(command )?not found|no such file", line) for line in lines)
    if code == 127 or (code == 1 and missing):
        install = f"ssh -t {shlex.join(address.words)} sudo apt install python3 python3-venv"
        return MissingExtra(
            f"{python} is not there on {name}",
            f"name the Python that is: --target-python PATH; or install one (on Debian: {install})", why=last,
        )  # fmt: skip
    if code == 126:
        return IoFault(f"{python} cannot be started on {name}", "check what it is: --target-python PATH", why=last)
    return WorkerFault(
        f"{python} on {name} ended with code {code} before the agent answered",
        f"see what this gives: {address.command} {shlex.quote(python + ' --version')}",
        why=last,
    )
