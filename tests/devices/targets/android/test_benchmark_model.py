"""What `benchmark_model` prints is read as it was meant, in each of its forms, and what it does not print stays unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpack_edge.core.errors import BadInput, MlpackError, Unsupported, WorkerFault
from mlpack_edge.devices.targets.benchmark_model import arguments, launch_from_output, launch_script
from mlpack_edge.devices.targets.benchmark_model_profile import profile_rows
from mlpack_edge.runtimes.measuring.summaries import summary
from tests.devices.targets.android.tool_stand_in import PROFILE, statistics_line

#: As published in github.com/tensorflow/tensorflow/issues/42507 (2020; espcn, 4 threads, a phone).
OF_2020 = """STARTING!
Duplicate flags: num_threads
Log parameter values verbosely: [0]
Num threads: [4]
Graph: [/data/local/tmp/espcn.tflite]
#threads used for CPU inference: [4]
Loaded model /data/local/tmp/espcn.tflite
The input model file size (MB): 0.004448
Initialized session in 0.855ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=15 first=49060 curr=33682 min=32825 max=49060 avg=34825.1 std=3930

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=32891 curr=33978 min=32641 max=34005 avg=33209.4 std=450

Inference timings in us: Init: 855, First inference: 49060, Warmup (avg): 34825.1, Inference (avg): 33209.4
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual [...]
Peak memory footprint (MB): init=0 overall=12.8672

mlpack-exit 0
"""
#: As published in github.com/yuenshome/yuenshome.github.io/issues/77 (2019; mobilenet, 2 threads, a phone).
OF_2019 = """STARTING!
Min num runs: [10]
Num threads: [2]
nnapi error: unable to open library libneuralnetworks.so
Loaded model /data/local/tmp/tflite/tfmodel/mobilenet_v1_1.0_224_quant.tflite
resolved reporter
Initialized session in 9.933ms
Running benchmark for at least 4 iterations and at least 0.5 seconds
count=7 first=127425 curr=66709 min=66709 max=127425 avg=76605.9 std=20944

Running benchmark for at least 10 iterations and at least 1 seconds
count=15 first=66753 curr=66800 min=66699 max=66838 avg=66767.6 std=39

Average inference timings in us: Warmup: 76605.9, Init: 9933, no stats: 66767.6
mlpack-exit 0
"""
#: The form of LiteRT's sources of 2026 (statistics with percentiles, levels before the lines).
OF_2026 = """INFO: STARTING!
INFO: Num threads: [1]
INFO: #threads used for CPU inference: [1]
INFO: Loaded model /data/local/tmp/mlpack-x/model0.tflite
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
WARN: Tensor # 0 is named serving_default_x:0 but flags call it input0
INFO: Initialized session in 1.5ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 10 seconds.
INFO: count=200 first=310 curr=251 min=248 max=310 avg=252.5 std=6 p5=249 median=251 p95=262

INFO: Running benchmark for at least 10 iterations and at least 1 seconds but terminate if exceeding 10 seconds.
INFO: count=3900 first=252 curr=250 min=247 max=1410 avg=256.125 std=41 p5=249 median=250 p95=271

INFO: Inference timings in us: Init: 1500, First inference: 310, Warmup (avg): 252.5, Inference (avg): 256.125
INFO: Memory footprint delta from the start of the tool (MB): init=5.5 overall=9.25
INFO: Overall peak memory footprint (MB) via periodic monitoring: 12.5
mlpack-exit 0
"""


def test_the_form_of_today_gives_the_median_and_still_no_p90() -> None:
    launch = launch_from_output(OF_2026, 1, "m.tflite", 3)
    assert (launch.count, launch.min_ns, launch.p50_ns, launch.p95_ns, launch.max_ns) == (
        3900,
        247e3,
        250e3,
        271e3,
        1410e3,
    )
    assert (launch.load_ns, launch.first_call_ns, launch.warm_up_calls, launch.round) == (1.5e6, 310e3, 200, 3)
    assert (launch.memory_growth_bytes, launch.peak_rss_bytes) == (round(9.25 * 2**20), round(12.5 * 2**20))
    assert launch.threads == 1 and launch.delegates == ({"name": "XNNPACK", "kernels": None, "whole": None},)
    assert launch.inputs_confirmed
    record = launch.to_json()
    assert record["summary_ns"]["p90"] is None and record["summary_ns"]["p99"] is None
    assert record["settled"] is None and record["blocks"] == []


@pytest.mark.parametrize(
    ("text", "threads", "least", "mean", "init", "first", "growth"),
    [
        (OF_2020, 4, 32641e3, 33209.4e3, 855e3, 49060e3, round(12.8672 * 2**20)),
        (OF_2019, 2, 66699e3, 66767.6e3, 9933e3, 127425e3, None),
    ],
)  # fmt: skip
def test_older_forms_have_no_percentiles_and_none_are_invented(
    text: str, threads: int, least: float, mean: float, init: float, first: float, growth: int | None
) -> None:
    launch = launch_from_output(text, threads, "m.tflite")
    assert (launch.min_ns, launch.load_ns, launch.first_call_ns) == (least, init, first)
    assert launch.avg_ns == pytest.approx(mean)
    assert launch.p5_ns is launch.p50_ns is launch.p95_ns is None
    assert launch.memory_growth_bytes == growth
    assert not launch.inputs_confirmed
    figures = summary([launch, launch])
    assert figures["latency_ns"]["p50"] is None and figures["latency_ns"]["p50_of"] is None
    assert figures["latency_ns"]["min"] == least and figures["latency_ns"]["avg"] == pytest.approx(mean)


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=60), st.lists(st.integers(1, 10**6), min_size=1, max_size=60)
)
def test_every_line_of_statistics_that_the_tool_can_write_is_read(warm_up: list[int], timed: list[int]) -> None:
    text = f"{statistics_line(warm_up)}\n{statistics_line(timed)}\n" + OF_2026.split("\n\n", 2)[2]
    launch = launch_from_output(text, 1, "m.tflite")
    assert (launch.count, launch.warm_up_calls, launch.first_call_ns) == (len(timed), len(warm_up), warm_up[0] * 1000)
    assert (launch.min_ns, launch.max_ns) == (min(timed) * 1000, max(timed) * 1000)
    assert launch.p50_ns == sorted(timed)[len(timed) // 2] * 1000
    assert launch.avg_ns == pytest.approx(sum(timed) / len(timed) * 1000, rel=1e-5)


def test_the_p50_of_a_result_is_of_the_launches_medians_and_its_minimum_of_all_calls() -> None:
    texts = [
        OF_2026.replace("median=250", f"median={median}").replace("min=247", f"min={median - 9}")
        for median in (250, 290, 240)
    ]
    figures = summary([launch_from_output(text, 1, "m") for text in texts])
    assert figures["latency_ns"] == {
        "p50": 250e3, "p90": None, "p99": None, "min": 231e3, "avg": pytest.approx(256125.0), "p50_of": "launch medians",
    }  # fmt: skip
    assert figures["samples"] == 3 * 3900 and figures["clean_share"] is None
    assert figures["isolated_ns"] == {"p50": None, "p99": None}


_HEAD = OF_2026.partition("INFO: Running")[0]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '9'.\nERROR: Registration failed.\nmlpack-exit 1\n",
            Unsupported, "CONV_2D",
        ),
        (_HEAD + "Segmentation fault\nmlpack-exit 139\n", WorkerFault, "SIGSEGV"),
        (_HEAD + "mlpack-exit 137\n", WorkerFault, "SIGKILL"),
        ("FATAL: The size of x is 3 bytes. It should be 4 bytes.\nAborted\nmlpack-exit 134\n", WorkerFault, "It should be 4 bytes"),
        (_HEAD, WorkerFault, "cut off"),
        ("/system/bin/sh: ./benchmark_model: not executable: 64-bit ELF file\nmlpack-exit 126\n", BadInput, "not executable"),
        ("/system/bin/sh: ./benchmark_model: inaccessible or not found\nmlpack-exit 127\n", BadInput, "not found"),
        ('CANNOT LINK EXECUTABLE "./benchmark_model": library "libc++_shared.so" not found\nmlpack-exit 1\n', BadInput, "libc++"),
        ("usage: something else\nmlpack-exit 0\n", WorkerFault, "no form known here"),
        (OF_2026.replace("count=3900", "count=0"), WorkerFault, "ran nothing"),
        (
            "INFO: STARTING!\nWARN: Unconsumed cmdline flags: --input_layer=input0 --input_layer_value_files=input0:x\n"
            + "INFO: [benchmark_litert_model.h:89] ========== BENCHMARK RESULTS ==========\nmlpack-exit 0\n",
            Unsupported, "does not know --input_layer_value_files",
        ),
        (OF_2026.replace("[1]", "[8]"), Unsupported, "8 threads where 1"),
        (OF_2026.replace("INFO: Num", "WARN: Unconsumed cmdline flags: --num_threads=1\nINFO: Num"), Unsupported, "--num_threads"),
        (
            OF_2026.replace("INFO: Num", "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by it\nINFO: Num"),
            Unsupported, "the delegate GPU took no part",
        ),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_one_clear_error(text: str, kind: type[MlpackError], words: str) -> None:
    with pytest.raises(kind) as caught:
        launch_from_output(text, 1, "m.tflite")
    assert words in f"{caught.value.message} {caught.value.why}"
    assert caught.value.hint


def test_a_delegate_that_took_a_part_says_how_much() -> None:
    line = "INFO: Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the delegate w/ 3 delegate kernels."
    launch = launch_from_output(OF_2026.replace("INFO: Num threads", f"{line}\nINFO: Num threads"), 1, "m")
    assert launch.delegates == ({"name": "XNNPACK", "kernels": 3, "whole": False},)


def test_an_option_unknown_to_an_older_tool_that_no_figure_needs_is_passed_over() -> None:
    """The outputs are then not there; the times are."""
    text = OF_2020.replace("Loaded model", "Unconsumed cmdline flags: --output_filepath=/x\nLoaded model")
    assert launch_from_output(text, 4, "m").count == 50


def test_inputs_are_told_by_place_so_that_no_name_can_break_the_options() -> None:
    words = arguments("m.tflite", threads=2, runs=10, seconds=0.5, limit=5, inputs=[("a", (1, 8)), ("b", (3,))])
    assert "--input_layer=input0,input1" in words and "--input_layer_shape=1,8:3" in words
    assert "--input_layer_value_files=input0:a,input1:b" in words
    assert {"--num_threads=2", "--num_runs=10", "--min_secs=0.5", "--max_secs=5"} <= set(words)


def test_a_word_for_the_device_s_shell_cannot_become_a_command() -> None:
    assert "'--graph=a; rm -rf /'" in launch_script("/data/local/tmp/x", "./benchmark_model", ["--graph=a; rm -rf /"])


def test_what_a_delegate_ran_stands_in_the_place_of_its_node_and_nothing_counts_twice() -> None:
    rows = profile_rows(PROFILE)
    assert [(row["op"], round(row["ns"])) for row in rows] == [
        ("Delegate/Fully Connected (NC, F32) GEMM:0", 240_000), ("SOFTMAX", 150_000), ("TfLiteXNNPackDelegate", 10_000),
    ]  # fmt: skip
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert rows[2]["name"] == "[dense/a,dense/b]:7" and rows[0]["name"].startswith("Delegate/Fully Connected (NC, F32)")


def test_without_the_inside_of_the_delegate_its_node_is_the_row() -> None:
    rows = profile_rows(PROFILE.partition("Delegate internal")[0])
    assert rows[0] == {
        "name": "[dense/a,dense/b]:7", "op": "TfLiteXNNPackDelegate", "calls": 1, "ns": pytest.approx(250e3), "share": 0.625,
    }  # fmt: skip


def test_the_table_of_older_tools_has_a_column_more() -> None:
    table = PROFILE.replace("node type, first", "node type, start, first").replace("SOFTMAX, ", "SOFTMAX, 0.1, ")
    table = table.replace("Delegate, 0.3", "Delegate, 0.0, 0.3").replace("GEMM:0, 0.30", "GEMM:0, 0.0, 0.30")
    assert profile_rows(table)[1]["ns"] == pytest.approx(150e3)


@pytest.mark.parametrize("text", ["", "nothing", PROFILE.replace("avg_ms", "mean")])
def test_no_table_of_operators_is_an_error(text: str) -> None:
    with pytest.raises(WorkerFault, match="table of operators"):
        profile_rows(text)


def test_a_deviation_that_rounding_makes_no_number_is_unknown() -> None:
    found = launch_from_output(OF_2020.replace("std=450", "std=-nan"), 4, "m.tflite")
    assert found.std_ns is None and found.avg_ns == 33_209_400
    assert found.to_json()["summary_ns"]["std"] is None


@pytest.mark.parametrize(
    ("there", "instead"),
    [("Init: 855,", "Init: nan,"), ("avg=33209.4", "avg=nan"), (" curr=33978 min=32641", "")],
)
def test_figures_that_are_no_numbers_are_one_error(there: str, instead: str) -> None:
    text = OF_2020.replace(there, instead)
    assert text != OF_2020
    with pytest.raises(WorkerFault, match="in no form known here"):
        launch_from_output(text, 4, "m.tflite")
