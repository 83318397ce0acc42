"""What `vela` writes is read as it was meant; a zero is never taken for a figure."""

from __future__ import annotations

import pytest

from mlpack_edge.core.errors import BadInput, Unsupported, WorkerFault
from mlpack_edge.devices.vela import CONFIGS, config_from_address, estimate_from_vela

#: Columns and lines as ethos-u-vela 5.2.0 writes them for a small net, the columns not read left out.
SUMMARY = (
    "experiment,network,accelerator_configuration,system_config,memory_mode,core_clock,inference_time,sram_memory_used,"
    "dram_memory_used,on_chip_flash_memory_used,off_chip_flash_memory_used,nn_macs,cycles_npu,cycles_total\n"
    "default,model,Ethos_U55_128,Ethos_U55_High_End_Embedded,Shared_Sram,500000000.0,3.968e-06,0.15625,0.0,0.5,2.15625,1200,612,1984\n"
)
PRINTED = """Warning: No memory mode specified. Using a default of Shared_Sram. Compilation may be invalid or non-optimal.
Tensor 'x' has a dynamic signature in axis 0. Setting shape axis 0 to 1 and proceeding.

Warning (supported operators) operator: DEQUANTIZE, ofm: 'y'
Reason: Unsupported opType

Warning (supported operators) operator: QUANTIZE, ofm: 'x_code'
Reason: Operation has tensor with unsupported DataType Float32 (<unnamed>)
Feature-map dataTypes must be one of {"INT16", "INT32", "INT64", "INT8", "UINT8"}

Warning (supported operators) operator: QUANTIZE, ofm: 'z_code'
Reason: Operation has tensor with unsupported DataType Float32 (z)
Feature-map dataTypes must be one of {"INT16", "INT32", "INT64", "INT8", "UINT8"}

CPU operators = 3 (37.5%)
   CPU: Passthrough = y (outputs [1, 1, 1, 3])
NPU operators = 5 (62.5%)
   NPU: FullyConnected = matmul0 (outputs [1, 1, 1, 32])
"""
FLOAT_SUMMARY = SUMMARY.replace("3.968e-06,0.15625,0.0,0.5,2.15625,1200,612,1984", "0.0,0.0,0.0,0.0,0.0,0,0,0")
FLOAT_PRINTED = PRINTED.replace("CPU operators = 3 (37.5%)", "CPU operators = 8 (100.0%)").replace(
    "= 5 (62.5%)", "= 0 (0.0%)"
)


def test_a_model_that_runs_in_part_says_which_part_and_why() -> None:
    found = estimate_from_vela(SUMMARY, PRINTED, [(1, 20)], "m.tflite")
    assert (found.cycles, found.clock_hz, found.macs) == (1984, 500_000_000, 1200)
    assert (found.sram_bytes, found.dram_bytes, found.flash_bytes) == (160, 0, 512 + 2208)
    assert (found.npu_operators, found.cpu_operators, found.cpu_share) == (5, 3, 0.375)
    assert found.left_on_cpu == (
        {"op": "QUANTIZE", "count": 2, "reason": "Operation has tensor with unsupported DataType Float32"},
        {"op": "DEQUANTIZE", "count": 1, "reason": "Unsupported opType"},
    )


def test_a_float_model_is_unsupported_and_never_zero_cycles() -> None:
    with pytest.raises(Unsupported, match=r"all 8 operators stay on the CPU \(QUANTIZE, DEQUANTIZE\)") as caught:
        estimate_from_vela(FLOAT_SUMMARY, FLOAT_PRINTED, [(1, 20)], "m.tflite")
    assert "Float32" in caught.value.why and "quantize it to int8" in caught.value.hint


def test_zero_cycles_are_unsupported_whatever_vela_counted() -> None:
    with pytest.raises(Unsupported):
        estimate_from_vela(FLOAT_SUMMARY, PRINTED, [(1, 20)], "m.tflite")


def test_an_open_size_that_vela_takes_as_one_is_refused_where_another_was_meant() -> None:
    with pytest.raises(Unsupported, match="takes 1 for size 0 of an input, which is to be 8"):
        estimate_from_vela(SUMMARY, PRINTED, [(8, 20)], "m.tflite")
    fixed = PRINTED.replace(
        "Tensor 'x' has a dynamic signature in axis 0. Setting shape axis 0 to 1 and proceeding.\n", ""
    )
    assert estimate_from_vela(SUMMARY, fixed, [(8, 20)], "m.tflite").cycles == 1984


@pytest.mark.parametrize(
    ("summary", "printed"),
    [
        ("", PRINTED), (SUMMARY, "done"), (SUMMARY.replace("cycles_total", "cycles"), PRINTED),
        (SUMMARY.replace("1984", "many"), PRINTED), (SUMMARY.replace("0.15625", "nan"), PRINTED),
    ],
)  # fmt: skip
def test_another_form_than_the_known_ones_is_an_error(summary: str, printed: str) -> None:
    with pytest.raises(WorkerFault, match="no form known here"):
        estimate_from_vela(summary, printed, [(1, 20)], "m.tflite")


def test_the_accelerator_is_named_as_vela_names_it_or_without_the_first_word() -> None:
    assert config_from_address("") == "ethos-u55-128"
    assert (
        config_from_address("ethos-u85-256")
        == config_from_address("u85-256")
        == config_from_address("U85-256")
        == "ethos-u85-256"
    )
    with pytest.raises(BadInput) as caught:
        config_from_address("ethos-u99")
    assert all(name in caught.value.hint for name in CONFIGS)
