"""Reports of one spec: profile to bytes and back. The same profile gives the same bytes, and no other bytes give it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlpack_edge.profiles.layout import Group, groups, shares
from mlpack_edge.profiles.profile import LIMIT, Profile, noise_faults
from mlpack_edge.profiles.spec import OUTCOMES, Spec
from mlpack_edge.profiles.wire import rice
from mlpack_edge.profiles.wire.frame import DIGEST, Frame, read_frame, write_frame
from mlpack_edge.profiles.wire.refusal import (
    MALFORMED,
    NEGATIVE,
    NOT_CANONICAL,
    NOT_SUMMING,
    OVERFLOW,
    TRUNCATED,
    WRONG_MODEL,
    WRONG_SPEC,
    ReportRefused,
)


class ReportFormat:
    """How profiles of one spec are written and read. digest: of the spec, of which the first 16 bytes count."""

    def __init__(self, spec: Spec, digest: bytes) -> None:
        self.spec = spec
        self.digest = digest[:DIGEST]
        self.model = bytes.fromhex(spec.model_sha256)[:DIGEST]
        self.groups = groups(spec)
        self.shares = shares(spec)

    def encode(self, profile: Profile) -> bytes:
        """The report. Raises ReportRefused, for the same reasons as a reader, where the profile is not sound."""
        self._expect_size(profile)
        self._expect_sound(profile)
        made = Frame(
            profile.spec,
            profile.model,
            profile.device,
            profile.cohort,
            profile.window,
            profile.rows,
            profile.predictions,
            profile.timed,
            profile.epsilon,
            _packed_carried(profile.carried) if profile.epsilon else _packed_sums(profile.sums),
            *self._streams(profile),
        )
        self._expect_spec(made)
        return write_frame(made)

    def decode(self, data: bytes) -> Profile:
        """The profile of a report. Raises ReportRefused, and nothing else, for whatever bytes are none of this spec."""
        return self.profile(read_frame(data))

    def profile(self, frame: Frame) -> Profile:
        """The profile of a frame. Raises ReportRefused."""
        self._expect_spec(frame)
        sums = (0,) * len(self.spec.numeric) if frame.noisy else self._sums(frame.sums)
        carried = self._carried(frame.sums) if frame.noisy else ()
        written = self._written(carried)
        made = Profile(
            frame.spec,
            frame.model,
            frame.device,
            frame.cohort,
            frame.window,
            frame.rows,
            frame.predictions,
            frame.timed,
            tuple(self._counters(frame, written)),
            sums,
            frame.epsilon,
            carried,
        )
        if frame.noisy:  # what is not written is 0, and the frame has no totals
            _expect_small(made.counts[place] for group in written for place in range(group.start, group.stop))
        else:
            self._expect_sound(made)
        for group, given in zip(written, frame.parameters, strict=True):
            expected = self._expected(group.start, group.stop, made.total(group.total))
            best = rice.parameter(made.counts[group.start : group.stop], expected)
            if given != best:
                raise ReportRefused(NOT_CANONICAL, f"{group.name} has the parameter {given}, {best} takes fewer bits")
        return made

    def _written(self, carried: Sequence[int]) -> Sequence[Group]:
        """The groups whose counters a report holds: with noise those that it carries."""
        if not carried:
            return self.groups
        return [group for group, reports in zip(self.groups, carried, strict=True) if reports]

    def _expected(self, start: int, stop: int, total: int) -> list[int]:
        return rice.expectations(total, self.shares[start:stop])

    def _expect_size(self, profile: Profile) -> None:
        if len(profile.counts) != self.groups[-1].stop or len(profile.sums) != len(self.spec.numeric):
            raise ReportRefused(
                WRONG_SPEC, f"{len(profile.counts)} counters and {len(profile.sums)} sums, the spec has others"
            )
        if profile.carried and len(profile.carried) != len(self.groups):
            raise ReportRefused(MALFORMED, f"noise on {len(profile.carried)} groups, the spec has {len(self.groups)}")

    def _streams(self, profile: Profile) -> tuple[bytes, bytes, bytes]:
        parameters, codes, widths = bytearray(), list[int](), list[int]()
        for group in self._written(profile.carried):
            counts = profile.counts[group.start : group.stop]
            expected = self._expected(group.start, group.stop, profile.total(group.total))
            parameters.append(rice.parameter(counts, expected))
            codes += rice.codes(parameters[-1], counts, expected)
            widths += rice.widths(parameters[-1], expected)
        quotients = [code >> r for code, r in zip(codes, widths, strict=True)]
        return bytes(parameters), rice.unary(quotients), rice.low(codes, widths)

    def _expect_spec(self, frame: Frame) -> None:
        if frame.spec != self.digest:
            raise ReportRefused(WRONG_SPEC, f"it counts by {frame.spec.hex()}, this is {self.digest.hex()}")
        if frame.model != self.model:
            raise ReportRefused(WRONG_MODEL, f"it is of the model {frame.model.hex()}, this is {self.model.hex()}")

    def _sums(self, packed: bytes) -> tuple[int, ...]:
        size = len(self.spec.numeric)
        width, over = divmod(len(packed), size) if size else (0, len(packed))
        if over or width > 8 or (size and not width):
            raise ReportRefused(MALFORMED, f"{len(packed)} bytes cannot hold {size} sums")
        sums = tuple(
            int.from_bytes(packed[at : at + width], "big", signed=True) for at in range(0, len(packed), width or 1)
        )
        if len(_packed_sums(sums)) != len(packed):
            raise ReportRefused(NOT_CANONICAL, f"sums of {width} bytes each fit in fewer")
        return sums

    def _carried(self, packed: bytes) -> tuple[int, ...]:
        width, over = divmod(len(packed), len(self.groups))
        if over or not 1 <= width <= 6:
            raise ReportRefused(
                MALFORMED, f"{len(packed)} bytes cannot say which of {len(self.groups)} groups carry noise"
            )
        carried = tuple(int.from_bytes(packed[at : at + width], "big") for at in range(0, len(packed), width))
        if not any(carried):
            raise ReportRefused(MALFORMED, "it has noise, and no group carries it")
        if len(_packed_carried(carried)) != len(packed):
            raise ReportRefused(NOT_CANONICAL, f"numbers of reports in {width} bytes each fit in fewer")
        return carried

    def _counters(self, frame: Frame, written: Sequence[Group]) -> list[int]:
        if len(frame.parameters) != len(written) or max(frame.parameters) >= rice.PARAMETERS:
            raise ReportRefused(
                MALFORMED, f"{len(frame.parameters)} parameters up to {max(frame.parameters, default=0)}"
            )
        expected, widths = list[list[int]](), list[int]()
        totals = {"rows": frame.rows, "predictions": frame.predictions, "timed": frame.timed}
        for group, parameter in zip(written, frame.parameters, strict=True):
            expected.append(self._expected(group.start, group.stop, totals[group.total]))
            widths += rice.widths(parameter, expected[-1])
        codes = _codes(frame, widths)
        found, at = [0] * self.groups[-1].stop, 0
        for group, parameter, e in zip(written, frame.parameters, expected, strict=True):
            found[group.start : group.stop] = rice.counters(parameter, codes[at : at + group.size], e)
            at += group.size
        return found

    def _expect_sound(self, profile: Profile) -> None:
        """Also of profiles to be written: raises ReportRefused where no report could hold them."""
        _expect_small(profile.counts)
        if profile.epsilon or profile.carried:
            for fault in noise_faults(self.spec, profile):
                raise ReportRefused(MALFORMED, fault)
            return
        if min(profile.counts) < 0:
            raise ReportRefused(NEGATIVE, f"a counter is {min(profile.counts)}")
        for group in self.groups:
            found = sum(profile.counts[group.start : group.stop])
            if found != profile.total(group.total):
                raise ReportRefused(
                    NOT_SUMMING, f"{group.name}: {found}, and {group.total} is {profile.total(group.total)}"
                )
        answered = profile.counts[self.groups[-1].start + OUTCOMES.index("ok")]
        if answered != profile.predictions:
            raise ReportRefused(NOT_SUMMING, f"{answered} rows ended ok, and predictions is {profile.predictions}")


def _expect_small(counts: Iterable[int]) -> None:
    if max(map(abs, counts)) >= LIMIT:
        raise ReportRefused(OVERFLOW, "a counter reaches 2**48")


def _codes(frame: Frame, widths: Sequence[int]) -> list[int]:
    """z of every counter. Both streams must be exactly as long as they say."""
    if int.from_bytes(frame.unary, "big").bit_count() != len(widths):
        raise ReportRefused(MALFORMED, f"the quotients are not those of {len(widths)} counters")
    quotients = [len(zeros) for zeros in rice.bit_text(frame.unary).split("1")]
    if quotients.pop() > 7:
        raise ReportRefused(NOT_CANONICAL, "bytes follow the last quotient")
    needed = sum(widths)
    if len(frame.low) != (needed + 7) >> 3:
        reason = TRUNCATED if len(frame.low) < (needed + 7) >> 3 else NOT_CANONICAL
        raise ReportRefused(reason, f"remainders in {len(frame.low)} bytes, {needed} bits are right")
    bits = rice.bit_text(frame.low)
    if "1" in bits[needed:]:
        raise ReportRefused(NOT_CANONICAL, "bits follow the last remainder")
    pairs = zip(quotients, widths, rice.remainders(bits, widths), strict=True)
    return [quotient << r | remainder for quotient, r, remainder in pairs]


def _packed_sums(sums: Sequence[int]) -> bytes:
    """Every sum in the fewest whole bytes that hold all of them: two's complement, the highest byte first."""
    bits = max((max(number, ~number).bit_length() + 1 for number in sums), default=0)
    if bits > 64:
        raise ReportRefused(OVERFLOW, "a sum does not fit in 64 bits")
    width = (bits + 7) >> 3
    return b"".join(number.to_bytes(width, "big", signed=True) for number in sums)


def _packed_carried(carried: Sequence[int]) -> bytes:
    """Every number in the fewest whole bytes, at least one, that hold all of them: the highest byte first."""
    most = max(carried, default=0)
    if min(carried, default=0) < 0 or most >= LIMIT:
        raise ReportRefused(OVERFLOW, "a number of reports is not between 0 and 2**48")
    width = max((most.bit_length() + 7) >> 3, 1)
    return b"".join(number.to_bytes(width, "big") for number in carried)
