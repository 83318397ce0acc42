"""The C implementation counts and writes what the Python one does, byte for byte."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpack_edge.profiles.c_header import c_header
from mlpack_edge.profiles.counting import Tally
from mlpack_edge.profiles.profile import Window
from mlpack_edge.profiles.spec import INPUT, OUTCOMES, OUTPUT, Categorical, Numeric, Presence, Source, Spec
from mlpack_edge.profiles.wire.report import ReportFormat
from tests.profiles.large import large_spec
from tests.profiles.strategies import DEVICE, DIGEST, FLOATS, TEXTS, WINDOW, spec_of, specs

SOURCES = Path(__file__).parents[3] / "devices" / "c"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O2"]
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
#: Machines whose compiler and emulator may be there: what the compiler is called, what runs its programs.
CROSS = {
    "aarch64": ("aarch64-linux-gnu-gcc", ("qemu-aarch64", "qemu-aarch64-static")),
    "armhf": ("arm-linux-gnueabihf-gcc", ("qemu-arm", "qemu-arm-static")),
    "s390x, the highest byte first": ("s390x-linux-gnu-gcc", ("qemu-s390x", "qemu-s390x-static")),
}

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed (.ci/debian-packages)")

#: Texts that numbers and truth values are looked up under, escapes, digits behind them, and edges in every respect.
ODD = spec_of(
    [
        Numeric(Source("x", INPUT), (-1.0, -0.0, 5e-324, 0.1, 1.0, 4.0), -1.0, 1.0, 0.0, 2.0**-10),
        Numeric(Source("large", INPUT), (-5.0, 3.0, 2.0**53, 2.0**53 + 4, 2.0**54), -5.0, 2.0**54, 0.1, 2.0**40),
        Categorical(
            Source("t", INPUT),
            ("a", "", "true", "1", "0", "-3", "0.1", "inf", "1e+16", "10000000000000000", "nan"),
            (
                "é",
                '"\\?',
                "\n1",
                "-inf",
                "9223372036854775807",
                "-9223372036854775808",
                "1.0",
                "5e-324",
                "日本",
                "\x7f7",
            ),
        ),
        Presence(Source("id", INPUT), "free text"),
        Categorical(Source("label", OUTPUT), ("false", "true"), ()),
        Numeric(Source("value", OUTPUT), (0.0, 1.0, 1e300), 0.0, 1.0, 0.5, 2.0**970),
    ],
    confidence=True,
)
BARE = spec_of([], confidence=False)


@dataclass(frozen=True, slots=True)
class Row:
    inputs: list[object]
    outputs: list[object]
    probabilities: list[float]
    latency: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class Driver:
    """A built driver.c, and what runs it."""

    line: tuple[str, ...]

    def report(self, rows: Sequence[Row], device: bytes, cohort: str, window: Window) -> str:
        lines = [line for row in rows for line in _lines(row)]
        lines.append(f"W {device.hex() or '-'} {cohort or '!'} {window.sequence} {window.start} {window.end}")
        done = subprocess.run(
            self.line, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, (done.returncode, done.stderr)
        return done.stdout.strip()


def _lines(row: Row) -> list[str]:
    answered = row.outcome == "ok"
    probabilities = [_bits(value) for value in row.probabilities] if answered else []
    latency = "-" if row.latency is None else row.latency
    head = ["R", OUTCOMES.index(row.outcome), latency, len(probabilities), *probabilities]
    values = [*row.inputs, *(row.outputs if answered else [])]
    return [" ".join(map(str, head)), *map(_value, values)]


def _bits(number: float) -> str:
    return struct.pack(">d", number).hex()


def _value(value: object) -> str:
    if value is None:
        return "M"
    if isinstance(value, bool):
        return f"B {int(value)}"
    if isinstance(value, int):
        return f"I {value}"
    if isinstance(value, float):
        return f"D {_bits(value)}"
    return f"T {value.encode().hex()}" if isinstance(value, str) else "O"


def build(
    folder: Path,
    spec: Spec,
    compiler: str = "gcc",
    *,
    digest: bytes = DIGEST,
    flags: Sequence[str] = (),
    runner: Sequence[str] = (),
) -> Driver:
    (folder / "spec.h").write_text(c_header(spec, digest), encoding="ascii")
    objects = []
    # The driver may use what devices have not: only what ships is held to the strictest.
    for source, chosen in (
        (SOURCES / "mlpack_profile.c", STRICT),
        (Path(__file__).parent / "driver.c", ["-std=c99", "-O1"]),
    ):
        objects.append(str(folder / f"{source.stem}.o"))
        command = [compiler, *chosen, *flags, f"-I{SOURCES}", f"-I{folder}", "-c", str(source), "-o", objects[-1]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    program = str(folder / "driver")
    linked = ["-static"] if runner else []
    done = subprocess.run(
        [compiler, *flags, *objects, *linked, "-o", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return Driver((*runner, program))


def assert_same_bytes(
    driver: Driver, spec: Spec, rows: Sequence[Row], device: bytes, cohort: str, window: Window
) -> None:
    tally = Tally(spec)
    for row in rows:
        answered = row.outcome == "ok"
        tally.add(
            row.inputs,
            row.outputs if answered else None,
            probabilities=row.probabilities if answered and spec.confidence else None,
            latency=row.latency,
            outcome=row.outcome,
        )
    report = ReportFormat(spec, DIGEST).encode(tally.profile(DIGEST, window, device=device, cohort=cohort))
    assert driver.report(rows, device, cohort, window) == report.hex()


VALUES = st.one_of(
    st.none(), FLOATS, st.booleans(), st.integers(-4, 4), st.integers(-(2**63), 2**63 - 1), TEXTS, st.just(b""),
    st.sampled_from([*(ODD.features[2].categories + ODD.features[2].known), 2**53 + 1, 2**53 + 3, 9223372036854775807.0]),  # type: ignore[union-attr]
)  # fmt: skip


@st.composite
def row_lists(draw: st.DrawFn, spec: Spec) -> list[Row]:
    inputs = sum(feature.source.role == INPUT for feature in spec.features)
    return [
        Row(
            draw(st.lists(_C_VALUES, min_size=inputs, max_size=inputs)),
            draw(st.lists(_C_VALUES, min_size=len(spec.features) - inputs, max_size=len(spec.features) - inputs)),
            draw(st.lists(st.floats(), max_size=4)),
            draw(st.none() | st.integers(0, 2**64 - 2) | st.integers(0, 2**20)),
            draw(st.sampled_from(OUTCOMES)),
        )
        for _ in range(draw(st.integers(0, 12)))
    ]


#: What a C program can hold: no bytes beside texts, integers of 64 bits.
_C_VALUES = VALUES.map(lambda value: value if value != b"" else [])
UNHURRIED = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
COHORTS = st.sampled_from(["", "blue", "a" * 32])
DEVICES = st.sampled_from([b"", DEVICE])


@pytest.fixture(scope="module", params=["plain", "sanitized"])
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (.ci/debian-packages)")
    return build(tmp_path_factory.mktemp(request.param), ODD, flags=SANITIZED if request.param == "sanitized" else ())


@UNHURRIED
@given(rows=row_lists(ODD), device=DEVICES, cohort=COHORTS)
def test_rows_of_every_kind_give_the_same_report(odd: Driver, rows: list[Row], device: bytes, cohort: str) -> None:
    assert_same_bytes(odd, ODD, rows, device, cohort, WINDOW)


@needs_gcc
@settings(UNHURRIED, max_examples=4)
@given(data=st.data())
def test_any_spec_gives_the_same_report(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    spec = data.draw(specs())
    driver = build(tmp_path_factory.mktemp("any"), spec)
    for _ in range(3):
        assert_same_bytes(driver, spec, data.draw(row_lists(spec)), b"", "", Window(2**48 - 1, 0, 2**48 - 1))


@needs_gcc
def test_a_spec_without_features_is_reported(tmp_path: Path) -> None:
    rows = [Row([], [], [], 5, outcome) for outcome in OUTCOMES]
    assert_same_bytes(build(tmp_path, BARE), BARE, rows, b"", "", WINDOW)


def large_rows(count: int) -> list[Row]:
    generator = random.Random(0)
    return [
        Row(
            [generator.gauss(0, 2) for _ in range(50)]
            + [generator.choice(["c0", "c1", "c11", "rare", "?", None]) for _ in range(20)],
            [generator.choice(["no", "yes"])],
            [generator.random(), 0.1],
            generator.randrange(10**9),
            generator.choice(["ok", "ok", "ok", "refused"]),
        )
        for _ in range(count)
    ]


@needs_gcc
@pytest.mark.parametrize("rows", [1, 700])
def test_seventy_features_give_the_same_report(rows: int, tmp_path: Path) -> None:
    driver = build(tmp_path, large_spec(), flags=SANITIZED)
    assert_same_bytes(driver, large_spec(), large_rows(rows), DEVICE, "canary", WINDOW)


@pytest.mark.parametrize("machine", CROSS)
def test_other_processors_give_the_same_report(machine: str, tmp_path: Path) -> None:
    compiler, runners = CROSS[machine]
    runner = next((found for name in runners if (found := shutil.which(name))), None)
    if shutil.which(compiler) is None or runner is None:
        pytest.skip(f"{compiler} and {runners[0]} are not both installed (.ci/debian-packages)")
    driver = build(tmp_path, large_spec(), compiler, runner=[runner])
    assert_same_bytes(driver, large_spec(), large_rows(200), DEVICE, "canary", WINDOW)


@needs_gcc
@pytest.mark.parametrize(
    ("window", "cohort"),
    [(Window(0, 2, 1), ""), (Window(2**48, 0, 1), ""), (Window(0, 0, 2**48), ""), (WINDOW, "Blue"), (WINDOW, "a" * 33)],
)
def test_a_window_that_no_reader_takes_is_not_written(window: Window, cohort: str, tmp_path: Path) -> None:
    assert build(tmp_path, BARE).report([], b"", cohort, window) == ""


@needs_gcc
def test_arithmetic_that_rounds_otherwise_does_not_compile(tmp_path: Path) -> None:
    command = ["gcc", *STRICT, "-ffast-math", "-c", str(SOURCES / "mlpack_profile.c"), "-o", str(tmp_path / "it.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "doubles must be computed as doubles" in done.stderr
