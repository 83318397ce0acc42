"""`ssh://USER@HOST:PORT`: what is taken, and its words for messages and for a POSIX shell."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from mlpack_edge.core.errors import BadInput

_FORM = "ssh://USER@HOST:PORT, where USER@ and :PORT may be left away; an IPv6 address stands in brackets"
_SHAPE = re.compile(r"//(?:(?P<user>.+)@)?(?P<host>\[[^\[\]]*\]|[^\[\]@:/]*)(?::(?P<port>[^:/]*))?/?")
#: What OpenSSH itself refuses in these places (ssh.c: valid_hostname, valid_ruser), for a shell may come to see them.
_UNSAFE = re.compile(r"""[\s\x00-\x1f\x7f'"`$\\;&<>|(){}:/]""")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(%[\w.-]+)?")


@dataclass(frozen=True, slots=True)
class SshAddress:
    """user and port: None where the user's configuration of ssh decides. host: a name, an alias, an address."""

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def words(self) -> list[str]:
        """As one types it after `ssh`."""
        port = [] if self.port is None else ["-p", str(self.port)]
        return [*port, f"{self.user}@{self.host}" if self.user else self.host]

    @property
    def command(self) -> str:
        """The line that reaches it by hand."""
        return shlex.join(["ssh", *self.words])


def parse_address(text: str) -> SshAddress:
    """`text`: all after `ssh:`. Raises BadInput for another form, and for what ssh could take for an option."""
    found = _SHAPE.fullmatch(text)
    if found is None or not found["host"].strip("[]"):
        raise BadInput(f"'ssh:{text}' is no address", f"write {_FORM}")
    user, host, port = found["user"], found["host"], found["port"]
    bare = host.strip("[]")
    if user is not None and ":" in user:
        raise BadInput(
            f"'ssh:{text}': no password belongs into an address", "use a key: ssh-keygen, then ssh-copy-id USER@HOST"
        )
    for what, value in (("user", user), ("host", bare)):
        if value is not None and (value.startswith("-") or (_UNSAFE.search(value) and not host.startswith("["))):
            raise BadInput(f"'ssh:{text}': {value!r} is no name of a {what}", f"write {_FORM}")
    if host.startswith("[") and not _IPV6.fullmatch(bare):
        raise BadInput(f"'ssh:{text}': {bare!r} is no IPv6 address", f"write {_FORM}")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise BadInput(f"'ssh:{text}': {port!r} is no port", "a port is a number from 1 to 65535")
    return SshAddress(bare, user, None if port is None else int(port))


def python_command(python: str, arguments: list[str]) -> str:
    """A line that starts `python` with `arguments` in any login shell: sh, bash, dash, zsh, ksh, busybox, fish, csh, tcsh.

    python: one program; a leading `~/` or `~user/` is for the shell to replace. Raises BadInput for characters that no
    one way of quoting holds in all of them.
    """
    home = re.match(r"~[A-Za-z0-9._-]*(/|$)", python)
    start = home[0] if home else ""
    if not python.strip() or python.startswith("-"):
        raise BadInput(
            f"--target-python {python!r} names no program", "it is a name on the target's PATH or a path there"
        )
    if re.search(r"[\x00-\x1f\x7f!\\]", python):
        raise BadInput(
            f"--target-python {python!r} cannot be written for every shell", "link to it from a path without ! and \\"
        )
    rest = python[len(start) :]
    return " ".join([start + (_quoted(rest) if rest else ""), *(_quoted(word) for word in arguments)])


def _quoted(word: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._/+:-]+", word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
